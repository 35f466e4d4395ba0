/**
 * Block ids: the uncommitted block list of a blob is our mark store (DESIGN-RULES 5.2). Every id has 56 raw bytes, since all ids of
 * a blob must have one length:
 *
 *    0        format version (high half), flags (low half): 1 last part of its chunk, 2 filler
 *    1 –  8   hash of job, generation and target
 *    9 – 11   chunk
 *   12 – 27   attempt
 *   28 – 29   part
 *   30 – 55   in the last part: rows 6, hash 8, source start 6, source end 6; else zeros
 *
 * A filler is one byte that stands for an empty last part (the service takes no empty block); it is left out of the blob.
 */
import { createHash } from 'node:crypto';
import { baseErrors } from '@dmg/base';

const idBytes = 56;
const version = 1;
const lastFlag = 1;
const fillerFlag = 2;

export const partsPerChunkMax = 0x1_0000;

export interface BlockFacts {
  readonly chunk: number;
  /** 32 hex digits. */
  readonly attemptId: string;
  readonly part: number;
  /** Present in the last part of a chunk. */
  readonly last?: { readonly rows: number; readonly hash: string; readonly sourceStart: number; readonly sourceEnd: number; readonly filler: boolean };
}

/** The 8 bytes that keep blocks of other jobs, generations and targets apart. */
export function scopeOf(job: { jobId: string; generation: number; target: number }): Buffer {
  return createHash('sha256').update(JSON.stringify([job.jobId, job.generation, job.target])).digest().subarray(0, 8);
}

export function encodeBlockId(scope: Buffer, facts: BlockFacts): string {
  const id = Buffer.alloc(idBytes);
  const { last } = facts;
  id[0] = (version << 4) | (last === undefined ? 0 : lastFlag) | (last?.filler ? fillerFlag : 0);
  scope.copy(id, 1, 0, 8);
  write(id, 9, 3, facts.chunk, 'chunk');
  if (!/^[0-9a-f]{32}$/.test(facts.attemptId)) throw baseErrors.UNEXPECTED.create({ reason: 'an attempt id is not 32 hex digits' });
  id.write(facts.attemptId, 12, 'hex');
  write(id, 28, 2, facts.part, 'part');
  if (last !== undefined) {
    write(id, 30, 6, last.rows, 'number of rows');
    if (!/^[0-9a-f]{16}$/.test(last.hash)) throw baseErrors.UNEXPECTED.create({ reason: 'a chunk hash is not 16 hex digits' });
    id.write(last.hash, 36, 'hex');
    write(id, 44, 6, last.sourceStart, 'source position');
    write(id, 50, 6, last.sourceEnd, 'source position');
  }
  return id.toString('base64');
}

/** Undefined: the block is not one of this scope. */
export function decodeBlockId(scope: Buffer, name: string): BlockFacts | undefined {
  const id = Buffer.from(name, 'base64');
  if (!isOwnLength(name) || (id[0] ?? 0) >> 4 !== version || id.compare(scope, 0, 8, 1, 9) !== 0) return undefined;
  const flags = (id[0] ?? 0) & 0xf;
  const facts = { chunk: id.readUIntBE(9, 3), attemptId: id.toString('hex', 12, 28), part: id.readUInt16BE(28) };
  if ((flags & lastFlag) === 0) return facts;
  return {
    ...facts,
    last: {
      rows: id.readUIntBE(30, 6), hash: id.toString('hex', 36, 44), sourceStart: id.readUIntBE(44, 6), sourceEnd: id.readUIntBE(50, 6),
      filler: (flags & fillerFlag) !== 0,
    },
  };
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
