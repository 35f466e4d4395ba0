import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock, silentLogger, systemRandom } from '@dmg/base';
import { findStoreId } from '@dmg/connector-file';
import type { CopyEnd, Job, StoreClaim } from '@dmg/model';
import { createStoreBinding } from './store-binding.ts';

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-store-binding-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function jobBetween(source: string, sink: string): Job {
  const rest = { location: {}, settings: {}, format: { type: 'Binary' } } as const;
  const end = (host: string): CopyEnd => ({ connector: 'file', connection: { host }, ...rest });
  return {
    formatVersion: 1, jobId: 'job', gatewayId: 'gateway', tryNumber: 1, finalTry: true,
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'a' },
    policy: { timeoutMs: 1, retry: 0, retryIntervalMs: 0 },
    activity: { type: 'Copy', source: end(source), sink: end(sink), parallelCopies: 0, validateDataConsistency: false },
  };
}

/** A control plane that keeps what was claimed first, and nodes that go by it. */
class Claims {
  readonly clock = new ManualClock();
  readonly kept = new Map<string, string>();
  readonly asked: StoreClaim[] = [];
  /** What nodes know of it: the desired state. */
  listed: readonly StoreClaim[] = [];
  behaviour: 'answers' | 'refuses' | 'silent' = 'answers';

  node(): (job: Job) => Promise<string | undefined> {
    return createStoreBinding({
      claims: () => this.listed, logger: silentLogger, clock: this.clock, random: systemRandom,
      claim: async (claim) => {
        this.asked.push(claim);
        if (this.behaviour === 'refuses') throw new Error('connection refused');
        if (this.behaviour === 'silent') return new Promise(() => undefined);
        if (!this.kept.has(claim.path)) this.kept.set(claim.path, claim.storeId);
        return { storeId: this.kept.get(claim.path) ?? '' };
      },
    });
  }

  list(): void {
    this.listed = [...this.kept].map(([path, storeId]) => ({ path, storeId }));
  }
}

test('the first use of a path claims it; the same store is fit for every node that sees it', async (t) => {
  const [claims, folder] = [new Claims(), await newFolder(t)];
  const [one, two] = [claims.node(), claims.node()];
  assert.equal(await one(jobBetween(folder, `${folder}/`)), undefined);
  const id = (await readFile(join(folder, '.dmg/store-id'), 'utf8')).trim();
  assert.deepEqual(claims.asked, [{ path: folder, storeId: id }], 'one path, one claim');
  assert.equal(await two(jobBetween(folder, folder)), undefined, 'also before the desired state lists it');
  claims.list();
  assert.equal(await one(jobBetween(folder, folder)), undefined);
  const three = claims.node();
  assert.equal(await three(jobBetween(folder, folder)), undefined);
  assert.deepEqual(claims.asked.at(-1), { path: folder, storeId: id }, 'the control plane hears that this node has the store too');
  const asked = claims.asked.length;
  claims.clock.advance(60_000);
  assert.equal(await three(jobBetween(folder, folder)), undefined);
  assert.equal(claims.asked.length, asked, 'once');
});

test('a path that is not here, or is another store here, makes the job ineligible with what to do', async (t) => {
  const [claims, folder] = [new Claims(), await newFolder(t)];
  const node = claims.node();
  const missing = await node(jobBetween(folder, join(folder, 'nowhere')));
  assert.match(missing ?? '', /nowhere does not exist on this node; create or mount it here/);
  claims.kept.set(folder, 'f'.repeat(32));
  claims.listed = [{ path: folder, storeId: 'f'.repeat(32) }];
  const other = await node(jobBetween(folder, folder));
  assert.match(other ?? '', new RegExp(`^${folder} is another folder on this node .* f{32} there.*write f{32} into`));
  assert.equal(other?.includes(await findStoreId(folder, { create: false, random: systemRandom }) ?? '-'), true);
  claims.clock.advance(5_000);
  await writeFile(join(folder, '.dmg/store-id'), `${'f'.repeat(32)}\n`);
  assert.equal(await node(jobBetween(folder, folder)), undefined, 'the remedy works');
});

test('two nodes that claim different stores for one path at the same moment: the first is bound, the other refuses', async (t) => {
  const [claims, folder] = [new Claims(), await newFolder(t)];
  claims.kept.set(folder, 'a'.repeat(32));
  const late = claims.node();
  const reason = await late(jobBetween(folder, folder));
  assert.match(reason ?? '', /is another folder on this node/);
  claims.clock.advance(5_000);
  assert.match(await late(jobBetween(folder, folder)) ?? '', /is another folder/);
  assert.equal(claims.asked.length, 1, 'the answer is kept until the desired state lists it');
});

test('without a control plane what is claimed goes on and what is not waits', async (t) => {
  const [claims, used, fresh] = [new Claims(), await newFolder(t), await newFolder(t)];
  assert.equal(await claims.node()(jobBetween(used, used)), undefined);
  claims.list();
  claims.behaviour = 'refuses';
  const node = claims.node();
  assert.equal(await node(jobBetween(used, used)), undefined);
  assert.match(await node(jobBetween(used, fresh)) ?? '', /used for the first time .* control plane does not answer: connection refused/);
  claims.behaviour = 'silent';
  claims.clock.advance(5_000);
  const asked = claims.asked.length;
  const waiting = node(jobBetween(fresh, fresh));
  while (claims.asked.length === asked) await new Promise((resolve) => setImmediate(resolve));
  claims.clock.advance(1_000);
  assert.match(await waiting ?? '', /no answer within 1000 ms/);
  claims.behaviour = 'answers';
  claims.clock.advance(5_000);
  assert.equal(await node(jobBetween(used, fresh)), undefined);
});

test('a verdict is believed for half a minute, a refusal for five seconds, and neither when the claim changes', async (t) => {
  const [claims, folder] = [new Claims(), await newFolder(t)];
  const node = claims.node();
  const root = join(folder, 'mount');
  assert.match(await node(jobBetween(root, root)) ?? '', /does not exist/);
  await mkdir(root);
  assert.match(await node(jobBetween(root, root)) ?? '', /does not exist/);
  claims.clock.advance(5_000);
  assert.equal(await node(jobBetween(root, root)), undefined);
  await rm(root, { recursive: true });
  claims.clock.advance(29_999);
  assert.equal(await node(jobBetween(root, root)), undefined);
  claims.listed = [{ path: root, storeId: 'b'.repeat(32) }];
  assert.match(await node(jobBetween(root, root)) ?? '', /does not exist/);
  assert.deepEqual(await readdir(folder), []);
});
