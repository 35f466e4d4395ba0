import type { ByteCredits, Clock, Logger } from '@dmg/base';
import { connectorErrors, type Sink, type Source, type TableSource } from '@dmg/connector-api';
import type { CopyActivity, Plan, SourceObject } from '@dmg/model';
import type { BufferPool, PooledBuffer } from './buffer-pool.ts';
import type { CopyLogs } from './copy-logs.ts';
import type { EngineLimits } from './engine-limits.ts';
import type { FileSkips } from './file-skips.ts';
import type { ProgressTally } from './progress-tally.ts';
import type { StoreCalls } from './store-calls.ts';
import type { StreamExchange } from './stream-exchange.ts';

/** The source of a copy: objects with bytes at positions, or a table that is read in streams. */
export type SourceEnd =
  | { readonly kind: 'objects'; readonly objects: Source }
  | { readonly kind: 'table'; readonly table: TableSource };

/** What the copy step of one attempt works with. */
export interface CopyContext {
  readonly attemptId: string;
  readonly activity: CopyActivity;
  readonly plan: Plan;
  /** Streams are read under the snapshot of the plan. */
  readonly underSnapshot: boolean;
  readonly source: SourceEnd;
  /** Where the source is a table. */
  readonly exchange: StreamExchange | undefined;
  readonly sink: Sink;
  readonly calls: StoreCalls;
  readonly pool: BufferPool;
  /** One credit for each part that is being read or written. */
  readonly partSlots: ByteCredits;
  readonly progress: ProgressTally;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: EngineLimits;
  readonly logs: CopyLogs;
  readonly skips: FileSkips;
}

/**
 * Reads exactly `bytes` bytes into the start of `buffer`. Fewer means that the object is not the one of the plan any more. The
 * buffer stays pinned until the call itself has ended, also when it was given up before.
 */
export async function readExactly(
  context: CopyContext,
  request: { object: SourceObject; position: number; bytes: number; buffer: PooledBuffer },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { object, position, bytes, buffer } = request;
  const into = buffer.memory.subarray(0, bytes);
  if (bytes === 0) return into;
  const source = objectsOf(context);
  const startedMs = context.clock.monotonicMs();
  const ended = context.progress.began('source');
  const count = await context.calls.once({ what: `read ${object.path}`, bytes, signal }, (callSignal) =>
    whilePinned(buffer, () => source.read(object, position, into, callSignal))).catch((error: unknown) => {
    throw context.skips.ofSource(error);
  }).finally(ended);
  if (count !== bytes) throw context.skips.ofSource(connectorErrors.SOURCE_CHANGED.create({ path: object.path }));
  context.progress.read(bytes, context.clock.monotonicMs() - startedMs);
  return into;
}

/** The source of a copy whose targets are cut into ranges or sequentially. */
function objectsOf({ source }: CopyContext): Source {
  if (source.kind === 'objects') return source.objects;
  throw new TypeError('a table has no bytes at positions');
}

/** A call that uses the memory of `buffer`, which must not be lent to anybody else while the call may touch it. */
export async function whilePinned<T>(buffer: PooledBuffer, work: () => Promise<T>): Promise<T> {
  buffer.pin();
  try {
    return await work();
  } finally {
    buffer.unpin();
  }
}
