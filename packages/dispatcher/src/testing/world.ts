import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { defineErrors, ManualClock, type Random, seededRandom, silentLogger, silentMeter } from '@dmg/base';
import type { Delivery, JobQueue, JobRecord, Ledger, ReportGateway, WorkerPort } from '@dmg/core';
import {
  InMemoryJobQueue, InMemoryJobSender, InMemoryLedger, InMemoryLedgerData, InMemoryQueues, InMemoryReportGateway, InMemorySinks,
  InMemoryWorker,
} from '@dmg/core/testing';
import type { Epoch, Job, RefusalReason } from '@dmg/model';
import { createDispatcher, type Dispatcher } from '../dispatcher.ts';
import type { DispatcherSettings } from '../options.ts';

const queueName = 'gateway';
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export const testErrors = defineErrors('TEST', {
  FORGED: { category: 'config', retry: 'never', scope: 'job', message: 'Cannot take the job: forged.', fix: 'Do not forge.' },
  AWAY: { category: 'transient', retry: 'reconnect', scope: 'node', message: 'Cannot reach the ledger.', fix: 'Wait.' },
});

export function jobOf(jobId: string, more: Partial<Job> = {}): Job {
  const end = { connector: 'file', connection: { host: '/data' }, location: {}, settings: {}, format: { type: 'Binary' } } as const;
  return {
    formatVersion: 1, jobId, gatewayId: 'g', tryNumber: 1, finalTry: true, policy: { timeoutMs: 60_000, retry: 0, retryIntervalMs: 0 },
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'ar' },
    activity: { type: 'Copy', source: end, sink: end, parallelCopies: 0, validateDataConsistency: false },
    ...more,
  };
}

export function sign(job: Job): string {
  return `signed ${JSON.stringify(job)}`;
}

function verify(text: string): Promise<Job> {
  if (!text.startsWith('signed ')) return Promise.reject(testErrors.FORGED.create());
  return Promise.resolve(JSON.parse(text.slice('signed '.length)) as Job);
}

export interface WorldOptions {
  readonly seed?: number;
  readonly limit?: number;
  readonly settings?: Partial<DispatcherSettings>;
}

/** Everything around a dispatcher, in memory and under one manual clock; the dispatcher itself may crash and be started again. */
export class World {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly queues: InMemoryQueues;
  readonly sender: InMemoryJobSender;
  readonly ledger: InMemoryLedgerData;
  readonly reports = new InMemoryReportGateway();
  readonly sinks = new InMemorySinks();
  readonly worker: InMemoryWorker;
  /** Broken promises of the dispatcher, as they were seen. */
  readonly violations: string[] = [];
  /** Why the worker refused jobs. */
  readonly refusals: RefusalReason[] = [];
  losses = 0;
  /** So many times starting the queue fails. */
  failingQueueStarts = 0;
  #settings: Partial<DispatcherSettings>;
  #life: { dispatcher: Dispatcher; die(): void } | undefined;
  readonly #lossesAtPut = new Map<string, number>();
  #sendNo = 0;

  constructor(options: WorldOptions = {}) {
    this.random = seededRandom(options.seed ?? 1);
    this.queues = new InMemoryQueues({ clock: this.clock });
    this.sender = new InMemoryJobSender(this.queues);
    this.ledger = new InMemoryLedgerData(this.random);
    this.worker = new InMemoryWorker({ nodeId: 'n1', nodeName: 'one', limit: options.limit ?? 2, clock: this.clock, sinks: this.sinks });
    this.#settings = options.settings ?? {};
  }

  get dispatcher(): Dispatcher {
    if (this.#life === undefined) throw new Error('no dispatcher was started');
    return this.#life.dispatcher;
  }

  /** A new dispatcher in a new process. */
  async start(): Promise<void> {
    const life = { dead: false };
    const alive = <T>(work: () => Promise<T>): Promise<T> => silentAfterDeath(life, work);
    const queue = new InMemoryJobQueue({ queues: this.queues, queueName });
    const dispatcher = createDispatcher({
      queue: this.#watched(queue, life), ledger: this.#watchedLedger(new InMemoryLedger(this.ledger), alive),
      workers: [this.#watchedWorker(life, alive)], reports: this.#watchedReports(alive), verify,
      clock: this.clock, random: this.random, logger: silentLogger, meter: silentMeter,
      nodeId: 'n1', nodeName: 'one', address: 'here', settings: this.#settings,
    });
    this.#life = {
      dispatcher,
      die: () => {
        life.dead = true;
        void queue.stop();
        void dispatcher.close();
      },
    };
    dispatcher.start();
    await this.settle();
  }

  /** Kills the process of the dispatcher: nothing that it began is finished, nothing that comes reaches it. */
  async crash(): Promise<void> {
    this.#life?.die();
    this.#life = undefined;
    await this.settle();
  }

  async close(): Promise<void> {
    const closed = this.#life?.dispatcher.close();
    for (let turn = 0; turn < 10; turn++) await this.settle();
    this.clock.advance(10_000);
    await closed;
  }

  /** Lets everything happen that does not need time. */
  async settle(): Promise<void> {
    await nextTurn();
  }

  /** Moves time on, step by step, letting everything happen in between. */
  async advance(ms: number, stepMs = 250): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs));
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

  /** Whether there is a dispatcher at all. */
  get leads(): boolean {
    return this.#life !== undefined;
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

  /** The ledger had this job once, and lost data since. */
  #lostSincePut(jobId: string): boolean {
    return this.#lossesAtPut.has(jobId) && this.#lossesAtPut.get(jobId) !== this.losses;
  }

  #watched(queue: InMemoryJobQueue, life: { dead: boolean }): JobQueue {
    const watch = (delivery: Delivery): Delivery => ({
      ...delivery,
      complete: () => {
        const jobId = delivery.messageId.split('.')[0] ?? '';
        const has = this.ledger.jobs.has(jobId) || this.#lostSincePut(jobId);
        if (!has) this.violations.push(`message ${delivery.messageId} completed before the ledger had it`);
        return delivery.complete();
      },
    });
    return {
      start: (receive) => {
        if (this.failingQueueStarts-- > 0) return Promise.reject(new Error('no such queue'));
        return queue.start((delivery) => (life.dead ? new Promise<void>(() => undefined) : receive(watch(delivery))));
      },
      stop: () => queue.stop(),
      state: () => queue.state(),
      drainDeadLetters: (take) => queue.drainDeadLetters(take),
    };
  }

  #watchedLedger(ledger: Ledger, alive: <T>(work: () => Promise<T>) => Promise<T>): Ledger {
    return {
      head: () => alive(() => ledger.head()),
      install: (epoch, node) => alive(() => ledger.install(epoch, node)),
      put: (epoch, record) => alive(async () => {
        const { losses } = this;
        const answer = await ledger.put(epoch, record);
        if (answer === 'ok') this.#lossesAtPut.set(record.jobId, losses);
        return answer;
      }),
      readAll: () => alive(() => ledger.readAll()),
      remove: (epoch, jobId) => alive(() => ledger.remove(epoch, jobId)),
      close: () => ledger.close(),
    };
  }

  #watchedWorker(life: { dead: boolean }, alive: <T>(work: () => Promise<T>) => Promise<T>): WorkerPort {
    const { worker } = this;
    return {
      nodeId: worker.nodeId, nodeName: worker.nodeName,
      hello: (epoch: Epoch) => alive(() => worker.hello(epoch)),
      dispatch: (request) => alive(async () => {
        const { jobId } = request.job;
        const has = this.ledger.record(jobId)?.attempt?.attemptId === request.attemptId || this.#lostSincePut(jobId);
        if (!has) this.violations.push(`an attempt of ${jobId} was dispatched before the ledger had it`);
        const answer = await worker.dispatch(request);
        if (!answer.accepted) this.refusals.push(answer.reason);
        return answer;
      }),
      cancel: (attemptId) => alive(() => worker.cancel(attemptId)),
      subscribe: (listen) => worker.subscribe((event) => {
        if (!life.dead) listen(event);
      }),
    };
  }

  #watchedReports(alive: <T>(work: () => Promise<T>) => Promise<T>): ReportGateway {
    const { reports } = this;
    return {
      report: (report) => alive(() => reports.report(report)),
      deadLettered: (report) => alive(() => reports.deadLettered(report)),
      fetchSignedJob: (address) => alive(() => reports.fetchSignedJob(address)),
    };
  }
}

/** A process that was killed hears no answers and makes no calls. */
function silentAfterDeath<T>(life: { dead: boolean }, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    if (life.dead) return;
    work().then((value) => void (life.dead || resolve(value)), (error: unknown) => void (life.dead || reject(error as Error)));
  });
}

/** A world whose dispatcher was started; the test's end closes it and looks for broken promises. */
export async function openWorld(context: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  context.after(async () => {
    await world.close();
    assert.deepEqual(world.violations, []);
  });
  await world.start();
  return world;
}

/** Ids of the jobs whose attempts run, in the order in which they were begun. */
export function running(world: World): string[] {
  return world.worker.running.map((attemptId) => world.worker.request(attemptId)?.job.jobId ?? '');
}

/** The running attempt of a job; empty when there is none. */
export function attemptOf(world: World, jobId: string): string {
  return world.worker.running.find((id) => world.worker.request(id)?.job.jobId === jobId) ?? '';
}

/** What was reported: `‹job› ‹outcome›`. */
export function kinds(world: World): string[] {
  return world.reports.reports.map(({ jobId, outcome }) => `${jobId} ${outcome.kind}`);
}
