import type { Clock, Timer } from '@dmg/base';
import type { StreamTimes } from './stream-times.ts';

export interface StreamPulseOptions {
  readonly clock: Clock;
  readonly times: StreamTimes;
  /** All bytes that have come so far. */
  readonly bytesRead: () => number;
  readonly beat: () => void;
  readonly silent: () => void;
  /** What this side has to say cannot be said. */
  readonly broken: (error: unknown) => void;
}

/**
 * The beat of one side of a stream: sends a heartbeat at its interval, and notices when nothing comes any more. Bytes count as a sign of
 * life, not only whole frames: a large frame on a slow line holds back the heartbeats behind it.
 */
export class StreamPulse {
  readonly #options: StreamPulseOptions;
  #timer: Timer | undefined;
  #tickedAtMs: number;
  #heardAtMs: number;
  #bytesRead: number;
  #ticks = 0;

  constructor(options: StreamPulseOptions) {
    this.#options = options;
    this.#tickedAtMs = this.#heardAtMs = options.clock.monotonicMs();
    this.#bytesRead = options.bytesRead();
    this.#next();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** All streams of a process tick at the same moments: a process that has nothing else to do is woken once for all of them. */
  #next(): void {
    const { clock, times } = this.#options;
    const everyMs = times.heartbeatIntervalMs / 2;
    const untilMs = everyMs - (clock.monotonicMs() % everyMs);
    this.#timer = clock.after(untilMs < everyMs / 2 ? untilMs + everyMs : untilMs, () => this.#tick());
  }

  #tick(): void {
    const { clock, times, bytesRead, silent } = this.#options;
    const nowMs = clock.monotonicMs();
    const expectedMs = times.heartbeatIntervalMs / 2;
    const missedMs = nowMs - this.#tickedAtMs - expectedMs;
    this.#tickedAtMs = nowMs;
    // When this process itself stood still, everybody seems silent: what has come meanwhile was not read yet.
    if (missedMs > expectedMs) this.#heardAtMs += missedMs;
    const bytes = bytesRead();
    if (bytes !== this.#bytesRead) this.#heardAtMs = nowMs;
    this.#bytesRead = bytes;
    this.#next();
    if (nowMs - this.#heardAtMs >= times.silenceLimitMs) silent();
    else if (++this.#ticks % 2 === 0) this.#beat();
  }

  #beat(): void {
    const { beat, broken } = this.#options;
    try {
      beat();
    } catch (error) {
      broken(error);
    }
  }
}
