import { type Clock, withDeadline } from '@dmg/base';
import type { DispatchAnswer, PlacementNode, WorkerEvent, WorkerPort } from '@dmg/core';
import { type Epoch, formatEpoch, type RunningAttempt } from '@dmg/model';

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

interface View {
  readonly port: WorkerPort;
  /** The epoch under which it answered Hello; it gets no job under another one. */
  obeys: string | undefined;
  limit: number;
  used: number;
  /** `used` is believed for a while only: an attempt that we do not know of may have gone without a word. */
  usedAtMs: number;
  /** It refused; asked again then, or when it tells of a free slot. */
  refusesUntilMs: number;
  /** It did not answer a dispatch; asked again then, whatever it tells. */
  restsUntilMs: number;
  lastHeardMs: number;
  asking: boolean;
}

export interface RosterOptions {
  readonly workers: readonly WorkerPort[];
  readonly clock: Clock;
  readonly helloLimitMs: number;
  readonly refusedMs: number;
}

/** The workers as the dispatcher sees them. What it believes of slots is a hint; the worker decides. */
export class Roster {
  readonly #options: RosterOptions;
  readonly #views: ReadonlyMap<string, View>;

  constructor(options: RosterOptions) {
    this.#options = options;
    const nowMs = options.clock.monotonicMs();
    this.#views = new Map(options.workers.map((port) => [port.nodeId, {
      port, obeys: undefined, limit: 0, used: 0, usedAtMs: nowMs, refusesUntilMs: 0, restsUntilMs: 0, lastHeardMs: nowMs, asking: false,
    }]));
  }

  get nodeIds(): string[] {
    return [...this.#views.keys()];
  }

  port(nodeId: string): WorkerPort | undefined {
    return this.#views.get(nodeId)?.port;
  }

  nodeName(nodeId: string): string {
    return this.#views.get(nodeId)?.port.nodeName ?? nodeId;
  }

  /** Says Hello; `askedAt` must be taken from the order of events at the moment of the call. Never rejects. */
  async hello(nodeId: string, epoch: Epoch, askedAt: number): Promise<HelloResult> {
    const view = this.#views.get(nodeId);
    if (view === undefined) return { kind: 'silent', reason: 'no such worker' };
    const { clock, helloLimitMs } = this.#options;
    view.asking = true;
    try {
      const what = `say hello to ${view.port.nodeName}`;
      const answer = await withDeadline({ clock, limitMs: helloLimitMs, what }, () => view.port.hello(epoch));
      if (!answer.accepted) return { kind: 'refused', known: answer.known };
      view.obeys = formatEpoch(epoch);
      this.#heard(view, answer.limit, answer.used);
      return { kind: 'list', list: { nodeId, attempts: answer.attempts, askedAt } };
    } catch (reason) {
      return { kind: 'silent', reason };
    } finally {
      view.asking = false;
    }
  }

  /** Workers to say Hello to now: those that do not obey this epoch yet, or all of them. */
  toAsk(epoch: Epoch, all: boolean): string[] {
    return [...this.#views].filter(([, view]) => !view.asking && (all || view.obeys !== formatEpoch(epoch))).map(([nodeId]) => nodeId);
  }

  /** It did not answer: it gets no job until it has answered Hello again, and not at once. */
  doubt(nodeId: string): void {
    const view = this.#views.get(nodeId);
    if (view === undefined) return;
    view.obeys = undefined;
    view.restsUntilMs = this.#options.clock.monotonicMs() + this.#options.refusedMs;
  }

  onEvent(nodeId: string, event: WorkerEvent): void {
    const view = this.#views.get(nodeId);
    if (view === undefined) return;
    view.lastHeardMs = this.#options.clock.monotonicMs();
    if (event.type === 'slots') this.#heard(view, event.limit, event.used);
  }

  onAnswer(nodeId: string, answer: DispatchAnswer): void {
    const view = this.#views.get(nodeId);
    if (view === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    view.lastHeardMs = nowMs;
    const takesNone = !answer.accepted && (answer.reason === 'NO_FREE_SLOT' || answer.reason === 'DRAINING');
    if (takesNone) view.refusesUntilMs = nowMs + this.#options.refusedMs;
  }

  /** How long a worker that does not answer Hello has said nothing; 0 for one that does. */
  silentForMs(nodeId: string, epoch: Epoch): number {
    const view = this.#views.get(nodeId);
    if (view === undefined) return Number.POSITIVE_INFINITY;
    return view.obeys === formatEpoch(epoch) ? 0 : this.#options.clock.monotonicMs() - view.lastHeardMs;
  }

  /** How placement sees the workers. `active` is how many attempts the dispatcher believes to be on a node. */
  nodes(epoch: Epoch, active: (nodeId: string) => number): PlacementNode[] {
    const nowMs = this.#options.clock.monotonicMs();
    return [...this.#views].map(([nodeId, view]) => {
      if (view.obeys !== formatEpoch(epoch)) return { nodeId, status: 'Offline', freeSlots: 0 };
      if (Math.max(view.refusesUntilMs, view.restsUntilMs) > nowMs) return { nodeId, status: 'Online', freeSlots: 0 };
      const used = nowMs - view.usedAtMs < this.#options.refusedMs ? view.used : 0;
      return { nodeId, status: 'Online', freeSlots: Math.max(0, view.limit - Math.max(used, active(nodeId))) };
    });
  }

  #heard(view: View, limit: number, used: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    view.limit = limit;
    view.used = used;
    view.usedAtMs = nowMs;
    view.lastHeardMs = nowMs;
    if (used < limit) view.refusesUntilMs = 0;
  }
}
