import { hasCode, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { ChunkRange, FileSkipReason, Mark, PlanTarget } from '@dmg/model';
import type { CopyContext } from './copy-context.ts';
import type { CopyUnit } from './copy-units.ts';
import { OpenChunk } from './open-chunk.ts';
import { totalBytes } from './source-reader.ts';
import { contiguousMarks } from './tiling.ts';

const noHash = '0'.repeat(16);

/**
 * Files that a copy leaves out because something is wrong with them. The mark of a chunk says so (`Mark.fileSkipped`): whoever is first
 * with a chunk decides, and one such mark stands for the whole file, so that no attempt decides otherwise later and nothing of a file
 * that was copied in part is published.
 */
export class FileSkips {
  readonly #wanted: ReadonlySet<FileSkipReason>;
  readonly #skipped = new Map<number, FileSkipReason>();
  /** The sink may refuse something by the same code, and that is no reason to leave a file out. */
  readonly #ofSource = new WeakSet();

  constructor(wanted: readonly FileSkipReason[] = []) {
    this.#wanted = new Set(wanted);
  }

  /** Notes and returns an error that reading the source has brought. */
  ofSource(error: unknown): unknown {
    if (isDmgError(error)) this.#ofSource.add(error);
    return error;
  }

  /** Takes note of the marks of a target. */
  learn(target: PlanTarget, marks: readonly Mark[]): void {
    const reason = marks.find((mark) => mark.fileSkipped !== undefined)?.fileSkipped;
    if (reason !== undefined) this.#skipped.set(target.target, reason);
  }

  /** Why the file of a target is known to be left out. */
  reasonOf(target: PlanTarget): FileSkipReason | undefined {
    return this.#skipped.get(target.target);
  }

  /** Is the file of a target to be left out for this error? A target that is made of several files, or a table, needs all of it. */
  decide(target: PlanTarget, error: unknown): FileSkipReason | undefined {
    if (target.sources.length !== 1 || target.columns !== undefined) return undefined;
    if (!isDmgError(error) || !this.#ofSource.has(error)) return undefined;
    const reason = reasonFor(error);
    if (reason === undefined || !this.#wanted.has(reason)) return undefined;
    this.#skipped.set(target.target, reason);
    return reason;
  }
}

function reasonFor(error: Error): FileSkipReason | undefined {
  if (hasCode(error, connectorErrors.ACCESS_DENIED.code)) return 'forbidden';
  if (!isDmgError(error) || !hasCode(error, connectorErrors.SOURCE_CHANGED.code)) return undefined;
  return error.params['missing'] === true ? 'missing' : 'changed';
}

/** Marks what a unit has left to copy as skipped, unless another attempt has marked it. */
export async function skipFile(context: CopyContext, unit: CopyUnit, reason: FileSkipReason, signal: AbortSignal): Promise<void> {
  const { calls, sink, plan } = context;
  const { target, chunk } = unit;
  const what = `skip the file of ${target.path}`;
  await calls.repeating('chunk', { what, signal }, async () => {
    if (chunk !== undefined) return void await markSkipped(context, target, { ...rangeOf(target, chunk), reason }, signal);
    for (;;) {
      const marks = await calls.once({ what, signal }, (callSignal) => sink.marks(plan, target, callSignal));
      const { chain, position } = contiguousMarks(marks);
      const endByte = totalBytes(target);
      if (chain.length > 0 && position >= endByte) return;
      const rest = { chunk: chain.length, startByte: position, endByte, reason };
      if (await markSkipped(context, target, rest, signal) === 'marked') return;
    }
  });
}

function rangeOf(target: PlanTarget, chunk: number): Omit<ChunkRange, 'source'> {
  const range = target.cutting.kind === 'ranges' ? target.cutting.chunks.find((candidate) => candidate.chunk === chunk) : undefined;
  if (range === undefined) throw new Error(`the plan has no chunk ${chunk} for ${target.path}`);
  return range;
}

async function markSkipped(
  context: CopyContext, target: PlanTarget, rest: Omit<ChunkRange, 'source'> & { reason: FileSkipReason }, signal: AbortSignal,
): Promise<'marked' | 'already'> {
  const { chunk, startByte, endByte, reason } = rest;
  const buffer = await context.pool.lend(1, signal);
  try {
    const opened = await OpenChunk.open({ context, target, chunk, signal });
    try {
      const facts = { bytes: 0, rows: 0, hash: noHash, sourceStart: startByte, sourceEnd: endByte, fileSkipped: reason };
      return await opened.mark(facts, { part: 0, bytes: buffer.memory.subarray(0, 0), buffer }, signal);
    } catch (error) {
      await opened.discard(signal);
      throw error;
    }
  } finally {
    buffer.unpin();
  }
}
