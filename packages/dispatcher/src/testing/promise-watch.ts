import type { Clock } from '@dmg/base';
import type { Delivery, DispatchRequest, JobQueue, Ledger, ReportGateway } from '@dmg/core';
import type { InMemoryJobQueue, InMemoryMaster, InMemoryReportGateway, InMemoryWorker } from '@dmg/core/testing';
import { type Epoch, isAssistStep, type RefusalReason } from '@dmg/model';
import { LinkModel, type MembersModel } from './link-model.ts';
import type { PlainEpochs } from './plain-epochs.ts';
import type { ProcessModel } from './process-model.ts';

/** A dispatcher that has had an open link to a worker for so long knows what runs there. */
const knowsAfterMs = 12_000;

/** What a dispatcher's process does elsewhere; a test may freeze or kill it there, before or after. */
export type CallHook = (nodeId: string, what: string, when: 'before' | 'after') => void;

/** What the promises are judged by. */
export interface WatchedWorld {
  readonly clock: Clock;
  readonly ledger: InMemoryMaster;
  readonly nodes: readonly { readonly worker: InMemoryWorker }[];
  readonly lives: readonly { readonly process: ProcessModel; readonly members: MembersModel }[];
  readonly violations: string[];
  readonly refusals: RefusalReason[];
  readonly losses: number;
  failingQueueStarts: number;
  readonly queueStopDelay: Promise<void> | undefined;
  readonly onCall: CallHook;
}

/** What a dispatcher is given of the world; every call of it is checked against what dispatchers promise. */
export class PromiseWatch {
  readonly #world: WatchedWorld;
  readonly #lossesAtPut = new Map<string, number>();

  constructor(world: WatchedWorld) {
    this.#world = world;
  }

  /** The ledger had this job once, and lost data since. */
  #lostSincePut(jobId: string): boolean {
    return this.#lossesAtPut.has(jobId) && this.#lossesAtPut.get(jobId) !== this.#world.losses;
  }

  #mustAct(epochs: PlainEpochs, what: string): void {
    if (!epochs.mayAct()) this.#world.violations.push(`${what} without the right to act`);
  }

  queue(queue: InMemoryJobQueue, process: ProcessModel, epochs: PlainEpochs): JobQueue {
    const watch = (delivery: Delivery): Delivery => ({
      ...delivery,
      complete: () => {
        const jobId = delivery.messageId.split('.')[0] ?? '';
        const has = this.#world.ledger.jobs.has(jobId) || this.#lostSincePut(jobId);
        if (!has) this.#world.violations.push(`message ${delivery.messageId} completed before the ledger had it`);
        this.#mustAct(epochs, `message ${delivery.messageId} completed`);
        return process.call(() => delivery.complete());
      },
      deadLetter: (reason, description) => {
        this.#mustAct(epochs, `message ${delivery.messageId} dead-lettered`);
        return process.call(() => delivery.deadLetter(reason, description));
      },
    });
    return {
      start: (receive) => {
        if (this.#world.failingQueueStarts-- > 0) return Promise.reject(new Error('no such queue'));
        return queue.start((delivery) => new Promise((resolve) => {
          process.run(() => void receive(watch(delivery)).then(resolve));
        }));
      },
      warm: () => queue.warm(),
      stop: () => process.call(async () => {
        await this.#world.queueStopDelay;
        await queue.stop();
      }),
      state: () => queue.state(),
      drainDeadLetters: (take) => queue.drainDeadLetters(take),
    };
  }

  ledger(ledger: Ledger, process: ProcessModel, { epochs, nodeId }: { epochs: PlainEpochs; nodeId: string }): Ledger {
    const call = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      this.#world.onCall(nodeId, what, 'before');
      const answer = await process.call(work);
      this.#world.onCall(nodeId, what, 'after');
      return answer;
    };
    return {
      put: (epoch, record) => {
        this.#mustAct(epochs, `${record.jobId} written`);
        return call('put', async () => {
          const { losses } = this.#world;
          const answer = await ledger.put(epoch, record);
          if (answer === 'ok') this.#lossesAtPut.set(record.jobId, losses);
          return answer;
        });
      },
      preread: () => call('preread', () => ledger.preread()),
      readAll: () => call('readAll', () => ledger.readAll()),
      remove: (epoch, jobId) => {
        this.#mustAct(epochs, `${jobId} removed`);
        return call('remove', () => ledger.remove(epoch, jobId));
      },
      close: () => ledger.close(),
    };
  }

  link(process: ProcessModel, epochs: PlainEpochs, worker: InMemoryWorker): LinkModel {
    return new LinkModel(process, worker, {
      onEffect: (what, request) => {
        this.#mustAct(epochs, `${what} on ${worker.nodeId}`);
        if (request === undefined) return;
        const { jobId } = request.job;
        const { attempt, assistants = [] } = this.#world.ledger.record(jobId) ?? {};
        const known = [attempt?.attemptId, ...assistants.map(({ attemptId }) => attemptId)];
        const has = known.includes(request.attemptId) || this.#lostSincePut(jobId);
        const stands = this.#world.ledger.lead?.n === request.epoch.n;
        if (!has && stands) this.#broken(`an attempt of ${jobId} was dispatched before the ledger had it`);
        if (request.step === 'copy') this.#mustNotRun(process, request.epoch, jobId);
      },
      onAnswer: (answer) => {
        if (!answer.accepted) this.#world.refusals.push(answer.reason);
      },
    });
  }

  #broken(promise: string): void {
    this.#world.violations.push(promise);
  }

  /** A job that runs where its dispatcher can see it is not begun again. */
  #mustNotRun(process: ProcessModel, epoch: Epoch, jobId: string): void {
    const members = this.#world.lives.find((life) => life.process === process)?.members;
    for (const { worker } of this.#world.nodes) {
      const sees = this.#world.clock.monotonicMs() - (members?.get(worker.nodeId)?.openSinceMs ?? Number.POSITIVE_INFINITY) >= knowsAfterMs;
      const runs = worker.running.map((attemptId) => worker.request(attemptId)).some((one) => one?.job.jobId === jobId && leads(one));
      if (sees && runs && worker.epoch?.n === epoch.n) this.#broken(`${jobId} was begun again although ${worker.nodeId} runs it`);
    }
  }
}

function leads({ step }: DispatchRequest): boolean {
  return !isAssistStep(step);
}

export function watchedReports(reports: InMemoryReportGateway, process: ProcessModel): ReportGateway {
  return {
    report: (report) => process.call(() => reports.report(report)),
    deadLettered: (report) => process.call(() => reports.deadLettered(report)),
    fetchSignedJob: (address) => process.call(() => reports.fetchSignedJob(address)),
  };
}
