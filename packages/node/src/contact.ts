import { asDmgError, backoffMs, type Clock, hasCode, type Logger, type Random, sleep } from '@dmg/base';
import type { AliveAnswer, AliveReport, DesiredState } from '@dmg/model';
import type { ControlPlaneClient } from './control-plane-client.ts';

/** Whether the control plane answers, and since when not. Each change is worth a line, each failure only to who looks for it. */
export class Contact {
  readonly #logger: Logger;
  readonly #onRestored: () => void;
  readonly #onUnregistered: () => void;
  #trouble: string | undefined;

  /** `onUnregistered`: the control plane does not know this node any more. */
  constructor(options: { logger: Logger; onRestored: () => void; onUnregistered: () => void }) {
    this.#logger = options.logger;
    this.#onRestored = options.onRestored;
    this.#onUnregistered = options.onUnregistered;
  }

  /** Why the control plane cannot be reached; undefined while it can. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  good(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#logger.info({}, 'control plane answers again');
    this.#onRestored();
  }

  failed(error: unknown): void {
    const known = asDmgError(error);
    this.#logger[this.#trouble === undefined ? 'warn' : 'debug']({ error: known }, 'control plane does not answer');
    this.#trouble = known.message;
    if (hasCode(known, 'DMG_HTTPS_REFUSED') && known.params['code'] === unregisteredCode) this.#onUnregistered();
  }
}

/** What the control plane answers to a token that ended: the key was regenerated, or the node deleted. */
const unregisteredCode = 'DMG_CONTROLPLANE_NODE_NOT_REGISTERED';

/**
 * Reports that this node is alive and what it runs: every `idleMs`, every `busyMs` while it is busy or its work changes, and at once
 * (looked at every `lookMs`) when `situation` has changed, so that a status is never older than the trouble it tells.
 */
export async function aliveLoop(options: {
  readonly client: Pick<ControlPlaneClient, 'alive'>;
  readonly contact: Contact;
  readonly clock: Clock;
  readonly times: { readonly idleMs: number; readonly busyMs: number; readonly lookMs: number };
  readonly collect: () => Promise<AliveReport>;
  readonly takeAnswer: (answer: AliveAnswer) => void;
  /**
   * What a change of makes the next report due: troubles, limit, drain; `work`: jobs, which may change many times a second. Busy: jobs
   * run, or it is not agreed how the node is.
   */
  readonly situation: () => { readonly text: string; readonly work: string; readonly busy: boolean };
  readonly signal: AbortSignal;
}): Promise<void> {
  const { client, contact, clock, times, signal } = options;
  let reported: string | undefined;
  let reportedWork: string | undefined;
  let reportedMs = 0;
  while (!signal.aborted) {
    const { text, work, busy } = options.situation();
    const dueMs = reportedMs + (busy || work !== reportedWork ? times.busyMs : times.idleMs);
    if (text !== reported || clock.monotonicMs() >= dueMs) {
      reported = text;
      reportedWork = work;
      reportedMs = clock.monotonicMs();
      try {
        options.takeAnswer(await client.alive(await options.collect(), { signal }));
        contact.good();
      } catch (error) {
        // A node that stops waits for no answer.
        if (signal.aborted) return;
        contact.failed(error);
      }
    }
    await sleep(clock, times.lookMs, signal).catch(() => undefined);
  }
}

/**
 * Holds one long poll for the desired state and applies each document whole, again and again. A document that is not signed for
 * this node is not applied.
 */
export async function desiredStateLoop(options: {
  readonly client: ControlPlaneClient;
  readonly contact: Contact;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly verify: (jws: string) => Promise<DesiredState>;
  readonly apply: (state: DesiredState, jws: string) => Promise<void>;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { client, contact, clock, logger, signal } = options;
  let known = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const jws = await client.desiredState(known, signal);
      const state = await options.verify(jws);
      contact.good();
      failures = 0;
      if (state.version !== known) {
        const { version, concurrentJobsLimit: limit, cancel } = state;
        logger.info({ version, limit, cancel: cancel.length }, 'desired state applied');
      }
      known = state.version;
      await options.apply(state, jws);
    } catch (error) {
      if (signal.aborted) return;
      contact.failed(error);
      await sleep(clock, backoffMs(failures++, options.random.unit()), signal).catch(() => undefined);
    }
  }
}
