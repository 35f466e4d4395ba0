import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, StopReason } from '@dmg/base';
import { type Connector, connectorErrors } from '@dmg/connector-api';
import type { MemoryCell } from '@dmg/connector-testkit';
import type { CopyEnd, Job, Receipt } from '@dmg/model';
import fc from 'fast-check';
import { csv, receiptOf } from './testing/copy-fixture.ts';
import { crashingGate, type Gate, gatedConnector, StepScheduler } from './testing/gated-connector.ts';
import { byKey, fileEnd, numbered, tableEnd, tableJob, TableFixture } from './testing/table-fixture.ts';

const lines = { ...csv, rowDelimiter: '\n' };
const quoted = (rows: readonly (readonly MemoryCell[])[]): string =>
  rows.map(([id, name]) => `${id},"${name?.replaceAll('"', '""')}"\n`).join('');

interface Case {
  readonly name: string;
  readonly source: CopyEnd;
  readonly sink: CopyEnd;
  /** Rows that the sink must hold in the end. */
  readonly result: (fixture: TableFixture) => string;
  readonly expected: string;
}

const intoTable = (fixture: TableFixture): string => quoted(byKey(fixture.db2.tables.get('u')?.rows));
const cases: readonly Case[] = [
  {
    name: 'a table into a file', source: tableEnd('db1', 't'), sink: fileEnd('b', lines),
    result: (fixture) => fixture.text('t.txt'), expected: `id,name\n${quoted(numbered(25))}`,
  },
  {
    name: 'a table into a file, transcoded', source: tableEnd('db1', 't'), sink: fileEnd('b', { ...lines, columnDelimiter: '||' }),
    result: (fixture) => fixture.text('t.txt').replaceAll('||', ','), expected: `id,name\n${quoted(numbered(25))}`,
  },
  {
    name: 'a table into a table', source: tableEnd('db1', 't'), sink: tableEnd('db2', 'u', { preCopyScript: 'truncate' }),
    result: intoTable, expected: quoted(numbered(25)),
  },
  {
    name: 'files into a table', source: fileEnd('a'), sink: tableEnd('db2', 'u', { preCopyScript: 'truncate' }),
    result: intoTable, expected: quoted(numbered(25)),
  },
];

function fixtureOf(seed?: number): TableFixture {
  const fixture = new TableFixture({
    fileLimits: { partBytes: 20 }, tables: { partitionRows: 6, blockBytes: 50, limits: { partBytes: 20 } },
    ...(seed === undefined ? {} : { seed }),
  });
  fixture.db1.create('t', ['id#', 'name'], numbered(25));
  fixture.db2.create('u', ['id#', 'name'], [['77', 'old']]);
  fixture.files.source.put('in/1.csv', `id,name\n${quoted(numbered(20))}`);
  fixture.files.source.put('in/2.csv', `id,name\n${quoted(numbered(5, 20))}`);
  return fixture;
}

/** What an attempt would plan by itself differs: other parts, other partitions. Only the plan that stands may count. */
function connectorsOf(fixture: TableFixture, attempt: number, gate: Gate): Map<string, Connector> {
  const tables = attempt === 0 ? fixture.tables() : fixture.tables({ partitionRows: 4 + attempt, limits: { partBytes: 20 + 7 * attempt } });
  return new Map([['memory', gatedConnector(fixture.files.connector, gate)], ['memory-table', gatedConnector(tables, gate)]]);
}

function check(fixture: TableFixture, { result, expected, sink, name }: Case, why = ''): void {
  assert.equal(result(fixture), expected, `${name} ${why}`);
  assert.equal(fixture.db2.scripts.length, sink.settings.preCopyScript === undefined ? 0 : 1, why);
}

const crashed = (): Error => connectorErrors.NO_SPACE.create({ path: 'x', store: 'crashed' });
const comparable = (receipt: Receipt): unknown => {
  const { attempts: _, finishedBy: _by, finishedAt: _at, consistency: _consistency, digest: _digest, ...rest } = receipt;
  return rest;
};

for (const given of cases) {
  const job: Job = tableJob(given.source, given.sink, {}, { finalTry: false });

  test(`${given.name}: a crash at any call, before or after its effect, loses and doubles nothing`, async () => {
    const oneShot = fixtureOf();
    const counting = crashingGate(Infinity, 'before', crashed);
    const expected = receiptOf(await oneShot.run(job, { connectors: connectorsOf(oneShot, 0, counting.gate) }));
    check(oneShot, given);
    const total = counting.calls();
    assert.ok(total > 20);
    let interrupted = 0;
    for (let at = 1; at <= total; at++) {
      for (const mode of ['before', 'after'] as const) {
        const fixture = fixtureOf();
        const { gate } = crashingGate(at, mode, crashed);
        const [one, other] = ['a'.repeat(32), 'b'.repeat(32)];
        const first = await fixture.run(job, { attemptId: one, connectors: connectorsOf(fixture, 0, gate) });
        if (first.kind === 'failed') interrupted++;
        const planned = (fixture.db2.job('job-1').plan ?? fixture.files.sink.job('job-1').plan) === undefined ? other : one;
        const receipt = receiptOf(await fixture.run(job, { attemptId: other }));
        check(fixture, given, `crash ${mode} call ${at}`);
        assert.deepEqual(comparable(receipt), comparable(expected), `crash ${mode} call ${at}`);
        // The snapshot ended with the attempt that made the plan: nobody else held it.
        const whole = given.source.format.type === 'Table' && receipt.attempts.length === 1 && receipt.attempts[0] === planned;
        assert.equal(receipt.consistency, whole ? 'snapshot' : 'perChunk');
      }
    }
    assert.ok(interrupted >= 2 * total - 6, `${interrupted} of ${2 * total} crashes interrupted the copy`);
  });

  test(`${given.name}: any number of crashed attempts, each with a plan of its own, before one that ends`, async () => {
    const crash = fc.record({ at: fc.integer({ min: 1, max: 60 }), mode: fc.constantFrom('before' as const, 'after' as const) });
    await fc.assert(fc.asyncProperty(fc.array(crash, { maxLength: 5 }), async (crashes) => {
      const fixture = fixtureOf();
      for (const [attempt, { at, mode }] of crashes.entries()) {
        await fixture.run(job, { connectors: connectorsOf(fixture, attempt + 1, crashingGate(at, mode, crashed).gate) });
      }
      receiptOf(await fixture.run(job));
      check(fixture, given);
    }), { numRuns: 30 });
  });

  test(`${given.name}: attempts at once, in any interleaving, are one copy with one receipt`, async () => {
    await fc.assert(fc.asyncProperty(fc.nat(), fc.integer({ min: 2, max: 3 }), async (seed, attempts) => {
      const fixture = fixtureOf(seed);
      const scheduler = new StepScheduler(seededRandom(seed).unit);
      const running = Promise.all(Array.from({ length: attempts }, (_, attempt) =>
        fixture.run(job, { connectors: connectorsOf(fixture, attempt, scheduler.gate) })));
      await scheduler.drive(running);
      const receipts = (await running).map(receiptOf);
      for (const receipt of receipts) assert.deepEqual(receipt, receipts[0]);
      check(fixture, given);
      assert.equal(fixture.openHandles, 0);
    }), { numRuns: 15 });
  });

  test(`${given.name}: cancelled at any moment beside another attempt, it ends whole or adds whole chunks only`, async () => {
    const ends = new Set<string>();
    await fc.assert(fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 150 }), async (seed, cancelAt) => {
      const fixture = fixtureOf(seed);
      const scheduler = new StepScheduler(seededRandom(seed).unit);
      const controller = new AbortController();
      let calls = 0;
      const gate: Gate = (call, work) => {
        if (++calls === cancelAt) controller.abort(new StopReason('cancelled'));
        return scheduler.gate(call, work);
      };
      const connectors = connectorsOf(fixture, 0, gate);
      const running = Promise.all([fixture.run(job, { connectors, signal: controller.signal }), fixture.run(job, { connectors })]);
      await scheduler.drive(running);
      const outcomes = await running;
      ends.add(outcomes[0].kind);
      assert.equal(outcomes[0].kind, outcomes[1].kind);
      if (outcomes[0].kind === 'succeeded') check(fixture, given);
      else assert.deepEqual(outcomes, [{ kind: 'cancelled', sink: 'aborted' }, { kind: 'cancelled', sink: 'aborted' }]);
      assert.equal(fixture.files.sink.objects.size, outcomes[0].kind === 'succeeded' && given.sink.connector === 'memory' ? 1 : 0);
      const rows = fixture.db2.tables.get('u')?.rows ?? [];
      assert.equal(new Set(rows.map(([id]) => id)).size, rows.length);
    }), { numRuns: 15 });
    assert.ok(ends.has('cancelled'), 'no run was cancelled');
  });
}

test('the table moves while attempts come and go: each chunk is of one moment, and the receipt says so', async () => {
  const fixture = fixtureOf();
  const emptied = tableEnd('db2', 'u', { preCopyScript: 'truncate' });
  const job = tableJob(tableEnd('db1', 't'), emptied, { parallelCopies: 1 }, { finalTry: false });
  let marks = 0;
  fixture.db2.intercept = (call) => {
    if (call === 'mark' && ++marks === 3) throw crashed();
  };
  await fixture.run(job);
  fixture.db2.intercept = undefined;
  assert.equal(fixture.db2.job('job-1').marks.size, 2);
  // All rows change, none changes its key: those of marked chunks stay as they were.
  fixture.db1.create('t', ['id#', 'name'], numbered(25).map(([id]) => [id ?? null, 'new']));
  const receipt = receiptOf(await fixture.run(job));
  const rows = byKey(fixture.db2.tables.get('u')?.rows);
  assert.deepEqual(rows.map(([id]) => id), numbered(25).map(([id]) => id));
  assert.equal(rows.filter(([, name]) => name === 'new').length, 13);
  assert.deepEqual([receipt.consistency, receipt.attempts.length, receipt.guarantee], ['perChunk', 2, 'exactlyOnce']);
});

test('a chunk that another attempt has marked meanwhile is not written twice', async () => {
  const fixture = fixtureOf();
  const emptied = tableEnd('db2', 'u', { preCopyScript: 'truncate' });
  const job = tableJob(tableEnd('db1', 't'), emptied, { parallelCopies: 1 }, { finalTry: false });
  let other: Promise<unknown> | undefined;
  fixture.db2.intercept = async (call) => {
    if (call !== 'mark' || other !== undefined) return;
    other = Promise.resolve();
    // The first mark of this attempt waits until another attempt has copied everything but the end.
    fixture.db2.intercept = (next) => {
      if (next === 'finish') throw crashed();
    };
    await fixture.run(job);
    fixture.db2.intercept = undefined;
  };
  const receipt = receiptOf(await fixture.run(job));
  check(fixture, { ...cases[2], name: 'two attempts' } as Case);
  // All that counts is the other attempt's, which did not make the plan but joined its snapshot.
  assert.deepEqual([receipt.attempts.length, receipt.consistency], [1, 'snapshot']);
});
