import type { Clock, Meter } from '@dmg/base';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { eventLoopDelayMetric, executorsMetric, residentBytesMetric } from './metrics.ts';
import { readResidentBytes } from './process-facts.ts';

/** How often the platform looks at the loop; part of each of its figures. */
const resolutionMs = 10;
const windowMs = 30_000;
const quantiles = [0.5, 0.99, 0.999];

export interface ProcessGaugesOptions {
  readonly clock: Clock;
  readonly meter: Meter;
  readonly intervalMs: number;
  readonly executorPids: () => readonly number[];
}

/** Memory of host and executors, and how late the host's event loop is: whether control comes before copying on this machine. */
export class ProcessGauges {
  readonly #options: ProcessGaugesOptions;
  /** Two windows, half a window apart, so that what is told covers at least half a minute and at most a whole one. */
  #older: ReturnType<typeof monitorEventLoopDelay>;
  #newer: ReturnType<typeof monitorEventLoopDelay>;
  #turnedAtMs: number;
  #measuredAtMs = -Infinity;

  constructor(options: ProcessGaugesOptions) {
    this.#options = options;
    this.#older = monitorEventLoopDelay({ resolution: resolutionMs });
    this.#newer = monitorEventLoopDelay({ resolution: resolutionMs });
    this.#turnedAtMs = options.clock.monotonicMs();
  }

  start(): void {
    this.#older.enable();
    this.#newer.enable();
  }

  /** Forgets what the loop has stood still so far: programs are loaded and compiled then, and nobody is served yet. */
  restart(): void {
    this.#older.reset();
    this.#newer.reset();
    this.#measuredAtMs = -Infinity;
    this.#turnedAtMs = this.#options.clock.monotonicMs();
  }

  stop(): void {
    this.#older.disable();
    this.#newer.disable();
  }

  /** To be called often; measures when it is time. */
  watch(): void {
    const { clock, meter, intervalMs, executorPids } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#measuredAtMs < intervalMs) return;
    this.#measuredAtMs = nowMs;
    const pids = executorPids();
    const executorBytes = pids.reduce((sum, pid) => sum + (readResidentBytes(pid) ?? 0), 0);
    meter.set(residentBytesMetric, readResidentBytes(process.pid) ?? 0, { process: 'host' });
    meter.set(residentBytesMetric, executorBytes, { process: 'executor' });
    meter.set(executorsMetric, pids.length);
    if (this.#older.count > 0) {
      for (const quantile of quantiles) {
        const lateMs = Math.max(0, this.#older.percentile(quantile * 100) / 1e6 - resolutionMs);
        meter.set(eventLoopDelayMetric, lateMs / 1_000, { quantile: String(quantile) });
      }
    }
    if (nowMs - this.#turnedAtMs < windowMs) return;
    this.#turnedAtMs = nowMs;
    [this.#older, this.#newer] = [this.#newer, this.#older];
    this.#newer.reset();
  }
}
