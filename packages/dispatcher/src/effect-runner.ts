import { type Clock, firstLine, type Logger, type Meter, withDeadline } from '@dmg/base';
import { type JobEffect, nextStep } from '@dmg/core';
import type { Job } from '@dmg/model';
import { assistantIn } from './assist-desk.ts';
import type { JobEntry } from './job-table.ts';
import type { LedgerSession } from './ledger-session.ts';
import type { Mail } from './mail.ts';
import { dispatcherMetrics } from './metrics.ts';
import type { ReceivedJob } from './receiver.ts';
import type { Reporter } from './reporter.ts';
import type { Roster } from './roster.ts';

export interface EffectRunnerOptions {
  readonly roster: Roster;
  readonly reporter: Reporter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly dispatchLimitMs: number;
  verify(signedJob: string): Promise<Job>;
  post(mail: Mail): void;
  /** The session under which may be written now. */
  session(): LedgerSession | undefined;
  /** Whether jobs are placed now. */
  isLeading(): boolean;
}

/** What an attempt is told. */
type Spoken = JobEffect & { type: 'stop' | 'supersede' | 'dismiss' | 'tell' };

/**
 * Does what the job machine asks for, in its order: what stands before `write` at once, what stands after it only when the ledger
 * has the record. For one job these follow each other; different jobs do not wait for one another.
 */
export class EffectRunner {
  readonly #options: EffectRunnerOptions;

  constructor(options: EffectRunnerOptions) {
    this.#options = options;
  }

  perform(entry: JobEntry, effects: readonly JobEffect[], received?: ReceivedJob): void {
    const writeAt = effects.findIndex((effect) => effect.type === 'write');
    const gated = writeAt < 0 ? [] : effects.slice(writeAt + 1);
    for (const effect of writeAt < 0 ? effects : effects.slice(0, writeAt)) this.#do(entry, effect, received);
    if (writeAt < 0) return;
    // A message is completed on the ledger's word of this moment, not on what it said earlier.
    const again = gated.some((effect) => effect.type === 'complete');
    void this.#chain(entry, async () => {
      const written = await (this.#options.session()?.write(entry, again) ?? false);
      for (const effect of gated) if (written) this.#do(entry, effect, received); else this.#withhold(entry, effect, received);
    });
  }

  /** Brings the ledger up to what is in memory. Resolves when it was tried. */
  write(entry: JobEntry): Promise<void> {
    return this.#chain(entry, async () => void await this.#options.session()?.write(entry, false));
  }

  #chain(entry: JobEntry, work: () => Promise<void>): Promise<void> {
    entry.tail = entry.tail.then(work);
    return entry.tail;
  }

  #do(entry: JobEntry, effect: JobEffect, received: ReceivedJob | undefined): void {
    switch (effect.type) {
      case 'write': return;
      case 'complete': return received?.settle('complete');
      case 'report': return this.#options.reporter.add(entry.jobId, effect.end);
      case 'dispatch': return void this.#dispatch(entry, effect);
      case 'stop':
      case 'supersede':
      case 'dismiss':
      case 'tell': return void this.speak(entry.jobId, effect);
      case 'remove': return void this.#chain(entry, async () => void await this.#options.session()?.remove(entry.jobId));
    }
  }

  /** The ledger did not take the record. */
  #withhold(entry: JobEntry, effect: JobEffect, received: ReceivedJob | undefined): void {
    if (effect.type === 'complete') received?.settle('leave');
    if (effect.type === 'dispatch') this.#undispatched(entry, effect.attemptId);
    if (effect.type === 'report') this.#options.post({ type: 'job', jobId: entry.jobId, event: { type: 'endWithheld', end: effect.end } });
  }

  #undispatched(entry: JobEntry, attemptId: string): void {
    this.#options.post({ type: 'job', jobId: entry.jobId, event: { type: 'undispatched', attemptId } });
  }

  async #dispatch(entry: JobEntry, { attemptId, nodeId, step, share }: JobEffect & { type: 'dispatch' }): Promise<void> {
    const { roster, clock, dispatchLimitMs: limitMs, post, meter, logger } = this.#options;
    const { jobId } = entry;
    const job = await this.#jobOf(entry);
    const session = this.#options.session();
    while (session?.mayAct() === false) if (!(await session.ready())) break;
    // From here to the call nothing else happens.
    const { record } = entry;
    const port = roster.port(nodeId);
    const isCurrent = record.attempt?.attemptId === attemptId && record.state === 'Dispatched' && nextStep(record) === step;
    const stillWanted = isCurrent || assistantIn(entry, attemptId) !== undefined;
    const mayDispatch = session?.mayAct() === true && this.#options.isLeading();
    if (job === undefined || port === undefined || session === undefined || !stillWanted || !mayDispatch) {
      this.#undispatched(entry, attemptId);
      if (job === undefined) post({ type: 'job', jobId, event: { type: 'forgotten' } });
      return;
    }
    try {
      const shared = share === undefined ? {} : { share };
      const request = { job, signedJob: record.signedJob, attemptId, step, epoch: session.epoch, ...shared };
      const answer = await withDeadline({ clock, limitMs, what: `dispatch a job to ${port.nodeName}` }, () => port.dispatch(request));
      const labels = answer.accepted ? { outcome: 'accepted', reason: 'none' } : { outcome: 'refused', reason: answer.reason };
      meter.add(dispatcherMetrics.jobs, 1, labels);
      if (!answer.accepted) logger.debug({ jobId, attemptId, nodeId, reason: answer.reason, evidence: answer.evidence }, 'job refused');
      post({ type: 'answered', jobId, attemptId, nodeId, session, answer });
    } catch (error) {
      meter.add(dispatcherMetrics.jobs, 1, { outcome: 'unreachable', reason: 'none' });
      logger.warn({ jobId, attemptId, nodeId, reason: firstLine(error) }, 'worker did not answer a dispatch');
      post({ type: 'answered', jobId, attemptId, nodeId, session, answer: undefined });
    }
  }

  /** The verified job of an entry; undefined when what the ledger held is not one that the control plane signed. */
  async #jobOf(entry: JobEntry): Promise<Job | undefined> {
    const { signedJob } = entry.record;
    if (entry.verified?.signedJob === signedJob) return entry.verified.job;
    try {
      const job = await this.#options.verify(signedJob);
      entry.verified = { signedJob, job };
      return job;
    } catch (error) {
      this.#options.logger.error({ jobId: entry.jobId, reason: firstLine(error) }, 'job in the ledger is not a signed job, forgotten');
      return undefined;
    }
  }

  /** Says something to an attempt. Nothing is done without the right to act: a new session learns from the lists what still runs. */
  async speak(jobId: string, effect: Spoken): Promise<void> {
    const { roster, clock, dispatchLimitMs: limitMs, logger } = this.#options;
    const { type, attemptId, nodeId } = effect;
    const session = this.#options.session();
    while (session?.mayAct() !== true) if (!(await (session?.ready() ?? false))) return;
    const port = roster.port(nodeId);
    if (port === undefined) return;
    try {
      await withDeadline({ clock, limitMs, what: `${type} an attempt on ${port.nodeName}` }, async () => {
        if (effect.type === 'stop') await port.cancel(attemptId);
        else if (effect.type === 'tell') await port.tellAssistants?.(attemptId, effect.assistants);
        else await port.supersede?.(attemptId);
      });
    } catch (error) {
      // The node stops a cancelled one too, from its desired state; the next list brings up what still runs.
      logger.warn({ jobId, attemptId, nodeId, type, reason: firstLine(error) }, 'worker did not answer');
    }
  }
}
