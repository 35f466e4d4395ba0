import { type DmgError, type Meter, type Timer } from '@dmg/base';
import {
  type EndCause, leaderOf, leaseDueMs, type LeaseEffect, type LeaseEvent, type LeaseState, leaseTrouble, mayAct, type Moment,
  type SeenLeader, type Standing, startLease, stepLease,
} from '@dmg/core';
import { type Epoch, formatEpoch, type NodeTrouble } from '@dmg/model';
import type { EpochSource, Grant } from '../epoch-source.ts';
import { askMasters, type AskOptions, giveBack } from './ask-masters.ts';
import { leaseErrors } from './errors.ts';
import { leaseMetrics } from './metrics.ts';

/** How often a renewal that fails again and again is logged. */
const logEveryFailures = 20;

export interface LeaseKeeperOptions extends AskOptions {
  readonly meter: Meter;
  /** How this node stands among those that may lead; asked before every look at the lease. Quick and without side effects. */
  standing(): Standing;
  /** Called when the leader that this node sees is another one, or none. */
  onLeader?(leader: SeenLeader | undefined): void;
  /** The lease was given back on purpose, just now. What is to follow: goodbyes that name the successor. */
  onRelease?(successor: string | undefined): void;
}

/** What comes back from the masters some milliseconds after this node's standing was asked for. */
const answers: ReadonlySet<LeaseEvent['type']> = new Set(['peeked', 'renewed']);

/** A lease in our hands, over all its epochs. */
interface Holding {
  readonly token: string;
  readonly lost: Promise<DmgError>;
  lose(reason: DmgError): void;
}

interface Waiter {
  resolve(grant: Grant): void;
}

/**
 * Keeps this node's candidacy for the dispatcher's role and, once it leads, its lease: the shell of core's lease machine. It looks at
 * the lease from `start` to `stop`, but tries for it only while somebody waits for a grant.
 */
export class LeaseKeeper implements EpochSource {
  readonly #options: LeaseKeeperOptions;
  #state: LeaseState;
  #running = false;
  #timer: { readonly dueMs: number; readonly timer: Timer } | undefined;
  #holding: Holding | undefined;
  #leader: SeenLeader | undefined;
  readonly #waiters = new Set<Waiter>();
  /** Commands under way. */
  readonly #pending = new Set<Promise<void>>();
  /** What to say when the lease with this token has been given back. */
  #goodbye: { readonly token: string; readonly successor: string | undefined } | undefined;
  /** Settles when the lease that was given back last is. */
  #released: Promise<void> = Promise.resolve();
  #renewFailures = 0;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#state = startLease(options.store.masters, this.#moment(), options.standing());
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    const { wanted, above } = this.#state;
    this.#state = { ...startLease(this.#options.store.masters, this.#moment(), this.#options.standing()), wanted, above, highestN: above };
    this.#options.meter.set(leaseMetrics.isLeader, 0);
    this.#arm();
  }

  /** Gives the lease back, if it is ours, and looks no more. Resolves when no command is under way; never rejects. */
  async stop(successor?: string): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#tell({ type: 'stop', successor: successor ?? this.#options.standing().better });
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  grant(above: number, signal: AbortSignal): Promise<Grant> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal.reason as Error);
        if (this.#waiters.size === 0) this.#tell({ type: 'unwanted' });
      };
      const waiter: Waiter = {
        resolve: (grant) => {
          signal.removeEventListener('abort', onAbort);
          resolve(grant);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
      this.#tell({ type: 'wanted', above });
    });
  }

  get trouble(): DmgError | undefined {
    const { phase, tenure, standing } = this.#state;
    if (tenure !== undefined || phase === 'stopped') return undefined;
    const reason = this.#silence();
    if (reason !== undefined) return leaseErrors.UNREACHABLE.create({ reason: reason.replace(/\.$/, '') });
    return standing.rank === undefined && this.#state.leader === undefined ? leaseErrors.NOT_ELIGIBLE.create() : undefined;
  }

  /** What a node tells of itself when no majority of the masters has answered for a lease's time. */
  get redisTrouble(): NodeTrouble | undefined {
    const reason = this.#silence();
    return reason === undefined ? undefined : { part: 'redis', reason };
  }

  /** Who leads, as it was seen last; this node itself when it does. */
  get leader(): SeenLeader | undefined {
    return this.#leader;
  }

  /** The stream to this node was reset, and its machine says that nobody listens at its address any more. */
  leaderGone(nodeId: string): void {
    this.#tell({ type: 'leaderGone', nodeId, refused: true });
  }

  /** The dispatcher gave the lease back and named this node. */
  invited(): void {
    this.#tell({ type: 'invited' });
  }

  /** The dispatcher gave the lease back and named another node. */
  othersInvited(): void {
    this.#tell({ type: 'othersInvited' });
  }

  #silence(): string | undefined {
    return this.#running ? leaseTrouble(this.#state, this.#options.clock.monotonicMs(), this.#options.settings) : undefined;
  }

  #moment(): Moment {
    const { clock } = this.#options;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }

  #tell(event: LeaseEvent): void {
    if (event.type !== 'stop' && !answers.has(event.type) && this.#running) this.#tellStanding();
    this.#step(event);
    this.#showLeader();
    this.#arm();
  }

  #tellStanding(): void {
    const standing = this.#options.standing();
    const { rank, better } = this.#state.standing;
    if (standing.rank !== rank || standing.better !== better) this.#step({ type: 'standing', standing });
  }

  #step(event: LeaseEvent): void {
    if (event.type === 'renewed') this.#noteRenewal(event.outcome);
    const { state, effects } = stepLease(this.#state, { ...event, ...this.#moment() }, this.#options.settings);
    this.#noteGap(this.#state.tenure, state.tenure);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #arm(): void {
    const dueMs = this.#running ? leaseDueMs(this.#state, this.#options.settings) : Infinity;
    if (this.#timer?.dueMs === dueMs) return;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    if (!Number.isFinite(dueMs)) return;
    const { clock } = this.#options;
    const timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#timer = undefined;
      this.#tell({ type: 'tick' });
    });
    this.#timer = { dueMs, timer };
  }

  #perform(effect: LeaseEffect): void {
    switch (effect.type) {
      case 'grant':
        return this.#onGrant(effect.epoch, effect.life);
      case 'ended':
        return this.#onEnded(effect.epoch, effect.cause, effect.successor);
      case 'release':
        this.#released = this.#release(effect.token);
        return this.#track(this.#released);
      case 'peek':
      case 'acquire':
      case 'claim':
      case 'install':
      case 'renew':
      case 'seize':
        return this.#track(askMasters(effect, this.#options).then((event) => this.#tell(event)));
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  async #release(token: string): Promise<void> {
    await giveBack(token, this.#options);
    const goodbye = this.#goodbye;
    if (goodbye?.token !== token) return;
    this.#goodbye = undefined;
    this.#options.onRelease?.(goodbye.successor);
  }

  #onGrant(epoch: Epoch, life: string): void {
    const { logger, meter } = this.#options;
    const raised = this.#holding?.token === epoch.token;
    if (!raised) {
      const { promise: lost, resolve: lose } = Promise.withResolvers<DmgError>();
      this.#holding = { token: epoch.token, lost, lose };
      this.#renewFailures = 0;
      meter.set(leaseMetrics.isLeader, 1);
      meter.add(leaseMetrics.transitions, 1);
    }
    logger.info({ epoch: formatEpoch(epoch) }, raised ? 'epoch raised' : 'lease acquired');
    const holding = this.#holding;
    if (holding === undefined) return;
    const isCurrent = (): boolean => this.#state.tenure?.epoch.token === epoch.token && this.#state.tenure.epoch.n === epoch.n;
    const grant: Grant = {
      epoch,
      life,
      lost: holding.lost,
      mayAct: () => isCurrent() && mayAct(this.#state, this.#moment(), this.#options.settings),
      release: async (successor) => {
        // An epoch that was raised since is not the one that is held.
        if (isCurrent()) this.#tell({ type: 'release', token: epoch.token, successor });
        await this.#released;
      },
    };
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.resolve(grant);
  }

  #onEnded(epoch: Epoch, cause: EndCause, successor: string | undefined): void {
    const { logger, meter } = this.#options;
    const error = this.#errorOf(cause, successor);
    const fields = { epoch: formatEpoch(epoch), cause, successor, reason: error.message };
    if (cause === 'lost' || cause === 'silent') logger.warn(fields, 'lease lost');
    else {
      logger.info(fields, 'lease given back');
      this.#goodbye = { token: epoch.token, successor };
    }
    meter.set(leaseMetrics.isLeader, 0);
    meter.add(leaseMetrics.transitions, 1);
    this.#holding?.lose(error);
    this.#holding = undefined;
  }

  #errorOf(cause: EndCause, successor: string | undefined): DmgError {
    switch (cause) {
      case 'lost':
        return leaseErrors.LOST.create();
      case 'silent': {
        const { leaseMs } = this.#options.settings;
        const reason = this.#state.unreachable?.reason ?? 'this process did not run in between';
        return leaseErrors.EXPIRED.create({ leaseMs, reason });
      }
      case 'released':
        return leaseErrors.GIVEN_BACK.create({
          reason: successor === undefined ? 'the dispatcher could not go on' : `node ${successor} takes over`,
        });
      case 'handedOver':
        return leaseErrors.GIVEN_BACK.create({
          reason: successor === undefined ? 'its status does not allow it to lead' : `node ${successor} is better placed`,
        });
      case 'stopped':
        return leaseErrors.GIVEN_BACK.create({ reason: 'it was stopped' });
    }
  }

  #noteGap(before: LeaseState['tenure'], after: LeaseState['tenure']): void {
    const gapMs = before === undefined || after === undefined ? 0 : after.goodMs - before.goodMs;
    if (gapMs > 0) this.#options.meter.observe(leaseMetrics.renewalGap, gapMs / 1000);
  }

  #noteRenewal(outcome: 'renewed' | 'lost' | 'silent'): void {
    if (outcome === 'renewed') {
      this.#renewFailures = 0;
      return;
    }
    const { logger, meter } = this.#options;
    meter.add(leaseMetrics.renewFailures, 1);
    if (this.#renewFailures++ % logEveryFailures === 0) logger.warn({ outcome, failures: this.#renewFailures }, 'lease not renewed');
  }

  #showLeader(): void {
    const { nodeId } = this.#options;
    const leader = leaderOf(this.#state, { nodeId, address: this.#options.address() });
    const known = this.#leader;
    if (leader?.nodeId === known?.nodeId && leader?.epoch === known?.epoch && leader?.address === known?.address) return;
    this.#leader = leader;
    this.#options.onLeader?.(leader);
  }
}
