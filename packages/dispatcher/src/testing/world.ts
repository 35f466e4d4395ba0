import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { ManualClock, type Random, seededRandom, silentLogger, silentMeter } from '@dmg/base';
import type { JobRecord } from '@dmg/core';
import {
  InMemoryJobQueue, InMemoryJobSender, InMemoryLeaseStore, InMemoryLedger, InMemoryMaster, InMemoryQueues, InMemoryReportGateway,
  InMemorySinks, InMemoryWorker,
} from '@dmg/core/testing';
import type { DispatcherReport, Epoch, Job, NodeStatus, RefusalReason } from '@dmg/model';
import { createDispatcher, type Dispatcher } from '../dispatcher.ts';
import type { DispatcherSettings } from '../options.ts';
import { type LinkModel, type LinkState, MembersModel } from './link-model.ts';
import { PlainEpochs } from './plain-epochs.ts';
import { ProcessModel } from './process-model.ts';
import { type CallHook, PromiseWatch, watchedReports } from './promise-watch.ts';
import { sign, verify } from './test-jobs.ts';

const queueName = 'gateway';
const beatMs = 500;
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export interface WorldOptions {
  readonly seed?: number;
  /** Slots of each worker. */
  readonly limit?: number;
  readonly nodes?: number;
  readonly settings?: Partial<DispatcherSettings>;
}

/** One start of a dispatcher. */
export interface Life {
  readonly process: ProcessModel;
  readonly dispatcher: Dispatcher;
  readonly members: MembersModel;
  readonly epochs: PlainEpochs;
  /** What it was told about leading, in order; undefined: not any more. */
  readonly led: (Epoch | undefined)[];
  die(): void;
}

export interface NodeModel {
  readonly nodeId: string;
  readonly worker: InMemoryWorker;
  life: Life | undefined;
  isFrozen: boolean;
}

/** Everything around the dispatchers, in memory and under one manual clock; each of them may crash, freeze and be started again. */
export class World {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly queues: InMemoryQueues;
  readonly sender: InMemoryJobSender;
  readonly ledger: InMemoryMaster;
  readonly reports = new InMemoryReportGateway();
  readonly sinks = new InMemorySinks();
  readonly nodes: NodeModel[] = [];
  readonly statuses = new Map<string, NodeStatus>();
  /** Broken promises of the dispatchers, as they were seen. */
  readonly violations: string[] = [];
  /** Why workers refused jobs. */
  readonly refusals: RefusalReason[] = [];
  losses = 0;
  /** So many times starting the queue fails. */
  failingQueueStarts = 0;
  /** While set, stopping the queue takes until then. */
  queueStopDelay: Promise<void> | undefined;
  onCall: CallHook = () => undefined;
  readonly #settings: Partial<DispatcherSettings>;
  readonly #limit: number;
  readonly #watch = new PromiseWatch(this);
  #sendNo = 0;
  #beatInMs = beatMs;

  constructor(options: WorldOptions = {}) {
    this.random = seededRandom(options.seed ?? 1);
    this.queues = new InMemoryQueues({ clock: this.clock });
    this.sender = new InMemoryJobSender(this.queues);
    this.ledger = new InMemoryMaster({ clock: this.clock, random: this.random });
    this.#settings = options.settings ?? {};
    this.#limit = options.limit ?? 2;
    for (let index = 0; index < (options.nodes ?? 1); index++) this.addNode();
  }

  /** A further node; every dispatcher hears of it. */
  addNode(): NodeModel {
    const nodeId = `n${this.nodes.length + 1}`;
    const nodeName = ['one', 'two', 'three', 'four'][this.nodes.length] ?? nodeId;
    const worker = new InMemoryWorker({ nodeId, nodeName, limit: this.#limit, clock: this.clock, sinks: this.sinks });
    const node: NodeModel = { nodeId, worker, life: undefined, isFrozen: false };
    this.nodes.push(node);
    for (const { life } of this.nodes) if (life !== undefined) life.members.join(this.#watch.link(life.process, life.epochs, worker));
    return node;
  }

  /** A node that had left the list of one dispatcher is in it again, over a new stream. */
  joinAgain({ process, epochs, members }: Life, nodeId: string): void {
    const node = this.nodes.find((one) => one.nodeId === nodeId);
    if (node === undefined) return;
    const link = this.#watch.link(process, epochs, node.worker);
    if (node.isFrozen) link.set('held');
    members.join(link);
  }

  node(index: number): NodeModel {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no node ${index}`);
    return node;
  }

  get worker(): InMemoryWorker {
    return this.node(0).worker;
  }

  get workers(): InMemoryWorker[] {
    return this.nodes.map(({ worker }) => worker);
  }

  life(index = 0): Life {
    const { life } = this.node(index);
    if (life === undefined) throw new Error(`no dispatcher was started on node ${index}`);
    return life;
  }

  get dispatcher(): Dispatcher {
    return this.life().dispatcher;
  }

  get lives(): Life[] {
    return this.nodes.flatMap(({ life }) => (life === undefined ? [] : [life]));
  }

  /** The dispatcher that leads, as it sees it itself. */
  get leader(): Dispatcher | undefined {
    return this.lives.find(({ process, dispatcher }) => !process.isFrozen && dispatcher.status().state === 'leading')?.dispatcher;
  }

  /** The stream of one node's dispatcher to another node's worker. */
  link(to: number, from = 0): LinkModel {
    const link = this.life(from).members.get(this.node(to).nodeId);
    if (link === undefined) throw new Error(`node ${to} is no member`);
    return link;
  }

  /** All streams to a worker. */
  setLinks(to: number, state: LinkState, options?: { refused: boolean }): void {
    for (const { members } of this.lives) members.get(this.node(to).nodeId)?.set(state, options);
  }

  /** A new dispatcher in a new process. */
  async start(index = 0): Promise<void> {
    const node = this.node(index);
    const { nodeId, worker } = node;
    const process = new ProcessModel(this.clock);
    const store = new InMemoryLeaseStore([this.ledger]);
    const epochs = new PlainEpochs({ store, process, random: this.random, nodeId });
    const queue = new InMemoryJobQueue({ queues: this.queues, queueName });
    const members = new MembersModel();
    for (const other of this.nodes) members.join(this.#watch.link(process, epochs, other.worker));
    for (const other of this.nodes) if (other.isFrozen) members.get(other.nodeId)?.set('held');
    const led: (Epoch | undefined)[] = [];
    const dispatcher = createDispatcher({
      queue: this.#watch.queue(queue, process, epochs), workers: members, reports: watchedReports(this.reports, process),
      ledger: this.#watch.ledger(new InMemoryLedger([this.ledger]), process, { epochs, nodeId }),
      verify, epochs, statusOf: (id) => this.statuses.get(id) ?? 'Online', obeyed: () => worker.epoch,
      onLeading: (epoch) => void led.push(epoch), clock: process, random: this.random, logger: silentLogger, meter: silentMeter,
      nodeId, nodeName: worker.nodeName, settings: this.#settings,
    });
    node.life = {
      process, dispatcher, members, epochs, led,
      die: () => {
        process.kill();
        void queue.stop();
        void dispatcher.close();
      },
    };
    dispatcher.start();
    await this.settle();
  }

  /** Kills the process of a dispatcher. `seized`: somebody has noticed and ended its lease; otherwise it runs out. */
  async crash(index = 0, options: { seized: boolean } = { seized: true }): Promise<void> {
    const node = this.node(index);
    const token = this.ledger.lead?.nodeId === node.nodeId ? this.ledger.lease?.token : undefined;
    node.life?.die();
    node.life = undefined;
    if (options.seized && token !== undefined && token === this.ledger.lead?.token) this.ledger.lease = undefined;
    await this.settle();
  }

  /** The whole node stands still: its dispatcher, its worker, its end of every stream. */
  freeze(index: number): void {
    const node = this.node(index);
    node.isFrozen = true;
    node.life?.process.freeze();
    for (const other of this.nodes) if (other !== node) other.life?.members.get(node.nodeId)?.set('held');
  }

  thaw(index: number): void {
    const node = this.node(index);
    node.isFrozen = false;
    node.life?.process.thaw();
    for (const other of this.nodes) if (other !== node) other.life?.members.get(node.nodeId)?.set('open');
  }

  async close(): Promise<void> {
    for (const [index, node] of this.nodes.entries()) if (node.isFrozen) this.thaw(index);
    for (const { process } of this.lives) process.thaw();
    const closed = this.lives.map(({ dispatcher }) => dispatcher.close());
    for (let turn = 0; turn < 10; turn++) await this.settle();
    this.clock.advance(10_000);
    await Promise.all(closed);
  }

  /** Lets everything happen that does not need time. */
  async settle(): Promise<void> {
    await nextTurn();
  }

  /** Moves time on, step by step, letting everything happen in between. Workers give their signs of life. */
  async advance(ms: number, stepMs = 250): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      const passedMs = Math.min(left, stepMs);
      this.#beatInMs -= passedMs;
      if (this.#beatInMs <= 0) {
        this.#beatInMs = beatMs;
        for (const { worker, isFrozen } of this.nodes) if (!isFrozen) worker.beat();
      }
      this.clock.advance(passedMs);
      await nextTurn();
    }
  }

  /** Sends a job; gives its `sendNo`. */
  async send(job: Job, options: { sends?: number; body?: string } = {}): Promise<number> {
    const { sends = 1, body = sign(job) } = options;
    const sendNo = ++this.#sendNo;
    await this.sender.send({ queueName, messageId: `${job.jobId}.${sends}`, sendNo, body });
    await this.settle();
    return sendNo;
  }

  /** What the dispatchers tell the control plane of themselves. */
  get dispatcherReports(): DispatcherReport[] {
    return this.lives.flatMap(({ process, dispatcher }) => (process.isFrozen ? [] : (dispatcher.report() ?? [])));
  }

  /** The ledger goes back to an older state. */
  loseSince(goBack: () => void): void {
    this.losses += 1;
    goBack();
  }

  /** Ids of messages that are still in the queue. */
  get messages(): string[] {
    return this.queues.messageIds(queueName);
  }

  record(jobId: string): JobRecord | undefined {
    return this.ledger.record(jobId);
  }

  loseLedger(): void {
    this.losses += 1;
    this.ledger.lose();
  }

  /** How the jobs ended for the control plane: the first final report of each. */
  get ends(): Map<string, string> {
    const ends = new Map<string, string>();
    for (const { jobId, outcome } of this.reports.reports) {
      const isOpen = outcome.kind === 'failed' && outcome.sink === 'open';
      if (!isOpen && !ends.has(jobId)) ends.set(jobId, outcome.kind);
    }
    return ends;
  }
}

/** A world whose first dispatcher was started; the test's end closes it and looks for broken promises. */
export async function openWorld(context: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  context.after(async () => {
    await world.close();
    assert.deepEqual(world.violations, []);
  });
  await world.start();
  return world;
}

/** Ids of the jobs whose attempts run on a node, in the order in which they were begun. */
export function running(world: World, index = 0): string[] {
  const { worker } = world.node(index);
  return worker.running.map((attemptId) => worker.request(attemptId)?.job.jobId ?? '');
}

/** The node on which a job runs, and its attempt there; undefined when there is none. */
export function whereIs(world: World, jobId: string): { readonly worker: InMemoryWorker; readonly attemptId: string } | undefined {
  for (const worker of world.workers) {
    const attemptId = worker.running.find((id) => worker.request(id)?.job.jobId === jobId);
    if (attemptId !== undefined) return { worker, attemptId };
  }
  return undefined;
}

/** The running attempt of a job on the first node that has one; empty when there is none. */
export function attemptOf(world: World, jobId: string): string {
  return whereIs(world, jobId)?.attemptId ?? '';
}

/** A job finishes where it runs. */
export async function finish(world: World, jobId: string): Promise<void> {
  const at = whereIs(world, jobId);
  at?.worker.finish(at.attemptId);
  await world.settle();
}

/** What was reported: `‹job› ‹outcome›`. */
export function kinds(world: World): string[] {
  return world.reports.reports.map(({ jobId, outcome }) => `${jobId} ${outcome.kind}`);
}
