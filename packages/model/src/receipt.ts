import { createHash } from 'node:crypto';

export type Guarantee = 'exactlyOnce' | 'atLeastOnce' | 'atMostOnce';
export type VerificationLevel = 'acknowledged' | 'reread';
export type Consistency = 'snapshot' | 'perChunk';

/** Counts, hashes, guarantee and verification of a finished copy. Counts come from marks, never from counters in memory. */
export interface Receipt {
  readonly formatVersion: 1;
  readonly jobId: string;
  readonly generation: number;
  readonly guarantee: Guarantee;
  readonly verification: VerificationLevel;
  readonly consistency: Consistency;
  readonly filesRead: number;
  readonly filesWritten: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly rowsSkipped: number;
  readonly chunks: number;
  /** Files that were left out, with what would have been made of them, because they vanished or changed. Absent: none. */
  readonly filesSkipped?: number;
  /** Sum of the marks' hashes modulo 2^64, 16 hex digits. */
  readonly hash: string;
  /** Attempts whose marks stand, in no order. */
  readonly attempts: readonly string[];
  /** The attempt that finished, its node and the epoch under which it was dispatched. */
  readonly finishedBy: { readonly attemptId: string; readonly nodeName: string; readonly epoch: string };
  /** Each target and its chunks, where there are few (see `receiptChunksMax`): whoever has the receipt can add them up again. */
  readonly targets?: readonly ReceiptTarget[];
  /** What the hashes of chunks are: CRC-32 of the bytes as they were written, or a hash of their content (sums of rows, as a rule). */
  readonly hashOf?: 'writtenBytes' | 'content';
  /** ISO 8601, wall clock of the finishing node. */
  readonly finishedAt: string;
  /** SHA-256 of the receipt without this member, as canonical JSON; 64 hex digits. Absent in receipts of earlier versions. */
  readonly digest?: string;
}

export const receiptChunksMax = 200;

export interface ReceiptTarget {
  readonly path: string;
  /** In the order in which they stand in the target. */
  readonly chunks: readonly ReceiptChunk[];
}

/** As its mark said. */
export interface ReceiptChunk {
  readonly sourceStart: number;
  readonly sourceEnd: number;
  readonly bytes: number;
  readonly rows: number;
  readonly rowsSkipped?: number;
  readonly hash: string;
}

/** The digest that a receipt must carry: SHA-256 over all its other members, whatever their order; 64 hex digits. */
export function receiptDigest(receipt: Receipt): string {
  const { digest: _digest, ...rest } = receipt;
  return createHash('sha256').update(canonical(rest)).digest('hex');
}

/** JSON with sorted keys and without undefined members. */
function canonical(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${entries.join(',')}}`;
}
