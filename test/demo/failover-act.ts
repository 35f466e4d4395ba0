import { systemClock } from '@dmg/base';
import { within } from '../harness/wait-for.ts';
import type { DemoNodes } from './demo-nodes.ts';

/** What the demo shows of the cluster, step by step, beside the copies. */
export interface Failover {
  readonly killed: string;
  readonly successor: string;
  /** From the kill to the moment when another node led. */
  readonly ms: number;
}

export interface NodePicture {
  readonly name: string;
  readonly status: string;
  readonly evidence: string;
  readonly isDispatcher: boolean;
  readonly running: number | undefined;
}

export interface CopyPicture {
  readonly activity: string;
  readonly node: string;
  readonly state: string;
  readonly bytes: number;
}

export interface FailoverActOptions {
  readonly nodes: DemoNodes;
  readonly say: (text: string) => void;
  readonly drain: (node: string) => Promise<void>;
  /** False while copies are at something on this node that its death would spoil for good. */
  readonly mayInterrupt: (node: string, copies: readonly CopyPicture[]) => Promise<boolean>;
}

const successorLimitMs = 15_000;
/** A copy on the dispatcher that has come so far is waited for; after a while any copy will do. */
const bytesMin = 4_000_000;
const patienceMs = 8000;
const drainGraceSeconds = 5;

/**
 * Kills the dispatcher's whole process group while it copies, sees who leads next and where the copies go on, sees the killed node
 * come back by itself, and drains another one. Fed with pictures of the gateway; what does not come to pass is a problem.
 */
export class FailoverAct {
  readonly #options: FailoverActOptions;
  readonly #startedMs = systemClock.monotonicMs();
  #step: 'before' | 'killing' | 'killed' | 'back' | 'draining' | 'drained' = 'before';
  #failover: Failover | undefined;
  #killedMs = 0;
  #drained = '';
  #interrupted = new Map<string, CopyPicture>();
  readonly problems: string[] = [];

  constructor(options: FailoverActOptions) {
    this.#options = options;
  }

  get failover(): Failover | undefined {
    return this.#failover;
  }

  /** All has been shown, or cannot be. */
  get isOver(): boolean {
    return this.#step === 'drained' || this.problems.length > 0;
  }

  /** What remains, for when it takes too long. */
  get awaited(): string {
    switch (this.#step) {
      case 'before':
      case 'killing': return 'a dispatcher that can be killed';
      case 'killed': return `${this.#failover?.killed ?? ''} to come back by itself`;
      case 'back':
      case 'draining':
      case 'drained': return `${this.#drained} to be drained`;
    }
  }

  /** `isLast`: all copies have ended, so none is waited for any more. */
  async see(nodes: readonly NodePicture[], copies: readonly CopyPicture[], isLast: boolean): Promise<void> {
    this.#seeResumed(copies);
    if (this.isOver) return;
    switch (this.#step) {
      case 'before': return this.#mayKill(copies, isLast);
      case 'killing': return;
      case 'killed': return this.#mayBeBack(nodes);
      case 'back': return this.#drainOne(nodes, copies);
      case 'draining': return this.#mayBeDrained(nodes);
      case 'drained': return;
    }
  }

  async #mayKill(copies: readonly CopyPicture[], isLast: boolean): Promise<void> {
    const { nodes, say } = this.#options;
    const { leader } = nodes.watch;
    if (leader === undefined) return;
    const under = copies.filter(({ state, node }) => state === 'InProgress' && node !== '');
    const there = under.filter(({ node }) => node === leader.node);
    const isPatient = systemClock.monotonicMs() - this.#startedMs < patienceMs;
    if (!isLast && !there.some(({ bytes }) => bytes >= bytesMin) && (isPatient || under.length === 0)) return;
    if (!isLast && !(await this.#options.mayInterrupt(leader.node, copies))) return;
    this.#step = 'killing';
    this.#interrupted = new Map(there.map((copy) => [copy.activity, copy]));
    say(`kill -9 of the whole process group of ${leader.node}: the dispatcher, with ${there.length} copies running on it`);
    this.#killedMs = systemClock.monotonicMs();
    nodes.killGroup(leader.node);
    try {
      const next = await within('a successor', successorLimitMs, this.#successor(leader.node, leader.n));
      this.#failover = { killed: leader.node, successor: next.node, ms: Math.round(next.atMs - this.#killedMs) };
      say(`${next.node} leads after ${this.#failover.ms} ms`);
      this.#step = 'killed';
    } catch {
      this.problems.push(`no other node led within ${successorLimitMs / 1000} s after ${leader.node} was killed`);
    }
  }

  /** The first grant of another node: the killed one may be back before, and lead again only after that. */
  async #successor(killed: string, above: number): Promise<{ node: string; atMs: number }> {
    const next = await this.#options.nodes.watch.leaderAfter(above, successorLimitMs);
    return next.node === killed ? this.#successor(killed, next.n) : next;
  }

  #seeResumed(copies: readonly CopyPicture[]): void {
    for (const { activity, node, state } of copies) {
      const before = this.#interrupted.get(activity);
      if (before === undefined || this.#failover === undefined || node === '') continue;
      if (node === before.node && state !== 'Succeeded') continue;
      this.#interrupted.delete(activity);
      const done = before.bytes >= 50_000 ? `, where ${before.node} had written ${(before.bytes / 1e6).toFixed(1)} MB` : '';
      if (node !== before.node) this.#options.say(`${activity} goes on on ${node}${done}`);
    }
  }

  #mayBeBack(nodes: readonly NodePicture[]): void {
    const { killed = '' } = this.#failover ?? {};
    const found = nodes.find(({ name }) => name === killed);
    // Until its silence is noticed the one that was killed still looks well.
    if (found?.status !== 'Online' || !this.#options.nodes.hasRestarted(killed)) return;
    this.#options.say(`${killed} is back by itself after ${((systemClock.monotonicMs() - this.#killedMs) / 1000).toFixed(1)} s`);
    this.#step = 'back';
  }

  async #drainOne(nodes: readonly NodePicture[], copies: readonly CopyPicture[]): Promise<void> {
    const victim = nodes.find(({ name, isDispatcher }) => !isDispatcher && name !== this.#failover?.killed);
    if (victim === undefined || !(await this.#options.mayInterrupt(victim.name, copies))) return;
    this.#drained = victim.name;
    this.#step = 'draining';
    this.#options.say(`draining ${victim.name}: it takes no more jobs, what runs may finish for ${drainGraceSeconds} s`);
    await this.#options.drain(victim.name);
  }

  #mayBeDrained(nodes: readonly NodePicture[]): void {
    const found = nodes.find(({ name }) => name === this.#drained);
    if (found === undefined || found.running !== 0 || found.status === 'Online') return;
    this.#options.say(`${found.name} runs nothing any more and is ${found.status}: ${found.evidence}`);
    this.#step = 'drained';
  }
}

/** The body of the request that drains a node. */
export const drainRequest = { graceSeconds: drainGraceSeconds } as const;
