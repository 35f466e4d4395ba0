import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectorErrors } from '@dmg/connector-api';
import type { PlanTarget } from '@dmg/model';
import { makePlan } from './plan.ts';
import { cutStreams } from './cutting.ts';
import { engineErrors } from './errors.ts';
import { makeJob } from './testing/copy-fixture.ts';
import { tableEnd } from './testing/table-fixture.ts';
import { streamTargetPath, tablePathOf } from './target-layout.ts';
import { draftReceipt, tiledMarks } from './tiling.ts';

const limits = { partBytes: 8, partBytesMax: 100, partsPerTargetMax: 50, chunksPerTargetMax: 10, parallelParts: 4 };
const cut = (sizes: readonly number[]) => cutStreams({ path: 'p', source: 's', sizes, limits, store: 'x' });

test('parts of streams grow with the largest estimate, four times over, and stay small where nothing is known', () => {
  assert.deepEqual(cut([0]), { partBytes: 8, cutting: { kind: 'streams' } });
  assert.equal(cut([100]).partBytes, 8);
  assert.equal(cut([101]).partBytes, 16);
  // Ten streams have five parts each.
  assert.equal(cut(Array.from({ length: 10 }, () => 10)).partBytes, 8);
  assert.equal(cut([...Array.from({ length: 9 }, () => 1), 11]).partBytes, 16);
  assert.equal(cut([5_000]).partBytes, 100);
  assert.throws(() => cut([5_001]), { code: connectorErrors.TOO_LARGE.code });
  assert.throws(() => cut(Array.from({ length: 11 }, () => 1)), { code: engineErrors.TOO_MANY_STREAMS.code });
});

test('a table becomes a file of its own name, or of the one that the sink gives', () => {
  const { activity } = makeJob();
  assert.equal(streamTargetPath(activity, 'public.orders'), 'public.orders.txt');
  assert.equal(streamTargetPath(activity, '../a\\b\u0000'), '__a_b_.txt');
  const sink = { ...activity.sink, settings: { ...activity.sink.settings, fileExtension: '.csv' } };
  assert.equal(streamTargetPath({ ...activity, sink }, 'public.orders'), 'public.orders.csv');
  assert.equal(streamTargetPath(makeJob({ sinkFile: 'o.csv' }).activity, 'public.orders'), 'o.csv');
  const path = (location: Record<string, string>): string => tablePathOf({ ...tableEnd('db', ''), location });
  assert.equal(path({ tableName: 'a.b' }), 'a.b');
  assert.equal(path({ schema: 'a', table: 'b c"d' }), 'a."b c""d"');
  assert.equal(path({ table: 'b' }), 'b');
});

test('marks of streams: each whole and once; one moment only under the snapshot of the plan, or in one statement', () => {
  const sources = ['1', '2'].map((identity) => ({ path: 's', sizeBytes: 5, identity }));
  const draft = (count: number) => makePlan({
    job: makeJob(), bases: new Map(),
    draft: {
      representation: 'bytes', sourceKind: count === 1 ? 'onePass' : 'addressable', partBytes: 8, snapshotKey: 'a',
      targets: [{ path: 'p', sources: sources.slice(0, count), cutting: { kind: 'streams' } }],
    },
  });
  const mark = (chunk: number, attemptId: string, more = {}) =>
    ({ target: 0, chunk, attemptId, bytes: 9, rows: 2, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: 7, ...more });
  const target = (count: number): PlanTarget => draft(count).targets[0] ?? assert.fail();
  const receipt = (count: number, attempts: readonly string[], starts: readonly number[] = []) => draftReceipt({
    plan: draft(count), marks: [attempts.map((attempt, chunk) => mark(chunk, attempt, { sourceStart: starts[chunk] ?? 0 }))],
    atomicPublish: 'yes', finishedAtMs: 0, finishedBy: { attemptId: 'a', nodeName: 'n', epoch: '1' },
  });
  assert.deepEqual(tiledMarks(draft(2), target(2), [mark(1, 'a'), mark(0, 'b')]).map(({ chunk }) => chunk), [0, 1]);
  assert.throws(() => tiledMarks(draft(2), target(2), [mark(1, 'a')]), { code: connectorErrors.MARKS_MISSING.code });
  for (const marks of [[mark(0, 'a'), mark(0, 'b'), mark(1, 'a')], [mark(0, 'a', { sourceStart: 2 }), mark(1, 'a')]]) {
    assert.throws(() => tiledMarks(draft(2), target(2), marks), { code: engineErrors.MARKS_INVALID.code });
  }
  assert.equal(receipt(2, ['a', 'b'], [1, 1]).consistency, 'snapshot');
  assert.equal(receipt(2, ['a', 'a'], [1, 0]).consistency, 'perChunk');
  assert.deepEqual([receipt(1, ['b']).consistency, receipt(1, ['b']).guarantee], ['snapshot', 'exactlyOnce']);
});
