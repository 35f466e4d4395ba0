import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, silentLogger, StopReason, systemClock } from '@dmg/base';
import { type Connector, connectorErrors } from '@dmg/connector-api';
import type { AssistOutcome, AttemptProgress, Job, Receipt } from '@dmg/model';
import { assistCopy } from './assist-copy.ts';
import type { AssistOptions } from './attempt-options.ts';
import { keepSnapshot } from './keep-snapshot.ts';
import { csv, quickLimits, receiptOf, someBytes } from './testing/copy-fixture.ts';
import { type Gate, gatedConnector } from './testing/gated-connector.ts';
import { byKey, fileEnd, numbered, tableEnd, tableJob, TableFixture } from './testing/table-fixture.ts';

const limits = {
  ...quickLimits, marksAgeMs: 0, marksPauseMs: 2, shareSilenceMs: 60, shareSilenceMinMs: 40, planWaitMs: 2_000, keepCheckMs: 5,
};
const rows = 60;
/** Twelve chunks. */
function fixtureOf(): TableFixture {
  const fixture = new TableFixture({
    fileLimits: { partBytes: 40 }, tables: { partitionRows: 5, blockBytes: 40, limits: { partBytes: 40, parallelChunks: 1 } },
  });
  fixture.db1.create('t', ['id#', 'name'], numbered(rows));
  fixture.db2.create('u', ['id#', 'name']);
  return fixture;
}

const toTable = tableJob(tableEnd('db1', 't'), tableEnd('db2', 'u'), {}, { finalTry: false });
const toFile = tableJob(tableEnd('db1', 't'), fileEnd('b', { ...csv, rowDelimiter: '\n' }), { parallelCopies: 3 }, { finalTry: false });

function assist(
  fixture: TableFixture, job: Job, share: AssistOptions['share'], more: Partial<AssistOptions> = {},
): Promise<AssistOutcome> {
  return assistCopy({
    job, share, attemptId: newId(fixture.files.random), connectors: fixture.connectors(), secrets: { source: new Map(), sink: new Map() },
    clock: systemClock, random: fixture.files.random, logger: silentLogger, limits, signal: new AbortController().signal, ...more,
  });
}

/** Every call takes its turn behind the others', so that attempts go on at one pace. */
const evenly: Gate = async (_call, work) => {
  await new Promise((resolve) => setImmediate(resolve));
  return work();
};
const gated = (fixture: TableFixture, gate: Gate): Map<string, Connector> =>
  fixture.connectors((connector) => gatedConnector(connector, gate));

function checkTable(fixture: TableFixture, receipt: Receipt): void {
  assert.deepEqual(byKey(fixture.db2.tables.get('u')?.rows), numbered(rows));
  assert.deepEqual([receipt.rowsWritten, receipt.chunks, receipt.guarantee], [rows, 12, 'exactlyOnce']);
}

test('three attempts copy one table: each its share, next to nothing twice, all of one moment although the table moves', async () => {
  for (const job of [toTable, toFile]) {
    const fixture = fixtureOf();
    let chunks = 0;
    const counting: Gate = (call, work) => {
      if (call === 'openChunk' && ++chunks === 2) fixture.db1.create('t', ['id#', 'name'], [['1', 'later']]);
      return evenly(call, work);
    };
    const assistants = [1, 2].map((index) => assist(fixture, job, { index, of: 3 }, { connectors: gated(fixture, counting) }));
    const receipt = receiptOf(await fixture.run(job, { connectors: gated(fixture, counting), assistants: () => 2, limits }));
    const outcomes = await Promise.all(assistants);
    assert.deepEqual(outcomes.map(({ kind }) => kind), ['assisted', 'assisted']);
    for (const outcome of outcomes) assert.ok(outcome.kind === 'assisted' && outcome.chunks >= 2, JSON.stringify(outcome));
    assert.equal(receipt.attempts.length, 3);
    assert.equal(receipt.consistency, 'snapshot');
    assert.ok(chunks <= 14, `${chunks} chunks were opened for 12`);
    if (job === toTable) checkTable(fixture, receipt);
    else assert.equal(fixture.text('t.txt').split('\n').length, rows + 2);
    assert.deepEqual([fixture.openHandles, fixture.db1.snapshots.size], [0, 0]);
  }
});

test('one big file into one: attempts write different ranges of it', async () => {
  const fixture = fixtureOf();
  fixture.files.source.put('in/f.bin', someBytes(40 * 8 * 12, 5));
  const binary = { type: 'Binary' } as const;
  const job = tableJob({ ...fileEnd('a'), format: binary }, { ...fileEnd('b'), format: binary }, { parallelCopies: 3 });
  const connectors = gated(fixture, evenly);
  const assistants = [1, 2].map((index) => assist(fixture, job, { index, of: 3 }, { connectors }));
  const receipt = receiptOf(await fixture.run(job, { connectors, assistants: () => 2, limits }));
  assert.deepEqual((await Promise.all(assistants)).map(({ kind }) => kind), ['assisted', 'assisted']);
  assert.deepEqual([receipt.attempts.length, receipt.chunks], [3, 12]);
  assert.deepEqual(Buffer.from(fixture.files.sink.get('out/f.bin') ?? []), Buffer.from(someBytes(40 * 8 * 12, 5)));
});

test('many files: whole targets are shared', async () => {
  const fixture = fixtureOf();
  for (let index = 0; index < 12; index++) fixture.files.source.put(`in/${index}.csv`, `id,name\n${index},x\n`);
  const job = tableJob(fileEnd('a'), fileEnd('b', { ...csv, columnDelimiter: ';' }), { parallelCopies: 2 });
  const connectors = gated(fixture, evenly);
  const assistant = assist(fixture, job, { index: 1, of: 2 }, { connectors });
  const receipt = receiptOf(await fixture.run(job, { connectors, assistants: () => 1, limits }));
  assert.ok((await assistant).kind === 'assisted');
  assert.deepEqual([receipt.filesWritten, receipt.attempts.length], [12, 2]);
});

test('assistants that die or freeze at any call cost time, and nothing else', async () => {
  const dead = (): Error => connectorErrors.NO_SPACE.create({ path: 'x', store: 'dead' });
  const ends = new Set<string>();
  for (let at = 1; at <= 31; at += 5) {
    for (const how of ['dies', 'freezes'] as const) {
      const fixture = fixtureOf();
      const controller = new AbortController();
      let calls = 0;
      const gate: Gate = async (call, work) => {
        if (++calls < at) return evenly(call, work);
        if (how === 'dies') throw dead();
        return new Promise(() => undefined);
      };
      const assistant = assist(fixture, toTable, { index: 1, of: 2 }, { connectors: gated(fixture, gate), signal: controller.signal });
      const receipt = receiptOf(await fixture.run(toTable, { connectors: gated(fixture, evenly), assistants: () => 1, limits }));
      controller.abort(new StopReason('shutdown'));
      ends.add((await assistant).kind);
      checkTable(fixture, receipt);
      assert.equal(receipt.consistency, 'snapshot');
    }
  }
  assert.deepEqual([...ends].toSorted().slice(-2), ['failed', 'stopped']);
});

test('an assistant that comes late finds what is left, or the job done; one without a plan gives up', async () => {
  const fixture = fixtureOf();
  const alone = await assist(fixture, toTable, { index: 1, of: 2 }, { limits: { ...limits, planWaitMs: 5 } });
  assert.equal(alone.kind === 'failed' ? alone.fault.code : alone.kind, 'DMG_ENGINE_PLAN_LATE');
  checkTable(fixture, receiptOf(await fixture.run(toTable, { limits })));
  assert.deepEqual(await assist(fixture, toTable, { index: 1, of: 2 }), { kind: 'assisted', chunks: 0 });
});

test('an assistant that fell behind looks at the marks again, and writes nothing that is there', async () => {
  const fixture = fixtureOf();
  const failed = Promise.withResolvers<void>();
  let opened = 0;
  const behind: Gate = async (call, work) => {
    if (call === 'openChunk' && ++opened === 1) await failed.promise;
    return work();
  };
  const assistant = assist(fixture, toTable, { index: 1, of: 2 }, { connectors: gated(fixture, behind) });
  // The lead copies everything, and dies before it has finished.
  const dying: Gate = async (call, work) => {
    while (call === 'openChunk' && opened === 0) await new Promise((resolve) => setImmediate(resolve));
    if (call === 'finish') throw connectorErrors.NO_SPACE.create({ path: 'x', store: 'dead' });
    return work();
  };
  assert.equal((await fixture.run(toTable, { connectors: gated(fixture, dying), assistants: () => 1, limits })).kind, 'failed');
  assert.equal(fixture.db2.job('job-1').marks.size, 12);
  failed.resolve();
  assert.equal((await assistant).kind, 'assisted');
  assert.equal(opened, 1);
  checkTable(fixture, receiptOf(await fixture.run(toTable, { limits })));
});

test('the lead dies: an assistant keeps the snapshot, and the next lead goes on under it', async () => {
  const fixture = fixtureOf();
  let dead = false;
  const gate: Gate = async (call, work) => {
    if (call === 'mark' && fixture.db2.job('job-1').marks.size >= 3) dead = true;
    if (dead) throw connectorErrors.NO_SPACE.create({ path: 'x', store: 'dead' });
    return evenly(call, work);
  };
  // An assistant that holds the snapshot and is slow.
  const controller = new AbortController();
  let released = false;
  const slow: Gate = async (call, work) => {
    if (call === 'openChunk' && !released) await new Promise((resolve) => controller.signal.addEventListener('abort', resolve));
    return evenly(call, work);
  };
  const assistant = assist(fixture, toTable, { index: 1, of: 2 }, { connectors: gated(fixture, slow) });
  const first = await fixture.run(toTable, { connectors: gated(fixture, gate), assistants: () => 1, limits });
  assert.equal(first.kind, 'failed');
  fixture.db1.create('t', ['id#', 'name'], [['1', 'later']]);
  const next = fixture.run(toTable, { connectors: gated(fixture, evenly), assistants: () => 1, limits });
  released = true;
  controller.abort();
  const receipt = receiptOf(await next);
  await assistant;
  checkTable(fixture, receipt);
  assert.equal(receipt.consistency, 'snapshot');
});

test('a keeper alone carries the snapshot over the death of the lead, and lets go when the job is done', async () => {
  const fixture = fixtureOf();
  const controller = new AbortController();
  const keep = (): Promise<void> => keepSnapshot({
    job: toTable, attemptId: newId(fixture.files.random), connectors: fixture.connectors(), clock: systemClock,
    secrets: { source: new Map(), sink: new Map() }, random: fixture.files.random, logger: silentLogger, limits, signal: controller.signal,
  });
  let keeper: Promise<void> | undefined;
  const gate: Gate = async (call, work) => {
    if (call === 'mark' && fixture.db2.job('job-1').marks.size === 3) {
      keeper ??= keep();
      while ([...fixture.db1.snapshots.values()][0]?.holders !== 2) await new Promise((resolve) => setImmediate(resolve));
      throw connectorErrors.NO_SPACE.create({ path: 'x', store: 'dead' });
    }
    return work();
  };
  assert.equal((await fixture.run(toTable, { connectors: gated(fixture, gate), limits })).kind, 'failed');
  fixture.db1.create('t', ['id#', 'name'], [['1', 'later']]);
  const told: AttemptProgress[] = [];
  const receipt = receiptOf(await fixture.run(toTable, { limits, onProgress: (progress) => told.push(progress) }));
  checkTable(fixture, receipt);
  assert.deepEqual([receipt.consistency, receipt.attempts.length], ['snapshot', 2]);
  assert.ok(told.some((progress) => progress.snapshotHeld === true && (progress.assistantsWanted ?? 0) > 0));
  await keeper;
  assert.deepEqual([fixture.db1.snapshots.size, fixture.openHandles], [0, 0]);
  await keep();
});

test('a lost snapshot: begun anew where the sink can discard, else each chunk at its moment, or a failure', async () => {
  const run = async (
    settings: Record<string, string>, discards?: 'always' | 'unmarked', marked = 3,
  ): Promise<[string, string, number, string]> => {
    const fixture = fixtureOf();
    const job = tableJob(tableEnd('db1', 't', settings), tableEnd('db2', 'u'), {}, { finalTry: false });
    const connectors = new Map(fixture.connectors()).set('memory-table', fixture.tables(discards === undefined ? {} : { discards }));
    const db = marked > 0 ? fixture.db2 : fixture.db1;
    db.intercept = (call) => {
      if (call !== (marked > 0 ? 'mark' : 'open') || fixture.db1.snapshots.size === 0) return;
      if (fixture.db2.job('job-1').marks.size < marked) return;
      db.intercept = undefined;
      fixture.db1.snapshots.clear();
      fixture.db1.create('t', ['id#', 'name'], numbered(rows).map(([id]) => [id ?? null, 'new']));
    };
    const outcome = await fixture.run(job, { connectors, limits });
    const names = new Set((fixture.db2.tables.get('u')?.rows ?? []).map(([, name]) => (name === 'new' ? 'new' : 'old')));
    const code = outcome.kind === 'failed' ? outcome.fault.code : outcome.kind === 'succeeded' ? outcome.receipt.consistency : '';
    return [outcome.kind, code, outcome.kind === 'succeeded' ? outcome.receipt.generation : 0, [...names].toSorted().join()];
  };
  assert.deepEqual(await run({}, 'always'), ['succeeded', 'snapshot', 2, 'new']);
  assert.deepEqual(await run({}), ['succeeded', 'perChunk', 1, 'new,old']);
  assert.deepEqual(await run({ onSnapshotLost: 'perChunk' }, 'always'), ['succeeded', 'perChunk', 1, 'new,old']);
  assert.deepEqual(await run({ onSnapshotLost: 'fail' }, 'always'), ['failed', 'DMG_CONNECTOR_SNAPSHOT_LOST', 0, 'old']);
  assert.deepEqual(await run({ onSnapshotLost: 'restart' }), ['failed', 'DMG_CONNECTOR_SNAPSHOT_LOST', 0, 'old']);
  assert.deepEqual(await run({ onSnapshotLost: 'maybe' }), ['failed', 'DMG_ENGINE_SNAPSHOT_POLICY', 0, '']);
  // Rows that are in cannot be taken back, so that only a copy that has none yet begins anew.
  assert.deepEqual(await run({}, 'unmarked', 0), ['succeeded', 'snapshot', 2, 'new']);
  assert.deepEqual(await run({}, 'unmarked'), ['succeeded', 'perChunk', 1, 'new,old']);
  assert.deepEqual(await run({ onSnapshotLost: 'restart' }, 'unmarked'), ['failed', 'DMG_CONNECTOR_SNAPSHOT_LOST', 0, 'old']);
  assert.deepEqual(await run({ onSnapshotLost: 'perChunk' }, 'unmarked', 0), ['succeeded', 'perChunk', 1, 'new']);
});
