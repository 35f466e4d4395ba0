import { asDmgError, backoffMs, type DmgError, hasCode, isStopReason, sleep, StopReason, type Timer, withDeadline } from '@dmg/base';
import type { JobRecord } from '@dmg/core';
import { type Epoch, formatEpoch } from '@dmg/model';
import type { DispatchLoop } from './dispatch-loop.ts';
import type { Grant } from './epoch-source.ts';
import { dispatcherErrors } from './errors.ts';
import { LedgerSession } from './ledger-session.ts';
import { dispatcherMetrics } from './metrics.ts';
import type { DispatcherOptions, DispatcherSettings } from './options.ts';

/** A dispatcher that led for so long begins its backoff anew. */
const steadyMs = 10_000;
/** How often a repeated failure to get a grant is logged. */
const logEveryFailures = 20;
/** Giving the lease back is a few commands with deadlines of their own. */
const releaseLimitMs = 1_000;

export interface LeadershipHooks {
  /** The right is there; ledger and lists are being read. */
  onGrant(): void;
  onLead(epoch: Epoch): void;
  /** Called also when the right was there and nothing came of it. */
  onStepDown(): void;
}

/**
 * Gets the right to act and keeps to it (DESIGN-RULES 12, steps 5 to 10):
 * 1. a grant: an epoch larger than all before it,
 * 2. Hello to every worker, whose answer is the complete list of its attempts; at the same time the ledger's records, which nobody with
 *    a smaller epoch can change any more, merged with what memory holds,
 * 3. the lists: listed and known → adopted; listed and unknown → written; known and not listed → waits again,
 * 4. everything that the ledger does not hold is written to it,
 * 5. only then jobs are received and placed, and ends that are not reported yet are reported.
 * When the grant is lost or a write is not taken, nothing is received or placed until all of this was done again. Running attempts do
 * not notice, and ends go on being reported.
 */
export class Leadership {
  readonly #loop: DispatchLoop;
  readonly #options: DispatcherOptions;
  readonly #settings: DispatcherSettings;
  readonly #hooks: LeadershipHooks;
  #running: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;
  #phase: 'idle' | 'waiting' | 'opening' | 'leading' = 'idle';
  #grant: Grant | undefined;
  #session: LedgerSession | undefined;
  /** Another node may have led for long since memory was last compared with the ledger. */
  #othersLed = false;
  #life: string | undefined;
  #failure: DmgError | undefined;
  #failures = 0;

  constructor(loop: DispatchLoop, options: DispatcherOptions, settings: DispatcherSettings, hooks: LeadershipHooks) {
    this.#loop = loop;
    this.#options = options;
    this.#settings = settings;
    this.#hooks = hooks;
  }

  /** `waiting`: another node leads, or nobody can. */
  get phase(): 'idle' | 'waiting' | 'opening' | 'leading' {
    return this.#phase;
  }

  /** Why this node does not lead; undefined when it does, or when another one rightly does. */
  get trouble(): DmgError | undefined {
    if (this.#phase === 'idle' || this.#phase === 'leading') return undefined;
    return this.#phase === 'waiting' ? this.#options.epochs.trouble : this.#failure;
  }

  start(): void {
    if (this.#running !== undefined) return;
    const controller = new AbortController();
    this.#running = { controller, done: this.#run(controller.signal) };
  }

  /** This process did not run for so long that what it knows may be of the past: the ledger knows better. */
  noteAbsence(): void {
    this.#othersLed = true;
  }

  /** Gives the right to act back at once, then winds up. Never rejects. `successor`: the node that should take over. */
  async stop(successor?: string): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.controller.abort(new StopReason('shutdown'));
    this.#session?.end(dispatcherErrors.STOPPED.create());
    await this.#release(successor);
    await running.done;
    this.#phase = 'idle';
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let repetition = 0; !signal.aborted; ) {
      const sinceMs = this.#options.clock.monotonicMs();
      let isLikelyToSucceed: boolean;
      try {
        const reason = await this.#lead(signal, repetition === 0);
        if (signal.aborted) return;
        // A loss of data is mended at once; one that repeats itself is not.
        repetition = this.#options.clock.monotonicMs() - sinceMs > steadyMs ? 0 : repetition + 1;
        isLikelyToSucceed = repetition <= 1;
        this.#failure = reason;
      } catch (error) {
        if (signal.aborted) return;
        this.#onFailure(asDmgError(error));
        repetition += 1;
        // After a loss of data the workers know more than the masters: what they told is all that was missing.
        isLikelyToSucceed = repetition === 1 && hasCode(error, dispatcherErrors.HELLO_REFUSED.code);
      }
      if (isLikelyToSucceed) continue;
      // Another node may have more luck.
      await this.#release();
      const delayMs = backoffMs(repetition - 1, this.#options.random.unit(), this.#settings.grantBackoff);
      await sleep(this.#options.clock, delayMs, signal).catch(rethrowUnlessStopped);
    }
  }

  /** Leads once; resolves with the reason when it is over, rejects when it did not come to it. */
  async #lead(signal: AbortSignal, isFirst: boolean): Promise<DmgError> {
    this.#phase = 'waiting';
    const grant = await this.#wait(signal);
    this.#grant = grant;
    if (signal.aborted) {
      await this.#release();
      throw signal.reason as Error;
    }
    this.#phase = 'opening';
    const session = new LedgerSession({ ledger: this.#options.ledger, grant, clock: this.#options.clock });
    this.#session = session;
    try {
      if (isFirst) this.#hooks.onGrant();
      await this.#open(session, grant);
      this.#phase = 'leading';
      this.#failure = undefined;
      this.#failures = 0;
      this.#hooks.onLead(session.epoch);
      const reason = await session.lost;
      const told = { epoch: formatEpoch(session.epoch), code: reason.code, reason: reason.message };
      if (!signal.aborted) this.#options.logger.warn(told, 'dispatcher stepped down');
      return reason;
    } finally {
      this.#phase = 'opening';
      this.#loop.leading = false;
      session.end(dispatcherErrors.STOPPED.create());
      this.#hooks.onStepDown();
    }
  }

  /** Waits for the right to act, and reads the ledger ahead for as long. */
  async #wait(signal: AbortSignal): Promise<Grant> {
    const { clock, epochs, ledger } = this.#options;
    let isOver = false;
    const prereadLater = (): Timer =>
      clock.after(this.#settings.prereadMs, () => void ledger.preread().then(() => {
        if (!isOver) timer = prereadLater();
      }), { unref: true });
    let timer = prereadLater();
    try {
      return await epochs.grant(this.#loop.highestKnown, signal);
    } finally {
      isOver = true;
      timer.cancel();
    }
  }

  async #open(session: LedgerSession, grant: Grant): Promise<void> {
    const { clock, logger, meter } = this.#options;
    const { epoch } = session;
    const sinceMs = clock.monotonicMs();
    const cause = this.#causeOf(grant);
    this.#loop.roster.listenAnew();
    const records = await orLost(session, Promise.all([this.#read(), this.#loop.greetAll(session)]).then(([read]) => read));
    this.#loop.begin(session, records, { othersLed: this.#othersLed });
    this.#othersLed = false;
    await this.#writeBack(session);
    if (!session.alive) throw await session.lost;
    this.#life = grant.life;
    meter.add(dispatcherMetrics.grants, 1, { cause });
    const tookMs = Math.round(clock.monotonicMs() - sinceMs);
    const jobs = this.#loop.table.size;
    logger.info({ epoch: formatEpoch(epoch), records: records.length, jobs, cause, tookMs }, 'dispatcher leads');
    this.#loop.leading = true;
  }

  /** Why a grant was needed; for logs and metrics. */
  #causeOf({ life }: Grant): string {
    if (this.#life !== undefined && this.#life !== life) return 'data_lost';
    return this.#life === undefined ? 'start' : 'regained';
  }

  #read(): Promise<JobRecord[]> {
    const { clock, ledger } = this.#options;
    return withDeadline({ clock, limitMs: this.#settings.readLimitMs, what: 'read the ledger' }, () => ledger.readAll());
  }

  /** What the lists changed and what the ledger has lost. */
  async #writeBack(session: LedgerSession): Promise<void> {
    const behind = [...this.#loop.table.all()].filter(
      ({ written, record }) => written?.version !== record.version || written.epochN !== record.epochN,
    );
    await orLost(session, Promise.all(behind.map((entry) => this.#loop.effects.write(entry))));
  }

  async #release(successor?: string): Promise<void> {
    const grant = this.#grant;
    this.#grant = undefined;
    if (grant === undefined) return;
    const { clock, logger } = this.#options;
    try {
      await withDeadline({ clock, limitMs: releaseLimitMs, what: 'release the lease' }, () => grant.release(successor));
    } catch (error) {
      // It ends by itself a second later.
      logger.debug({ reason: asDmgError(error).message }, 'lease not released in time');
    }
  }

  #onFailure(error: DmgError): void {
    this.#failure = error;
    if (this.#failures++ % logEveryFailures !== 0) return;
    this.#options.logger.warn({ code: error.code, reason: error.message, failures: this.#failures }, 'dispatcher cannot lead yet');
  }
}

/** Rejects with the reason when the session is over first. */
async function orLost<T>(session: LedgerSession, work: Promise<T>): Promise<T> {
  const result = await Promise.race([work, session.lost.then((reason) => Promise.reject(reason))]);
  if (!session.alive) throw await session.lost;
  return result;
}

/** The wait for the next attempt ends early when the dispatcher stops. */
function rethrowUnlessStopped(error: unknown): void {
  if (!isStopReason(error)) throw error;
}
