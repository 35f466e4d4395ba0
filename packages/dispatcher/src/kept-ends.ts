import type { Clock } from '@dmg/base';
import type { WorkerEvent } from '@dmg/core';
import type { Mail } from './mail.ts';

type EndedMail = Mail & { type: 'worker'; event: WorkerEvent & { type: 'ended' } };

const keptMax = 1_000;
/** An end of a job of which the ledger knows nothing is told only so soon after: later, the job was over and removed. */
const recentMs = 30_000;

/** Ends of attempts that came while this node did not lead, newest last and not too many. */
export class KeptEnds {
  readonly #clock: Clock;
  #kept: { readonly mail: EndedMail; readonly atMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add({ nodeId, event }: { nodeId: string; event: EndedMail['event'] }): void {
    this.#kept.push({ mail: { type: 'worker', nodeId, event }, atMs: this.#clock.monotonicMs() });
    if (this.#kept.length > keptMax) this.#kept.shift();
  }

  /** Hands them over, in their order. */
  take(): { readonly mail: EndedMail; readonly isRecent: boolean }[] {
    const nowMs = this.#clock.monotonicMs();
    return this.#kept.splice(0).map(({ mail, atMs }) => ({ mail, isRecent: nowMs - atMs < recentMs }));
  }
}
