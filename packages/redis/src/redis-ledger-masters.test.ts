import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { hasCode, type LogFields, type Logger, silentLogger } from '@dmg/base';
import { epochOf, grantEpoch, recordOf } from '@dmg/core/testing';
import { Redis } from 'ioredis';
import type { RedisLeaseStore } from './redis-lease-store.ts';
import type { RedisLedger } from './redis-ledger.ts';
import { newGatewayId, openLedger, openStore, untilDone } from './testing/redis-clients.ts';
import { administer } from './testing/redis-masters-fixture.ts';
import { RedisProcess } from './testing/redis-process.ts';

type Three = readonly [RedisProcess, RedisProcess, RedisProcess];

let processes: Three | undefined;
before(async () => {
  processes = await Promise.all([RedisProcess.start(), RedisProcess.start(), RedisProcess.start()]);
});
after(() => Promise.all((processes ?? []).map((redis) => redis.stop())));

interface Setting {
  readonly masters: Three;
  readonly gatewayId: string;
  readonly ledger: RedisLedger;
  readonly store: RedisLeaseStore;
  readonly warnings: LogFields[];
  /** What one master holds of a job: its version, or nothing. */
  held(master: RedisProcess, jobId: string): Promise<number | undefined>;
}

/** A gateway of its own on the three masters. */
function setUp(context: TestContext): Setting {
  assert.ok(processes !== undefined);
  const gatewayId = newGatewayId();
  const warnings: LogFields[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) };
  return {
    masters: processes, gatewayId, warnings,
    ledger: openLedger(context, processes, { gatewayId, logger, commandTimeoutMs: 300 }),
    store: openStore(context, processes, { gatewayId }),
    async held(master, jobId) {
      const client = new Redis(master.url);
      try {
        const version = await client.hget(`dmg:{${gatewayId}}:job:${jobId}`, 'version');
        return version === null ? undefined : Number(version);
      } finally {
        client.disconnect();
      }
    },
  };
}

const versions = async (ledger: RedisLedger): Promise<string[]> =>
  (await ledger.readAll()).map(({ jobId, version }) => `${jobId} ${version}`).sort();

async function putMany(ledger: RedisLedger, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => ledger.put(epochOf(1), recordOf(`j${index}`))));
}

async function untilHeld({ held }: Setting, master: RedisProcess, jobId: string, version: number): Promise<void> {
  await untilDone(async () => assert.equal(await held(master, jobId), version));
}

test('a master that lost its data is said, and filled again by the first write of the next grant', async (context) => {
  const setting = setUp(context);
  const { masters: [, lost, other], ledger, store, warnings } = setting;
  await grantEpoch(store, epochOf(1));
  await putMany(ledger, 250);
  assert.equal((await ledger.readAll()).length, 250);
  await administer(lost, 'FLUSHALL');
  assert.equal((await ledger.readAll()).length, 250);
  assert.equal(warnings.length, 1);
  await ledger.readAll();
  assert.equal(warnings.length, 1, 'said once');
  await grantEpoch(store, epochOf(2, 'b'));
  await ledger.readAll();
  assert.equal(await setting.held(lost, 'j1'), undefined, 'reading writes nothing');
  assert.equal(await ledger.put(epochOf(2, 'b'), recordOf('j0', { version: 2 })), 'ok');
  assert.equal(await ledger.remove(epochOf(2, 'b'), 'j249'), 'ok');
  await untilHeld(setting, lost, 'j248', 1);
  // Now the one that was lost is as good as any: with it, another one may go.
  other.pause();
  context.after(() => other.resume());
  const records = await ledger.readAll();
  assert.equal(records.length, 249);
  assert.equal(records.find(({ jobId }) => jobId === 'j0')?.version, 2);
});

test('what is removed before it was written back stays removed', async (context) => {
  const setting = setUp(context);
  const { masters: [first, lost], ledger, store } = setting;
  await grantEpoch(store, epochOf(1));
  await putMany(ledger, 300);
  await administer(lost, 'FLUSHALL');
  await grantEpoch(store, epochOf(2, 'b'));
  await ledger.readAll();
  const thirds = Array.from({ length: 100 }, (_, index) => 3 * index);
  await Promise.all(thirds.flatMap((index) => [
    ledger.remove(epochOf(2, 'b'), `j${index}`), ledger.put(epochOf(2, 'b'), recordOf(`j${index + 1}`, { version: 2 })),
  ]));
  for (const master of [first, lost]) {
    await untilHeld(setting, master, 'j299', 1);
    assert.equal(await setting.held(master, 'j297'), undefined);
    assert.equal(await setting.held(master, 'j298'), 2);
  }
  assert.equal((await ledger.readAll()).length, 200);
});

test('a reading that began before a write takes nothing back', async (context) => {
  const setting = setUp(context);
  const { masters: [first, lost, frozen], ledger, store } = setting;
  await grantEpoch(store, epochOf(1));
  for (const jobId of ['a', 'b']) await ledger.put(epochOf(1), recordOf(jobId));
  assert.deepEqual(await versions(ledger), ['a 1', 'b 1']);
  await administer(lost, 'FLUSHALL');
  await grantEpoch(store, epochOf(2, 'b'));
  frozen.pause();
  context.after(() => frozen.resume());
  const reading = versions(ledger);
  // A connection and four answers: so long takes the reading on the master that has both. The frozen one holds up its end.
  for (let trips = 0; trips < 4; trips++) await setting.held(first, 'a');
  assert.equal(await ledger.remove(epochOf(2, 'b'), 'a'), 'ok');
  assert.deepEqual(await reading, ['a 1', 'b 1']);
  frozen.resume();
  await ledger.put(epochOf(2, 'b'), recordOf('c'));
  await untilHeld(setting, lost, 'c', 1);
  assert.equal(await setting.held(lost, 'a'), undefined);
});

test('a refill ends when another epoch is installed', async (context) => {
  const setting = setUp(context);
  const { masters: [, lost], gatewayId, ledger, store } = setting;
  await grantEpoch(store, epochOf(1));
  await ledger.put(epochOf(1), recordOf('j'));
  await administer(lost, 'DEL', `dmg:{${gatewayId}}:job:j`);
  assert.deepEqual(await versions(ledger), ['j 1']);
  await grantEpoch(store, epochOf(2, 'b'));
  assert.equal(await ledger.put(epochOf(1), recordOf('k')), 'stale');
  assert.equal(await setting.held(lost, 'j'), undefined);
});

test('a master with an old snapshot is brought up to date', async (context) => {
  const setting = setUp(context);
  const { masters: [old], ledger, store } = setting;
  await grantEpoch(store, epochOf(1));
  await ledger.put(epochOf(1), recordOf('j'));
  await untilHeld(setting, old, 'j', 1);
  await administer(old, 'SAVE');
  await ledger.put(epochOf(1), recordOf('j', { version: 2 }));
  await ledger.put(epochOf(1), recordOf('k'));
  await old.restart();
  assert.deepEqual(await versions(ledger), ['j 2', 'k 1']);
  await untilDone(() => store.check());
  await untilDone(async () => assert.deepEqual(await ledger.check(), []));
  await grantEpoch(store, epochOf(2, 'b'));
  assert.deepEqual(await versions(ledger), ['j 2', 'k 1']);
  assert.equal(await ledger.put(epochOf(2, 'b'), recordOf('l')), 'ok');
  await untilHeld(setting, old, 'j', 2);
  await untilHeld(setting, old, 'k', 1);
});

test('one is dead, one has lost its data: not read before a grant, and then with what is left', async (context) => {
  const setting = setUp(context);
  const { masters: [dead, lost], ledger, store } = setting;
  await grantEpoch(store, epochOf(1));
  await ledger.put(epochOf(1), recordOf('j'));
  await untilHeld(setting, lost, 'j', 1);
  await administer(lost, 'FLUSHALL');
  dead.pause();
  await assert.rejects(ledger.readAll(), (error) => hasCode(error, 'DMG_REDIS_LEDGER_INCOMPLETE'));
  await grantEpoch(store, epochOf(2, 'b'));
  assert.deepEqual(await versions(ledger), ['j 1']);
  assert.equal(await ledger.put(epochOf(2, 'b'), recordOf('k')), 'ok');
  await untilHeld(setting, lost, 'j', 1);
  dead.resume();
});

test('two of three silent: an error within the deadline', async (context) => {
  const { masters: [one, two], ledger, store } = setUp(context);
  await grantEpoch(store, epochOf(1));
  one.pause();
  two.pause();
  await assert.rejects(ledger.put(epochOf(1), recordOf('j')), (error) => hasCode(error, 'DMG_REDIS_TIMEOUT'));
  one.resume();
  two.resume();
  assert.equal(await untilDone(() => ledger.put(epochOf(1), recordOf('j', { version: 2 }))), 'ok');
});
