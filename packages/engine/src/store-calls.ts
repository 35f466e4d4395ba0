import {
  backoffMs, type Clock, firstLine, hasCode, isDmgError, type Logger, type Meter, type Random, sleep, withDeadline,
} from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { EngineLimits } from './engine-limits.ts';
import { engineMetrics } from './metrics.ts';

export interface CallOptions {
  /** Completes the sentence *Cannot …*. */
  readonly what: string;
  /** Bytes that the call moves; they lengthen its limit. */
  readonly bytes?: number;
  readonly limitMs?: number;
  readonly signal: AbortSignal;
}

export interface StoreCallsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly limits: EngineLimits;
  /** False: a chunk that fails is not repeated here; somebody else will copy it. Default true. */
  readonly repeatsChunks?: boolean;
}

/** True for what may go away by itself and is worth another call. Missing marks are not: they are copied again. */
export function isTransient(error: unknown): boolean {
  return isDmgError(error) && error.retry !== 'never' && !hasCode(error, connectorErrors.MARKS_MISSING.code);
}

/** Every call to a store goes through here: under a deadline, and repeated where the caller says so. */
export class StoreCalls {
  readonly #options: StoreCallsOptions;

  constructor(options: StoreCallsOptions) {
    this.#options = options;
  }

  /** One call. Rejects at its limit or when `signal` is aborted, whether or not the store listens. */
  once<T>(options: CallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, limits } = this.#options;
    const limitMs = (options.limitMs ?? limits.callLimitMs) + (options.bytes ?? 0) / limits.bytesPerMsMin;
    return withDeadline({ clock, limitMs: Math.ceil(limitMs), what: options.what, signal: options.signal }, work);
  }

  /** A call that may be repeated after a transient error, each time under its own deadline. */
  repeated<T>(options: CallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.repeating('call', options, () => this.once(options, work));
  }

  /**
   * Repeats `work` while it fails with a transient error, with growing delays, until it has kept failing for `retryForMs`. Any
   * other error, and the signal's reason, goes through at once.
   */
  async repeating<T>(stage: 'call' | 'chunk', options: { what: string; signal: AbortSignal }, work: () => Promise<T>): Promise<T> {
    const { clock, random, logger, meter, limits } = this.#options;
    let firstFailureMs: number | undefined;
    for (let repetition = 0; ; repetition++) {
      try {
        return await work();
      } catch (error) {
        if (options.signal.aborted || !isTransient(error)) throw error;
        if (stage === 'chunk' && this.#options.repeatsChunks === false) throw error;
        const nowMs = clock.monotonicMs();
        if (hasCode(error, connectorErrors.CHUNK_BUSY.code)) {
          // Whoever writes it gets on: that is no failure, however long it takes.
          firstFailureMs = undefined;
          repetition = -1;
          await sleep(clock, limits.backoff.firstMs, options.signal);
          continue;
        }
        firstFailureMs ??= nowMs;
        const failingMs = nowMs - firstFailureMs;
        if (failingMs >= limits.retryForMs && repetition >= limits.retriesMin) throw error;
        const delayMs = backoffMs(repetition, random.unit(), limits.backoff);
        meter.add(engineMetrics.retries, 1, { stage });
        const fields = { what: options.what, repetition: repetition + 1, delayMs: Math.round(delayMs), reason: firstLine(error) };
        if (repetition === 0) logger.warn(fields, 'store call failed, will be repeated');
        else logger.debug(fields, 'store call failed again');
        await sleep(clock, delayMs, options.signal);
      }
    }
  }
}
