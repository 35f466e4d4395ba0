import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CleanupScope } from '../harness/cleanup.ts';
import { type RunningProcess, spawnProcess, startRoot } from '../harness/processes.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { within } from '../harness/wait-for.ts';

// What a newcomer types, on a real `dmg up`.
const main = fileURLToPath(import.meta.resolve('@dmg/cli/main'));
const scope = new CleanupScope();
let state: string;
let ready: Record<string, unknown>;

before(async () => {
  state = await tempDir(scope);
  ({ ready } = await startRoot(scope, 'cli', {
    args: ['up', '--nodes', '1', '--json', '--state', state], readyWithinMs: 60_000, stopWithinMs: 30_000,
  }));
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

async function dmg(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number | null; out: string; err: string }> {
  const local = new CleanupScope();
  const child: RunningProcess = spawnProcess(local, { name: 'dmg', args: [main, '--state', state, ...args], env });
  try {
    const { code } = await within(`dmg ${args.join(' ')}`, 60_000, child.exited);
    return { code, out: child.stdout.join('\n'), err: child.stderr };
  } finally {
    await local.close();
  }
}

test('`dmg up --json` says where everything is in one line', () => {
  for (const key of ['endpoint', 'ca', 'token', 'subscriptionId', 'resourceGroupName', 'redis', 'serviceBus', 'blob']) {
    assert.equal(typeof ready[key], 'string', key);
  }
  const nodes = ready['nodes'] as { name: string; pid: number; metrics: string }[];
  assert.equal(nodes.length, 1);
  assert.equal(nodes[0]?.name, 'node-1');
});

test('the metrics of the node are served', async () => {
  const [node] = ready['nodes'] as { metrics: string }[];
  const text = await (await fetch(node?.metrics ?? '')).text();
  assert.match(text, /dmg_worker_slots\{state="free"\} \d/);
});

test('apply, run --wait, runs and gateway status do what the README says', async () => {
  const target = await tempDir(scope);
  const folder = await tempDir(scope);
  const example = fileURLToPath(new URL('../../docs/example/', import.meta.url));
  for (const name of await readdir(example)) {
    await writeFile(join(folder, name), (await readFile(join(example, name), 'utf8')).replace('/tmp/dmg-example', target));
  }
  const applied = await dmg(['apply', '-f', folder]);
  assert.equal(applied.code, 0, applied.err);
  assert.equal((JSON.parse(applied.out) as { applied: unknown[] }).applied.length, 5);
  const run = await dmg(['run', 'copy-folder', '--wait']);
  assert.equal(run.code, 0, run.err + run.out);
  const ended = JSON.parse(run.out) as { status: string; runId: string };
  assert.equal(ended.status, 'Succeeded');
  assert.ok((await readdir(join(target, 'licences'))).length > 3);
  const runs = await dmg(['runs']);
  assert.match(runs.out, new RegExp(ended.runId));
  const one = await dmg(['runs', ended.runId]);
  assert.match(one.out, /"activityName":"copy-licences"/);
  const status = await dmg(['gateway', 'status']);
  assert.match(status.out, /"nodeName":"node-1"/);
  assert.match(status.out, /"state":"Online"/);
});

test('errors say what, why and what to do, with the exit codes of the manual', async () => {
  const usage = await dmg(['runs', '--hours', 'many']);
  assert.equal(usage.code, 2);
  assert.match(usage.err, /whole number from 1/);
  const missing = await dmg(['run', 'no-such-pipeline']);
  assert.equal(missing.code, 4);
  assert.match(missing.err, /no-such-pipeline/);
  const away = await dmg(['runs', '--endpoint', 'https://127.0.0.1:1', '--ca', String(ready['ca'])], { DMG_TOKEN: 'x' });
  assert.equal(away.code, 3);
  const stranger = await dmg(['runs', '--endpoint', String(ready['endpoint']), '--ca', String(ready['ca'])], { DMG_TOKEN: 'wrong' });
  assert.equal(stranger.code, 4);
  assert.ok(!/\n\s+at /.test(usage.err + missing.err + away.err + stranger.err), 'no stack traces');
  const broken = join(await tempDir(scope), 'broken.json');
  await writeFile(broken, '{"name": "x", "properties": {"type": 7}}');
  const applied = await dmg(['apply', '-f', broken]);
  assert.notEqual(applied.code, 0);
  assert.match(applied.err, /broken\.json/);
});

test('a node registers by key file, refuses a wrong key without showing it, and tells its status', async () => {
  const nodeState = await tempDir(scope);
  const keyFile = join(nodeState, 'key');
  await writeFile(keyFile, 'DMG@x@authKey1@ServiceEndpoint=127.0.0.1:1@AAAA@canary-secret');
  const refused = await dmg(['node', 'register', '--name', 'other', '--key-file', keyFile, '--state', nodeState]);
  assert.notEqual(refused.code, 0);
  assert.ok(!refused.err.includes('canary-secret'));
  const status = await dmg(['node', 'status', '--state', join(state, 'nodes', 'node-1')]);
  assert.equal(status.code, 0, status.err);
  assert.match(status.out, /node-1/);
});
