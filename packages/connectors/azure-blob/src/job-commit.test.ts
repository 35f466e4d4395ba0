import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode, silentLogger, systemClock, systemRandom } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { Plan, Receipt } from '@dmg/model';
import type { BlobCalls } from './blob-calls.ts';
import { BlobSink } from './blob-sink.ts';
import { decodeBlockId, encodeBlockId, scopeOf } from './block-id.ts';
import { azureBlobErrors } from './errors.ts';
import { JobBlob } from './job-blob.ts';
import { GatedBlobCalls, ModelBlobs } from './testing/model-blobs.ts';
import { withCalls } from './testing/with-calls.ts';

const { signal } = new AbortController();
const receipt = { finishedAt: 'now' } as Receipt;
const facts = { bytes: 7, rows: 0, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: 7 };

/** A job with one chunk for each path, copied by attempt 1 and ready to be finished. */
async function prepared(paths: readonly string[], before: (blobs: ModelBlobs) => void = () => undefined) {
  const blobs = new ModelBlobs({ deleteDiscards: true });
  before(blobs);
  const direct: BlobCalls = new GatedBlobCalls({ blobs, gate: () => Promise.resolve(), repeats: () => false });
  const sinkOf = (attempt: number, change: Partial<BlobCalls> = {}, settled = (): Promise<void> => Promise.resolve()): BlobSink => {
    const calls = withCalls(direct, change);
    const limits = { partBytes: 8, partBytesMax: 8, partsPerTargetMax: 10, chunksPerTargetMax: 10, parallelParts: 1 };
    const job = { jobId: 'job', attemptId: `${attempt}`.repeat(32) };
    return new BlobSink({
      calls, close: () => undefined, settled, folder: '', job, limits, clock: systemClock, random: systemRandom, logger: silentLogger,
    });
  };
  const sink = sinkOf(1);
  const bases = await sink.bases(paths, signal);
  const targets = paths.map((path, target) => ({
    target, path, base: bases[target] ?? '', sources: [],
    cutting: { kind: 'ranges' as const, chunks: [{ chunk: 0, source: 0, startByte: 0, endByte: 7 }] },
  }));
  const plan: Plan = {
    formatVersion: 1, jobId: 'job', generation: 1, activityDigest: '', sourceKind: 'addressable', representation: 'bytes',
    partBytes: 8, targets,
  };
  await sink.insertPlan(plan, signal);
  const write = async (attempt: number, target: number): Promise<void> => {
    const writer = await sinkOf(attempt).openChunk(plan, { target, chunk: 0 }, signal);
    await writer.mark(facts, { part: 0, bytes: Buffer.from('content') }, signal);
  };
  for (const target of targets) await write(1, target.target);
  return { blobs, direct, sinkOf, plan, write };
}

/** Calls that die, as a killed process does, at the first commit after `count` that succeeded. */
function dyingAfter(count: number, direct: BlobCalls): Partial<BlobCalls> {
  let commits = 0;
  return {
    async commit(path, commit, caller) {
      if (commits++ >= count) throw new Error('killed');
      return direct.commit(path, commit, caller);
    },
  };
}

test('a finisher that died after a commit, whose blob was taken away, is resumed without publishing it again', async () => {
  const { blobs, direct, sinkOf, plan } = await prepared(['a', 'b', 'c']);
  await assert.rejects(sinkOf(1, dyingAfter(1, direct)).finish(plan, receipt, signal), /killed/);
  const first = ['a', 'b', 'c'].filter((path) => blobs.get(path) !== undefined);
  assert.equal(first.length, 1);
  blobs.delete(first[0] ?? '');
  assert.equal((await sinkOf(2).state(signal)).phase, 'open');
  assert.deepEqual(await sinkOf(2).finish(plan, { ...receipt, finishedAt: 'later' }, signal), receipt);
  assert.deepEqual(['a', 'b', 'c'].filter((path) => blobs.get(path) === 'content'), ['a', 'b', 'c'].filter((path) => path !== first[0]));
});

test('a writer that comes while a publication is incomplete completes it and finds the job done', async () => {
  const { blobs, direct, sinkOf, plan, write } = await prepared(['a', 'b']);
  await assert.rejects(sinkOf(1, dyingAfter(1, direct)).finish(plan, receipt, signal), /killed/);
  await assert.rejects(write(1, 0), (error) => hasCode(error, connectorErrors.JOB_CLOSED.code));
  assert.equal((await sinkOf(2).state(signal)).phase, 'done');
  assert.deepEqual([blobs.get('a'), blobs.get('b')], ['content', 'content']);
});

test('an abort completes a publication that has begun', async () => {
  const { blobs, direct, sinkOf, plan } = await prepared(['a', 'b']);
  await assert.rejects(sinkOf(1, dyingAfter(1, direct)).finish(plan, receipt, signal), /killed/);
  const state = await sinkOf(2).abort(signal);
  assert.deepEqual([state.phase, state.receipt], ['done', receipt]);
  assert.deepEqual([blobs.get('a'), blobs.get('b')], ['content', 'content']);
});

test('an abort discards a block that was still on its way when its writer gave up', async () => {
  const { blobs, sinkOf } = await prepared(['a']);
  const [block] = blobs.blocks('a', 'uncommitted');
  assert.ok(block);
  let landed = false;
  const landing = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    blobs.stage('a', block.name, 'content');
    landed = true;
  };
  assert.equal((await sinkOf(1, {}, landing).abort(signal)).phase, 'aborted');
  assert.ok(landed);
  assert.deepEqual(blobs.blocks('a', 'uncommitted'), []);
});

test('a finisher that froze before its commits can publish nothing after an abort', async () => {
  const { blobs, direct, sinkOf, plan } = await prepared(['new', 'in-one-piece', 'of-blocks'], (store) => {
    store.put('in-one-piece', 'older');
    store.stage('of-blocks', 'AAAA', 'older');
    store.commit('of-blocks', ['AAAA'], 'absent', {});
  });
  let thaw: () => void = () => undefined;
  let frozen: () => void = () => undefined;
  const isFrozen = new Promise<void>((resolve) => (frozen = resolve));
  const thawed = new Promise<void>((resolve) => (thaw = resolve));
  const slow = sinkOf(1, {
    async commit(path, commit, caller) {
      frozen();
      await thawed;
      return direct.commit(path, commit, caller);
    },
  });
  const finishing = slow.finish(plan, receipt, signal).catch((error: unknown) => error);
  await isFrozen;
  // As after a publication that could not be completed: aborted, with nothing discarded yet.
  const job = new JobBlob(direct, 'job');
  const record = await job.read(signal);
  await job.write(record?.etag ?? '', { phase: 'aborted', plan, closing: true }, signal);
  assert.equal((await sinkOf(2).abort(signal)).phase, 'aborted');
  thaw();
  assert.ok(hasCode(await finishing, connectorErrors.JOB_CLOSED.code));
  assert.deepEqual(['new', 'in-one-piece', 'of-blocks'].map((path) => blobs.get(path)), [undefined, 'older', 'older']);
});

test('a chunk that its own attempt writes again after the commit brings nothing back', async () => {
  const { blobs, direct, sinkOf, plan } = await prepared(['a']);
  const writer = await sinkOf(1).openChunk(plan, { target: 0, chunk: 0 }, signal);
  const dead = sinkOf(1, {
    writeText: (path, write, caller) => (
      write.metadata.dmgphase === 'done' ? Promise.reject(new Error('killed')) : direct.writeText(path, write, caller)
    ),
  });
  await assert.rejects(dead.finish(plan, receipt, signal), /killed/);
  assert.equal(blobs.get('a'), 'content');
  blobs.delete('a');
  await assert.rejects(
    writer.mark(facts, { part: 0, bytes: Buffer.from('content') }, signal), (error) => hasCode(error, connectorErrors.JOB_CLOSED.code),
  );
  assert.equal((await sinkOf(2).state(signal)).phase, 'done');
  assert.equal(blobs.get('a'), undefined);
});

test('a target that a stranger writes while it is published is left to him, and stays refused when he has gone', async () => {
  const { blobs, sinkOf, plan } = await prepared(['a', 'b']);
  blobs.put('a', 'a stranger');
  const changed = (error: unknown): boolean => hasCode(error, connectorErrors.TARGET_CHANGED.code);
  // The stranger discarded our blocks: without marks nothing is intended.
  await assert.rejects(sinkOf(1).finish(plan, receipt, signal), (error) => hasCode(error, connectorErrors.MARKS_MISSING.code));
  const writer = await sinkOf(2).openChunk(plan, { target: 0, chunk: 0 }, signal);
  await writer.mark(facts, { part: 0, bytes: Buffer.from('content') }, signal);
  await assert.rejects(sinkOf(2).finish(plan, receipt, signal), changed);
  blobs.delete('a');
  await assert.rejects(sinkOf(3).finish(plan, receipt, signal), changed);
  assert.equal(blobs.get('a'), undefined);
  assert.equal((await sinkOf(3).abort(signal)).phase, 'aborted');
});

test('blocks that vanish between intent and commit are not taken for a publication', async () => {
  const { blobs, direct, sinkOf, plan } = await prepared(['a'], (store) => store.put('a', 'older'));
  await assert.rejects(sinkOf(1, dyingAfter(0, direct)).finish(plan, receipt, signal), /killed/);
  // What expiry or another program's clean-up does: the blocks go, the blob stays as it was.
  const lost = sinkOf(2, { blocks: () => Promise.resolve([]), commit: () => Promise.resolve(false) });
  await assert.rejects(lost.finish(plan, receipt, signal), (error) => hasCode(error, azureBlobErrors.STAGED_BLOCKS_LOST.code));
  assert.equal(blobs.get('a'), 'older');
});

test('an intent that is older than the life of blocks is not taken for a publication', async () => {
  const { direct, sinkOf, plan } = await prepared(['a']);
  await assert.rejects(sinkOf(1, dyingAfter(0, direct)).finish(plan, receipt, signal), /killed/);
  const late = sinkOf(2, {
    blocks: () => Promise.resolve([]),
    async readText(path, caller) {
      const found = await direct.readText(path, caller);
      return found && { ...found, ageMs: 7.5 * 86_400_000 };
    },
  });
  await assert.rejects(late.finish(plan, receipt, signal), (error) => hasCode(error, azureBlobErrors.OUTCOME_UNKNOWN.code));
});

test('foreign blocks of another id length are discarded before the plan, and where no blob stands also later', async () => {
  const { blobs, sinkOf, write } = await prepared(['a']);
  blobs.stage('fresh', 'c2hvcnQ=', 'foreign');
  assert.deepEqual(await sinkOf(1).bases(['fresh'], signal), ['absent']);
  assert.deepEqual(blobs.blocks('fresh', 'uncommitted'), []);
  assert.equal(blobs.get('fresh'), undefined);
  blobs.put('one-piece', 'whole');
  blobs.stage('one-piece', 'c2hvcnQ=', 'foreign');
  await assert.rejects(sinkOf(1).bases(['one-piece'], signal), (error) => hasCode(error, azureBlobErrors.FOREIGN_BLOCKS.code));
  assert.equal(blobs.get('one-piece'), 'whole');
  blobs.stage('of-blocks', 'c2hvcnQ=', 'whole');
  blobs.commit('of-blocks', ['c2hvcnQ='], 'absent', { owner: 'somebody' });
  blobs.stage('of-blocks', 'c2hvcnQ=', 'half of a new upload');
  await assert.rejects(sinkOf(1).bases(['of-blocks'], signal), (error) => hasCode(error, azureBlobErrors.FOREIGN_BLOCKS.code));
  blobs.put('of-blocks', '');
  blobs.delete('of-blocks');
  blobs.stage('of-blocks', 'c2hvcnQ=', 'whole');
  blobs.commit('of-blocks', ['c2hvcnQ='], 'absent', { owner: 'somebody' });
  blobs.stage('of-blocks', 'b3RoZXI=', 'foreign');
  const [base] = await sinkOf(1).bases(['of-blocks'], signal);
  assert.equal(base, blobs.facts('of-blocks')?.etag);
  assert.deepEqual([blobs.get('of-blocks'), blobs.facts('of-blocks')?.metadata], ['whole', { owner: 'somebody' }]);
  assert.deepEqual(blobs.blocks('of-blocks', 'uncommitted'), []);
  // After the plan: the stranger's blocks took the place of ours.
  blobs.delete('a');
  blobs.stage('a', 'c2hvcnQ=', 'foreign');
  await write(2, 0);
  assert.equal(blobs.blocks('a', 'uncommitted').length, 1);
});

test('an abort that died with its empty blob standing takes it away when it is repeated', async () => {
  const { blobs, sinkOf } = await prepared(['a']);
  await assert.rejects(sinkOf(1, { remove: () => Promise.reject(new Error('killed')) }).abort(signal), /killed/);
  assert.equal(blobs.get('a'), '');
  assert.equal((await sinkOf(2).state(signal)).phase, 'aborted');
  assert.equal(blobs.get('a'), undefined);
});

test('a file that was skipped after the receipt was drafted is not published but the receipt drafted again', async () => {
  const { blobs, sinkOf, plan } = await prepared(['a', 'b']);
  const name = blobs.blocks('b', 'uncommitted')[0]?.name ?? '';
  const id = decodeBlockId(scopeOf({ jobId: 'job', generation: 1, target: 1 }), name);
  assert.ok(id?.last);
  // Of an attempt that did not see the chunk of the other when it looked, and comes later in the order of attempts.
  const skip = { ...id, attemptId: 'f'.repeat(32), last: { ...id.last, filler: true, fileSkipped: 'missing' as const } };
  blobs.stage('b', encodeBlockId(scopeOf({ jobId: 'job', generation: 1, target: 1 }), skip), ' ');
  await assert.rejects(sinkOf(1).finish(plan, receipt, signal), (error) => hasCode(error, connectorErrors.MARKS_MISSING.code));
  const skipping = { ...receipt, filesSkipped: 1 };
  assert.deepEqual(await sinkOf(1).finish(plan, skipping, signal), skipping);
  assert.deepEqual([blobs.get('a'), blobs.get('b'), blobs.blocks('b', 'uncommitted')], ['content', undefined, []]);
});
