import { type Clock, withDeadline } from '@dmg/base';
import type { DispatchAnswer, PlacementNode, WorkerEvent, WorkerPort, Workers } from '@dmg/core';
import { type Epoch, formatEpoch, type NodeStatus, type RefusalReason, type RunningAttempt } from '@dmg/model';

/** A worker's complete list, and the place in the order of events at which it was asked for. */
export interface HelloList {
  readonly nodeId: string;
  readonly attempts: readonly RunningAttempt[];
  readonly askedAt: number;
}

export type HelloResult =
  | { readonly kind: 'list'; readonly list: HelloList }
  | { readonly kind: 'refused'; readonly known: Epoch }
  | { readonly kind: 'silent'; readonly reason: unknown };

/** A worker as the dispatcher sees it now; for status and monitoring. */
export interface WorkerSight {
  readonly nodeId: string;
  readonly nodeName: string;
  /** It has answered Hello under the epoch that stands. */
  readonly obeys: boolean;
  /** There is a way to it, and it was heard within the time after which it gets no new job. */
  readonly reachable: boolean;
  readonly limit: number;
  readonly used: number;
  /** Attempts that the dispatcher believes to be there. */
  readonly active: number;
}

/** Refusals that say something of the worker and not of the job. */
const takesNone: ReadonlySet<RefusalReason> = new Set(['NO_FREE_SLOT', 'NO_MEMORY', 'DRAINING']);

interface View {
  readonly port: WorkerPort;
  readonly stopListening: () => void;
  /** `refused`: its process is gone; `closed`: it may go on with what it runs. */
  way: 'open' | 'closed' | 'refused';
  /** The epoch under which it answered Hello; it gets no job under another one. */
  obeys: string | undefined;
  /** The epoch under which it is being asked. */
  asked: string | undefined;
  limit: number;
  used: number;
  /** `used` is believed for a while only: an attempt that we do not know of may have gone without a word. */
  usedAtMs: number;
  /** It refused; asked again then, or when it tells of a free slot. */
  refusesUntilMs: number;
  /** It did not answer a dispatch; asked again then, whatever it tells. */
  restsUntilMs: number;
  lastHeardMs: number;
  /** At the last look for a change. */
  status: NodeStatus | undefined;
}

export interface RosterOptions {
  readonly workers: Workers;
  /** This node's own worker: it is as alive as we are. */
  readonly ownId: string;
  readonly clock: Clock;
  readonly helloLimitMs: number;
  readonly refusedMs: number;
  /** A worker that was silent for so long gets no new job, and a new dispatcher does not wait for its list. */
  readonly quietMs: number;
  statusOf(nodeId: string): NodeStatus;
  /** Called for every event, after the roster has taken it in. */
  onEvent(nodeId: string, event: WorkerEvent): void;
  onChange(type: 'joined' | 'left', nodeId: string): void;
}

/**
 * The workers as the dispatcher sees them, whether or not this node leads: they join, fall silent, come back and leave. What it
 * believes of slots is a hint; the worker decides.
 */
export class Roster {
  readonly #options: RosterOptions;
  readonly #views = new Map<string, View>();
  readonly #unsubscribe: () => void;
  /** Silence before this moment does not count: we had no right to act, or did not run. */
  #listensSinceMs: number;

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#listensSinceMs = options.clock.monotonicMs();
    for (const port of options.workers.list()) this.#add(port);
    this.#unsubscribe = options.workers.subscribe(({ type, worker }) => {
      if (type === 'joined') this.#add(worker);
      else this.#remove(worker.nodeId);
      options.onChange(type, worker.nodeId);
    });
  }

  close(): void {
    this.#unsubscribe();
    for (const { stopListening } of this.#views.values()) stopListening();
  }

  port(nodeId: string): WorkerPort | undefined {
    return this.#views.get(nodeId)?.port;
  }

  nodeName(nodeId: string): string {
    return this.#views.get(nodeId)?.port.nodeName ?? nodeId;
  }

  /** From now on silence counts anew, for every worker. */
  listenAnew(): void {
    this.#listensSinceMs = this.#options.clock.monotonicMs();
  }

  /** Says Hello; `askedAt` must be taken from the order of events at the moment of the call. Never rejects. */
  async hello(nodeId: string, epoch: Epoch, askedAt: number): Promise<HelloResult> {
    const view = this.#views.get(nodeId);
    if (view === undefined) return { kind: 'silent', reason: 'no such worker' };
    const { clock, helloLimitMs } = this.#options;
    const key = formatEpoch(epoch);
    view.asked = key;
    try {
      const what = `say hello to ${view.port.nodeName}`;
      const answer = await withDeadline({ clock, limitMs: helloLimitMs, what }, () => view.port.hello(epoch));
      this.#heard(view);
      if (!answer.accepted) return { kind: 'refused', known: answer.known };
      view.obeys = key;
      this.#slots(view, answer.limit, answer.used);
      return { kind: 'list', list: { nodeId, attempts: answer.attempts, askedAt } };
    } catch (reason) {
      return { kind: 'silent', reason };
    } finally {
      if (view.asked === key) view.asked = undefined;
    }
  }

  obeys(nodeId: string, epoch: Epoch): boolean {
    return this.#views.get(nodeId)?.obeys === formatEpoch(epoch);
  }

  /**
   * Workers to say Hello to now: those to which there is a way and which do not obey this epoch yet; or all, also those that seemed
   * to be away, to compare lists.
   */
  toAsk(epoch: Epoch, all: boolean): string[] {
    const key = formatEpoch(epoch);
    const wanted = ([, view]: [string, View]): boolean => view.asked !== key && (all || (view.way === 'open' && view.obeys !== key));
    return [...this.#views].filter(wanted).map(([nodeId]) => nodeId);
  }

  /** Whether its answer to a Hello is to be waited for. */
  isExpected(nodeId: string): boolean {
    const view = this.#views.get(nodeId);
    if (view === undefined || view.way !== 'open') return false;
    return this.#isOwn(view) || this.#options.clock.monotonicMs() - view.lastHeardMs < this.#options.quietMs;
  }

  /** It did not answer a dispatch: it gets no job until it has answered Hello again, and not at once. */
  doubt(nodeId: string): void {
    const view = this.#views.get(nodeId);
    if (view === undefined) return;
    view.obeys = undefined;
    view.restsUntilMs = this.#options.clock.monotonicMs() + this.#options.refusedMs;
  }

  /** Its attempts were given up, or it did not answer Hello: it gets no job before it has answered one. */
  forsake(nodeId: string): void {
    const view = this.#views.get(nodeId);
    if (view !== undefined) view.obeys = undefined;
  }

  onAnswer(nodeId: string, answer: DispatchAnswer): void {
    const view = this.#views.get(nodeId);
    if (view === undefined) return;
    this.#heard(view);
    if (!answer.accepted && takesNone.has(answer.reason)) view.refusesUntilMs = this.#options.clock.monotonicMs() + this.#options.refusedMs;
  }

  /** Whether its status is another one than at the last look; a look judges the node, so only those look who would act on it. */
  hasNewStatus(nodeId: string): boolean {
    const view = this.#views.get(nodeId);
    const status = this.#options.statusOf(nodeId);
    if (view === undefined || view.status === status) return false;
    view.status = status;
    return true;
  }

  /** Its process is known to be gone. */
  isGone(nodeId: string): boolean {
    return this.#views.get(nodeId)?.way === 'refused';
  }

  /**
   * For how long a worker has said nothing although we listened. 0 for our own while it obeys. Of a node that is not in the list of
   * workers nothing is heard; it may have registered a moment ago.
   */
  silentForMs(nodeId: string, epoch: Epoch): number {
    const nowMs = this.#options.clock.monotonicMs();
    const view = this.#views.get(nodeId);
    if (view === undefined) return nowMs - this.#listensSinceMs;
    if (this.#isOwn(view) && view.obeys === formatEpoch(epoch)) return 0;
    return nowMs - Math.max(view.lastHeardMs, this.#listensSinceMs);
  }

  /** How placement sees the workers. `active` is how many attempts the dispatcher believes to be on a node. */
  nodes(epoch: Epoch, active: (nodeId: string) => number): PlacementNode[] {
    const nowMs = this.#options.clock.monotonicMs();
    return [...this.#views].map(([nodeId, view]) => {
      if (view.way !== 'open' || view.obeys !== formatEpoch(epoch)) return { nodeId, status: 'Offline', freeSlots: 0 };
      const status = this.#options.statusOf(nodeId);
      const pauses = Math.max(view.refusesUntilMs, view.restsUntilMs) > nowMs || this.silentForMs(nodeId, epoch) >= this.#options.quietMs;
      const used = nowMs - view.usedAtMs < this.#options.refusedMs ? view.used : 0;
      return { nodeId, status, freeSlots: pauses ? 0 : Math.max(0, view.limit - Math.max(used, active(nodeId))) };
    });
  }

  sights(epoch: Epoch | undefined, active: (nodeId: string) => number): WorkerSight[] {
    const nowMs = this.#options.clock.monotonicMs();
    return [...this.#views].map(([nodeId, view]) => ({
      nodeId, nodeName: view.port.nodeName, obeys: epoch !== undefined && view.obeys === formatEpoch(epoch),
      reachable: view.way === 'open' && (this.#isOwn(view) || nowMs - view.lastHeardMs < this.#options.quietMs),
      limit: view.limit, used: view.used, active: active(nodeId),
    }));
  }

  #add(port: WorkerPort): void {
    const { nodeId } = port;
    if (this.#views.get(nodeId)?.port === port) return;
    this.#remove(nodeId);
    const nowMs = this.#options.clock.monotonicMs();
    const view: View = {
      port, stopListening: port.subscribe((event) => this.#onEvent(view, event)), way: 'open', obeys: undefined, asked: undefined, limit: 0,
      used: 0, usedAtMs: nowMs, refusesUntilMs: 0, restsUntilMs: 0, lastHeardMs: nowMs, status: undefined,
    };
    this.#views.set(nodeId, view);
  }

  #remove(nodeId: string): void {
    this.#views.get(nodeId)?.stopListening();
    this.#views.delete(nodeId);
  }

  #onEvent(view: View, event: WorkerEvent): void {
    if (event.type === 'gone') {
      view.way = event.refused ? 'refused' : 'closed';
      view.obeys = undefined;
    } else {
      this.#heard(view);
      if (event.type === 'slots') this.#slots(view, event.limit, event.used);
    }
    this.#options.onEvent(view.port.nodeId, event);
  }

  #heard(view: View): void {
    view.way = 'open';
    view.lastHeardMs = this.#options.clock.monotonicMs();
  }

  #slots(view: View, limit: number, used: number): void {
    view.limit = limit;
    view.used = used;
    view.usedAtMs = this.#options.clock.monotonicMs();
    if (used < limit) view.refusesUntilMs = 0;
  }

  #isOwn(view: View): boolean {
    return view.port.nodeId === this.#options.ownId;
  }
}
