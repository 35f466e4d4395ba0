import { type Clock, firstLine, type Logger, type Meter } from '@dmg/base';
import { sourceBytesOf } from '@dmg/connector-api';
import type { AttemptDetails, AttemptProgress, Mark, Plan, PlanTarget } from '@dmg/model';
import { engineMetrics } from './metrics.ts';

export interface ProgressTallyOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly sourceConnector: string;
  readonly sinkConnector: string;
  readonly onProgress: ((progress: AttemptProgress) => void) | undefined;
}

type Step = 'plan' | 'copy' | 'finish';

/** Counts what an attempt does, for people who watch. Nothing is decided by it: receipts come from marks. */
export class ProgressTally {
  readonly #options: ProgressTallyOptions;
  #step: Step = 'plan';
  #stepSinceMs: number;
  readonly #stepMs: Record<Step, number> = { plan: 0, copy: 0, finish: 0 };
  #targets: readonly PlanTarget[] = [];
  #bytesTotal = 0;
  #filesTotal = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  #rowsWritten = 0;
  #filesWritten = 0;
  #readMs = 0;
  #writeMs = 0;
  #memoryWaitMs = 0;
  #firstByteMs: number | undefined;
  readonly #startedMs: number;
  readonly #calls = { source: { now: 0, peak: 0 }, sink: { now: 0, peak: 0 } };
  #callbackFailed = false;
  #aid: Pick<AttemptProgress, 'assistantsWanted' | 'snapshotHeld'> = {};
  parallelCopies = 0;

  constructor(options: ProgressTallyOptions) {
    this.#options = options;
    this.#stepSinceMs = options.clock.monotonicMs();
    this.#startedMs = this.#stepSinceMs;
  }

  /** A call that moves bytes has begun; the result is to be called when it has ended. */
  began(side: 'source' | 'sink'): () => void {
    const calls = this.#calls[side];
    calls.now++;
    calls.peak = Math.max(calls.peak, calls.now);
    return () => void calls.now--;
  }

  enter(step: Step): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#stepMs[this.#step] += nowMs - this.#stepSinceMs;
    this.#stepSinceMs = nowMs;
    this.#step = step;
    this.#tell();
  }

  planned(plan: Plan): void {
    this.#targets = plan.targets;
    this.#filesTotal = plan.targets.length;
    this.#bytesTotal = plan.targets.reduce((sum, target) => sum + target.sources.reduce((bytes, source) => bytes + source.sizeBytes, 0), 0);
    this.#tell();
  }

  /** Starts from what already stands at the sink. */
  resumed(marks: readonly Mark[], files: number): void {
    this.#bytesRead = marks.reduce((sum, mark) => sum + this.#sourceBytes(mark), 0);
    this.#bytesWritten = marks.reduce((sum, mark) => sum + mark.bytes, 0);
    this.#rowsWritten = marks.reduce((sum, mark) => sum + mark.rows, 0);
    this.#filesWritten = files;
    this.#tell();
  }

  read(bytes: number, tookMs: number): void {
    if (bytes > 0) this.#firstByteMs ??= this.#options.clock.monotonicMs() - this.#startedMs;
    this.#bytesRead += bytes;
    this.#readMs += tookMs;
    this.#options.meter.add(engineMetrics.bytes, bytes, { stage: 'read', connector: this.#options.sourceConnector });
    this.#options.meter.add(engineMetrics.waitSeconds, tookMs / 1000, { stage: 'read' });
    this.#tell();
  }

  written(bytes: number, tookMs: number): void {
    this.#bytesWritten += bytes;
    this.#writeMs += tookMs;
    this.#options.meter.add(engineMetrics.bytes, bytes, { stage: 'written', connector: this.#options.sinkConnector });
    this.#options.meter.add(engineMetrics.waitSeconds, tookMs / 1000, { stage: 'write' });
    this.#tell();
  }

  waitedForMemory(tookMs: number): void {
    this.#memoryWaitMs += tookMs;
    if (tookMs > 0) this.#options.meter.add(engineMetrics.waitSeconds, tookMs / 1000, { stage: 'memory' });
  }

  rowsMarked(rows: number): void {
    this.#rowsWritten += rows;
    this.#options.meter.add(engineMetrics.rows, rows, { stage: 'written', connector: this.#options.sinkConnector });
  }

  /** Other attempts have marked these beside us. */
  others(marks: readonly Mark[]): void {
    this.#bytesRead += marks.reduce((sum, mark) => sum + this.#sourceBytes(mark), 0);
    this.#bytesWritten += marks.reduce((sum, mark) => sum + mark.bytes, 0);
    this.#rowsWritten += marks.reduce((sum, mark) => sum + mark.rows, 0);
    this.#tell();
  }

  /** How many further nodes could copy chunks of this plan now, and whether the source's snapshot ends with this node unless it is kept. */
  aid(wanted: { readonly assistants: number; readonly snapshotHeld: boolean }): void {
    this.#aid = {
      ...(wanted.assistants > 0 ? { assistantsWanted: wanted.assistants } : {}), ...(wanted.snapshotHeld ? { snapshotHeld: true } : {}),
    };
    this.#tell();
  }

  /** A target has all its marks. */
  fileWritten(): void {
    this.#filesWritten++;
    this.#tell();
  }

  /** A chunk was given up after it had counted so much; it will be counted again. */
  undo(read: number, written: number): void {
    this.#bytesRead -= read;
    this.#bytesWritten -= written;
  }

  details(): AttemptDetails {
    const stepMs = { ...this.#stepMs };
    stepMs[this.#step] += this.#options.clock.monotonicMs() - this.#stepSinceMs;
    return {
      planMs: Math.round(stepMs.plan),
      copyMs: Math.round(stepMs.copy),
      finishMs: Math.round(stepMs.finish),
      readMs: Math.round(this.#readMs),
      writeMs: Math.round(this.#writeMs),
      parallelCopies: this.parallelCopies,
      ...(this.#memoryWaitMs < 0.5 ? {} : { memoryWaitMs: Math.round(this.#memoryWaitMs) }),
      ...(this.#firstByteMs === undefined ? {} : { firstByteMs: Math.max(1, Math.round(this.#firstByteMs)) }),
      ...(this.#calls.source.peak === 0 ? {} : { sourcePeakConnections: this.#calls.source.peak }),
      ...(this.#calls.sink.peak === 0 ? {} : { sinkPeakConnections: this.#calls.sink.peak }),
    };
  }

  #sourceBytes(mark: Mark): number {
    const target = this.#targets[mark.target];
    return target === undefined ? 0 : sourceBytesOf(target, mark);
  }

  #tell(): void {
    if (this.#options.onProgress === undefined || this.#callbackFailed) return;
    try {
      this.#options.onProgress({
        step: this.#step,
        // The size of a table is an estimate.
        bytesTotal: Math.max(this.#bytesTotal, this.#bytesRead),
        bytesRead: this.#bytesRead,
        bytesWritten: this.#bytesWritten,
        rowsWritten: this.#rowsWritten,
        filesTotal: this.#filesTotal,
        filesWritten: this.#filesWritten,
        ...this.#aid,
      });
    } catch (error) {
      // A listener that fails must not fail the copy; it is told nothing more.
      this.#callbackFailed = true;
      this.#options.logger.warn({ reason: firstLine(error) }, 'progress listener failed');
    }
  }
}
