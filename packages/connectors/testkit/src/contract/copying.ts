import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { isDmgError } from '@dmg/base';
import type { ChunkFacts, ChunkWriter, Sink, Source } from '@dmg/connector-api';
import type { ChunkRef, Mark, Plan, PlanTarget, Receipt, SourceObject } from '@dmg/model';
import { attemptIdOf, type Bench } from './fixture.ts';

const never = new AbortController().signal;

/** A target and the content of its chunks. */
export interface WantedTarget {
  readonly path: string;
  readonly chunks: readonly Uint8Array[];
}

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

/** Bytes that differ at every position, so that a missing, moved or doubled part shows. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export function contentOf(target: WantedTarget): Uint8Array {
  return Buffer.concat(target.chunks);
}

/** Compares without printing both: a diff of large buffers takes seconds. */
export function assertBytes(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  assert.ok(actual !== undefined, `${what} is not there`);
  if (Buffer.compare(actual, expected) === 0) return;
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  assert.fail(`${what} has ${actual.length} bytes instead of ${expected.length} and differs from byte ${at} on`);
}

/** A plan for these targets, with the base states that the sink sees now. */
export async function planFor(bench: Bench, sink: Sink, wanted: readonly WantedTarget[], change: Partial<Plan> = {}): Promise<Plan> {
  const bases = await sink.bases(wanted.map(({ path }) => path), never);
  const targets = wanted.map(({ path, chunks }, index): PlanTarget => {
    let position = 0;
    const ranges = chunks.map((bytes, chunk) => ({ chunk, source: 0, startByte: position, endByte: (position += bytes.length) }));
    const sources = [{ path, sizeBytes: position, identity: 'any' }];
    return { target: index, path, base: bases[index] ?? '', sources, cutting: { kind: 'ranges', chunks: ranges } };
  });
  return {
    formatVersion: 1, jobId: 'job-1', generation: 1, activityDigest: 'digest', sourceKind: 'addressable', representation: 'bytes',
    partBytes: bench.fixture.partBytes, targets, ...change,
  };
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

export function factsOf(bytes: Uint8Array, sourceStart: number = 0): ChunkFacts {
  return { bytes: bytes.length, rows: bytes.length % 7, hash: hashOf(bytes), sourceStart, sourceEnd: sourceStart + bytes.length };
}

/** Cuts a chunk into parts as the engine does. */
export function partsOf(bytes: Uint8Array, partBytes: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += partBytes) parts.push(bytes.subarray(start, start + partBytes));
  return parts.length === 0 ? [new Uint8Array()] : parts;
}

/** Writes all parts but the last, all at once and the highest first; returns the last. */
export async function writeParts(writer: ChunkWriter, bytes: Uint8Array, partBytes: number): Promise<{ part: number; bytes: Uint8Array }> {
  const parts = partsOf(bytes, partBytes);
  const last = parts.length - 1;
  const early = parts.slice(0, last).map((part, index) => ({ part, index })).toReversed();
  await Promise.all(
    early.map(async ({ part, index }) => {
      // The buffer belongs to the caller again when the promise has resolved: overwrite it.
      const buffer = Uint8Array.from(part);
      await writer.writePart(index, buffer, never);
      buffer.fill(0xee);
    }),
  );
  return { part: last, bytes: Uint8Array.from(parts[last] ?? []) };
}

export async function copyChunk(
  sink: Sink, plan: Plan, ref: ChunkRef, bytes: Uint8Array, sourceStart?: number,
): Promise<'marked' | 'already'> {
  const writer = await sink.openChunk(plan, ref, never);
  const last = await writeParts(writer, bytes, plan.partBytes);
  const facts = factsOf(bytes, sourceStart);
  const result = await writer.mark(facts, last, never);
  last.bytes.fill(0xee);
  return result;
}

/** Copies every chunk of the plan. */
export async function copyAll(sink: Sink, plan: Plan, wanted: readonly WantedTarget[]): Promise<void> {
  for (const [target, { chunks }] of wanted.entries()) {
    let position = 0;
    for (const [chunk, bytes] of chunks.entries()) {
      await copyChunk(sink, plan, { target, chunk }, bytes, position);
      position += bytes.length;
    }
  }
}

export function receiptOf(attempt: string): Receipt {
  return {
    formatVersion: 1, jobId: 'job-1', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
    filesRead: 1, filesWritten: 1, bytesRead: 1, bytesWritten: 1, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 1,
    hash: '0'.repeat(16),
    attempts: [attemptIdOf(attempt)], finishedBy: { attemptId: attemptIdOf(attempt), nodeName: 'node', epoch: '1-x' },
    finishedAt: '2024-01-01T00:00:00.000Z',
  };
}

export async function allMarks(sink: Sink, plan: Plan): Promise<Mark[]> {
  const marks: Mark[] = [];
  for (const target of plan.targets) marks.push(...(await sink.marks(plan, target, never)));
  return marks;
}

/** Opens a sink, inserts a plan for `wanted` and copies everything; ready to be finished. */
export async function prepared(bench: Bench, attempt: string, wanted: readonly WantedTarget[]): Promise<{ sink: Sink; plan: Plan }> {
  const sink = await bench.sink(attempt);
  const plan = await sink.insertPlan(await planFor(bench, sink, wanted), never);
  await copyAll(sink, plan, wanted);
  return { sink, plan };
}

export async function listAll(source: Source): Promise<SourceObject[]> {
  const objects: SourceObject[] = [];
  for await (const object of source.list(never)) objects.push(object);
  return objects;
}

export async function readAll(source: Source, object: SourceObject): Promise<Uint8Array> {
  const bytes = new Uint8Array(object.sizeBytes);
  const count = await source.read(object, 0, bytes, never);
  return bytes.subarray(0, count);
}

/** The code with which `work` fails; throws when it does not, or with something that is no DmgError. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isDmgError(error)) return error.code;
    throw error;
  }
  throw new Error('expected a failure, but it succeeded');
}
