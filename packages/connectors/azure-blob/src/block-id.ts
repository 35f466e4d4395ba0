/**
 * Block ids: the uncommitted block list of a blob is our mark store (DESIGN-RULES 5.2). Every id has 61 raw bytes (the service
 * takes 64), since all ids of a blob must have one length:
 *
 *    0        format version (high half); low half, in the last part: 1 last, 2 filler, the rest the number of the try
 *    1 –  6   hash of job, generation and target
 *    7 –  8   chunk
 *    9 – 24   attempt
 *   25 – 28   writer: random, new each time a chunk is opened
 *   29 – 30   part
 *   31 – 60   in the last part: rows 5, hash 8, source start 6, source end 6, skipped rows 5 (its highest values say why
 *              the file is skipped instead); else zeros
 *
 * No two requests for a last part have the same id: neither when an attempt writes a chunk again, nor when it repeats a request whose
 * answer was lost. So a request that the service executes late cannot restore a list that has been committed.
 * A filler is one byte that stands for an empty last part (the service takes no empty block); it is left out of the blob.
 */
import { createHash } from 'node:crypto';
import { baseErrors } from '@dmg/base';
import type { FileSkipReason } from '@dmg/model';

const idBytes = 61;
const version = 2;
const lastFlag = 1;
const fillerFlag = 2;
/** In place of a number of skipped rows: from here on. */
const skipReasons: readonly FileSkipReason[] = ['missing', 'forbidden', 'changed'];
const skipReasonsFrom = 2 ** 40 - 16;

export const partsPerChunkMax = 0x1_0000;

export const triesMax = 4;
export const writerBytes = 4;

export interface BlockFacts {
  readonly chunk: number;
  /** 32 hex digits. */
  readonly attemptId: string;
  /** 8 hex digits. */
  readonly writer: string;
  readonly part: number;
  /** Present in the last part of a chunk. */
  readonly last?: LastFacts;
}

export interface LastFacts {
  readonly rows: number;
  /** Absent: none. */
  readonly rowsSkipped?: number;
  readonly fileSkipped?: FileSkipReason;
  readonly hash: string;
  readonly sourceStart: number;
  readonly sourceEnd: number;
  readonly filler: boolean;
  /** From 0, below `triesMax`. */
  readonly tryNumber: number;
}

/** The bytes that keep blocks of other jobs, generations and targets apart. */
export function scopeOf(job: { jobId: string; generation: number; target: number }): Buffer {
  return createHash('sha256').update(JSON.stringify([job.jobId, job.generation, job.target])).digest().subarray(0, 6);
}

export function encodeBlockId(scope: Buffer, facts: BlockFacts): string {
  const id = Buffer.alloc(idBytes);
  const { last } = facts;
  id[0] = (version << 4) | (last === undefined ? 0 : lastFlag | (last.filler ? fillerFlag : 0) | (last.tryNumber << 2));
  scope.copy(id, 1, 0, 6);
  write(id, 7, 2, facts.chunk, 'chunk');
  if (!/^[0-9a-f]{32}$/.test(facts.attemptId)) throw baseErrors.UNEXPECTED.create({ reason: 'an attempt id is not 32 hex digits' });
  id.write(facts.attemptId, 9, 'hex');
  id.write(facts.writer, 25, 'hex');
  write(id, 29, 2, facts.part, 'part');
  if (last !== undefined) {
    write(id, 31, 5, last.rows, 'number of rows');
    if (!/^[0-9a-f]{16}$/.test(last.hash)) throw baseErrors.UNEXPECTED.create({ reason: 'a chunk hash is not 16 hex digits' });
    id.write(last.hash, 36, 'hex');
    write(id, 44, 6, last.sourceStart, 'source position');
    write(id, 50, 6, last.sourceEnd, 'source position');
    const { rowsSkipped = 0, fileSkipped } = last;
    if (rowsSkipped >= skipReasonsFrom) throw baseErrors.UNEXPECTED.create({ reason: `${rowsSkipped} skipped rows are too many` });
    write(id, 56, 5, fileSkipped === undefined ? rowsSkipped : skipReasonsFrom + skipReasons.indexOf(fileSkipped), 'number of rows');
  }
  return id.toString('base64');
}

/** Undefined: the block is not one of this scope. */
export function decodeBlockId(scope: Buffer, name: string): BlockFacts | undefined {
  const id = Buffer.from(name, 'base64');
  const first = id[0] ?? 0;
  if (id.length !== idBytes || first >> 4 !== version || id.compare(scope, 0, 6, 1, 7) !== 0) return undefined;
  const facts = {
    chunk: id.readUInt16BE(7), attemptId: id.toString('hex', 9, 25), writer: id.toString('hex', 25, 29), part: id.readUInt16BE(29),
  };
  if ((first & lastFlag) === 0) return facts;
  const rowsSkipped = id.readUIntBE(56, 5);
  const fileSkipped = skipReasons[rowsSkipped - skipReasonsFrom];
  const last = {
    rows: id.readUIntBE(31, 5), ...(fileSkipped === undefined ? rowsSkipped === 0 ? {} : { rowsSkipped } : { fileSkipped }),
    hash: id.toString('hex', 36, 44), sourceStart: id.readUIntBE(44, 6), sourceEnd: id.readUIntBE(50, 6),
    filler: (first & fillerFlag) !== 0, tryNumber: (first >> 2) & 3,
  };
  return { ...facts, last };
}

/** Can a block of this name and ours stand in one blob? */
export function isOwnLength(name: string): boolean {
  return Buffer.from(name, 'base64').length === idBytes;
}

function write(id: Buffer, offset: number, length: number, value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * length)) {
    throw baseErrors.UNEXPECTED.create({ reason: `a ${what} of ${value} does not fit into a block id` });
  }
  id.writeUIntBE(value, offset, length);
}
