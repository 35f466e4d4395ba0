import { firstLine, newId } from '@dmg/base';
import { type JobContext, type JobEvent, placeJobs, placementKind } from '@dmg/core';
import { type Epoch, formatEpoch, type RefusalReason } from '@dmg/model';
import { EffectRunner } from './effect-runner.ts';
import { dispatcherErrors } from './errors.ts';
import { asWaitingJob, type JobEntry, JobTable } from './job-table.ts';
import type { LedgerSession } from './ledger-session.ts';
import type { Mail } from './mail.ts';
import { dispatcherMetrics } from './metrics.ts';
import type { DispatcherOptions, DispatcherSettings } from './options.ts';
import { type ReceivedJob, Receiver } from './receiver.ts';
import { Recent } from './recent.ts';
import { Reporter } from './reporter.ts';
import { type HelloResult, Roster } from './roster.ts';

/** Ids that are remembered: attempts that ended (a list may still name them), cancels of jobs that have not come yet. */
const rememberedMax = 10_000;

/**
 * The one place where jobs change: takes mail, steps the machines, places what waits, has effects done. Everything that happens
 * elsewhere (messages, answers of workers, acknowledgements, time) comes in as mail and is handled in its order.
 */
export class DispatchLoop {
  readonly table = new JobTable();
  readonly roster: Roster;
  readonly reporter: Reporter;
  readonly receiver: Receiver;
  readonly effects: EffectRunner;
  /** The session under which may be written; undefined before the first grant. */
  session: LedgerSession | undefined;
  /** True between the end of reconciling and the loss of the session: jobs are received and placed. */
  leading = false;
  readonly #options: DispatcherOptions;
  readonly #settings: DispatcherSettings;
  readonly #mail: Mail[] = [];
  readonly #endedAttempts = new Recent(rememberedMax);
  readonly #cancelWishes = new Recent(rememberedMax);
  readonly #onTick: () => void;
  #scheduled = false;
  #paused = true;
  #closed = false;
  /** Place in the order of events. */
  #now = 0;

  constructor(options: DispatcherOptions, settings: DispatcherSettings, hooks: { onTick(): void; onDeadLettered(): void }) {
    const { clock, random, logger, meter, reports, workers } = options;
    this.#options = options;
    this.#settings = settings;
    this.#onTick = hooks.onTick;
    this.roster = new Roster({ workers, clock, helloLimitMs: settings.helloLimitMs, refusedMs: settings.refusedMs });
    this.reporter = new Reporter({
      gateway: reports, clock, random, logger, atOnce: settings.reportsAtOnce,
      acknowledged: (jobId, end) => this.post({ type: 'job', jobId, event: { type: 'reported', end } }),
    });
    const verify = (signedJob: string): ReturnType<DispatcherOptions['verify']> => options.verify(signedJob);
    this.receiver = new Receiver({
      clock, logger, meter, reports, verify, settleLimitMs: settings.settleLimitMs, onDeadLettered: hooks.onDeadLettered,
      onJob: (received) => this.post({ type: 'received', received }), room: () => this.#room(),
    });
    this.effects = new EffectRunner({
      roster: this.roster, reporter: this.reporter, clock, logger, meter, dispatchLimitMs: settings.dispatchLimitMs, verify,
      post: (mail) => this.post(mail), session: () => this.session, mayDispatch: () => this.leading && this.session?.alive === true,
    });
  }

  post(mail: Mail): void {
    if (this.#closed) return;
    if (mail.type === 'worker' && mail.event.type === 'ended') this.#endedAttempts.add(mail.event.attemptId);
    this.#mail.push(mail);
    this.#schedule();
  }

  /** Mail is handled from now on; until the ledger was read for the first time nobody could tell what it means. */
  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.reporter.close();
  }

  cancelJob(jobId: string): void {
    this.#cancelWishes.add(jobId);
    this.post({ type: 'job', jobId, event: { type: 'cancelRequested' } });
  }

  /** Greets a worker and, when it answers, gives its list as mail; jobs that we do not know are verified from its copies. */
  async hello(nodeId: string, epoch: Epoch): Promise<{ result: HelloResult; mail: Mail | undefined }> {
    const result = await this.roster.hello(nodeId, epoch, ++this.#now);
    if (result.kind !== 'list') return { result, mail: undefined };
    const finalTries = new Map<string, boolean>();
    for (const { jobId, signedJob, tryNumber } of result.list.attempts) {
      const known = this.table.get(jobId);
      if (signedJob === undefined || (known !== undefined && known.record.tryNumber >= tryNumber)) continue;
      try {
        finalTries.set(jobId, (await this.#options.verify(signedJob)).finalTry);
      } catch (error) {
        this.#options.logger.error({ jobId, nodeId, reason: firstLine(error) }, 'worker runs a job that is not signed for us');
      }
    }
    return { result, mail: { type: 'list', list: result.list, finalTries } };
  }

  /** Greets workers while leading: those that have not answered yet, or all, to compare lists. */
  greet(all: boolean): void {
    const { session } = this;
    if (!this.leading || session === undefined) return;
    for (const nodeId of this.roster.toAsk(session.epoch, all)) void this.#greetOne(nodeId, session);
  }

  async #greetOne(nodeId: string, session: LedgerSession): Promise<void> {
    const { result, mail } = await this.hello(nodeId, session.epoch);
    if (session !== this.session || !session.alive) return;
    if (mail !== undefined) return this.post(mail);
    if (result.kind === 'refused') this.#replaced(session, nodeId, formatEpoch(result.known));
    else this.roster.doubt(nodeId);
  }

  /** A worker obeys another dispatcher. */
  #replaced(session: LedgerSession | undefined, nodeId: string, known: string): void {
    session?.end(dispatcherErrors.HELLO_REFUSED.create({ nodeName: this.roster.nodeName(nodeId), known }));
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }

  #drain(): void {
    for (let mail = this.#mail.shift(); mail !== undefined; mail = this.#mail.shift()) this.#handle(mail);
    this.place();
    this.receiver.release();
    this.#options.meter.set(dispatcherMetrics.waiting, this.table.waitingForSlot());
  }

  #handle(mail: Mail): void {
    switch (mail.type) {
      case 'received': return this.#onReceived(mail.received);
      case 'job': return this.#step(mail.jobId, mail.event);
      case 'answered': return this.#onAnswered(mail);
      case 'worker': return this.#onWorker(mail);
      case 'list': return this.#onList(mail);
      case 'tick': return this.#onTick();
    }
  }

  #step(jobId: string, event: JobEvent, received?: ReceivedJob): void {
    const { clock, logger } = this.#options;
    const context: JobContext = { jobId, epochN: this.session?.epoch.n ?? 0, nowWallMs: clock.wallMs(), nodeName: this.#options.nodeName };
    const before = this.table.get(jobId)?.record.state;
    const { entry, effects } = this.table.step(event, context, clock.monotonicMs());
    if (entry === undefined) return;
    const { signedJob, state, tryNumber, end } = entry.record;
    if (received?.signedJob === signedJob) entry.verified = { signedJob, job: received.job };
    if (state === 'Ended' && before !== 'Ended') logger.info({ jobId, tryNumber, outcome: end?.outcome.kind }, 'job ended');
    this.effects.perform(entry, effects, received);
    const wished = event.type === 'received' || event.type === 'listed';
    if (wished && this.#cancelWishes.take(jobId)) this.#step(jobId, { type: 'cancelRequested' });
    if (event.type === 'cancelRequested') this.#cancelWishes.take(jobId);
  }

  #onReceived(received: ReceivedJob): void {
    const { job, signedJob, sendNo, firstDelivery } = received;
    const { strandedMax } = this.#settings;
    if (this.table.get(job.jobId) === undefined && this.table.waitingCount - this.table.waitingForSlot() >= strandedMax) {
      const kind = placementKind(job);
      const waiting = this.table.strandedOf(kind);
      const why = `${waiting} jobs of this kind wait for a node that can run them`;
      if (waiting >= strandedMax) return received.turnAway('NO_ELIGIBLE_NODE', why);
    }
    const { jobId, tryNumber, finalTry } = job;
    this.#step(jobId, { type: 'received', tryNumber, finalTry, sendNo, firstDelivery, signedJob }, received);
  }

  #onAnswered({ jobId, attemptId, nodeId, answer }: Mail & { type: 'answered' }): void {
    const entry = this.table.get(jobId);
    const current = entry?.record.attempt?.attemptId === attemptId;
    if (answer === undefined) {
      if (entry !== undefined && current) entry.knownAt ??= ++this.#now;
      this.roster.doubt(nodeId);
      return this.greet(false);
    }
    this.roster.onAnswer(nodeId, answer);
    if (answer.accepted) {
      if (entry !== undefined && current) this.#onAccepted(entry);
      return this.#step(jobId, { type: 'accepted', attemptId });
    }
    if (entry !== undefined) this.#keepAway(entry, nodeId, answer);
    this.#step(jobId, { type: 'refused', attemptId, reason: answer.reason, evidence: answer.evidence });
    if (answer.reason === 'ALREADY_RUNNING') this.greet(true);
    if (answer.reason === 'STALE_EPOCH') this.#replaced(this.session, nodeId, answer.evidence);
  }

  #onAccepted(entry: JobEntry): void {
    const nowMs = this.#options.clock.monotonicMs();
    entry.knownAt ??= ++this.#now;
    const { waitingSinceMs } = entry;
    entry.waitingSinceMs = undefined;
    if (waitingSinceMs !== undefined) this.#options.meter.observe(dispatcherMetrics.waitSeconds, (nowMs - waitingSinceMs) / 1000);
  }

  /** What a refusal says of this job on this node, not of the node. */
  #keepAway(entry: JobEntry, nodeId: string, { reason, evidence }: { reason: RefusalReason; evidence: string }): void {
    const { ineligibleMs, refusedMs } = this.#settings;
    const delaysMs: Partial<Record<RefusalReason, number>> = {
      NOT_ELIGIBLE: ineligibleMs, BAD_SIGNATURE: refusedMs, ALREADY_RUNNING: refusedMs,
    };
    const delayMs = delaysMs[reason];
    if (delayMs !== undefined) entry.ineligible.set(nodeId, { reason: evidence, untilMs: this.#options.clock.monotonicMs() + delayMs });
  }

  #onWorker({ nodeId, event }: Mail & { type: 'worker' }): void {
    this.roster.onEvent(nodeId, event);
    if (event.type === 'slots') return;
    const { jobId, attemptId } = event;
    if (event.type === 'ended') {
      const { tryNumber, outcome, startedAtMs: startedAtWallMs, endedAtMs: endedAtWallMs } = event;
      const nodeName = this.roster.nodeName(nodeId);
      return this.#step(jobId, { type: 'ended', attemptId, tryNumber, nodeName, outcome, startedAtWallMs, endedAtWallMs });
    }
    const entry = this.table.get(jobId);
    if (entry?.record.state !== 'Dispatched' || entry.record.attempt?.attemptId !== attemptId) return;
    entry.knownAt ??= ++this.#now;
    this.#step(jobId, { type: 'progress', attemptId });
  }

  #onList({ list: { nodeId, attempts, askedAt }, finalTries }: Mail & { type: 'list' }): void {
    const listed = new Set(attempts.map((attempt) => attempt.attemptId));
    for (const entry of this.table.on(nodeId)) {
      const { attempt } = entry.record;
      if (attempt === undefined || listed.has(attempt.attemptId) || entry.knownAt === undefined || entry.knownAt >= askedAt) continue;
      this.#options.logger.info({ jobId: entry.jobId, attemptId: attempt.attemptId, nodeId }, 'attempt is gone, job waits again');
      this.#step(entry.jobId, { type: 'notListed', nodeId });
    }
    for (const attempt of attempts) {
      // It ended after the list was made.
      if (this.#endedAttempts.has(attempt.attemptId)) continue;
      const finalTry = finalTries.get(attempt.jobId);
      const { signedJob: _unverified, ...rest } = attempt;
      this.#step(attempt.jobId, { type: 'listed', nodeId, attempt: finalTry === undefined ? rest : attempt, finalTry: finalTry ?? false });
      const entry = this.table.get(attempt.jobId);
      if (entry?.record.attempt?.attemptId === attempt.attemptId) entry.knownAt ??= askedAt;
    }
  }

  /** A node that has said nothing for too long, or that does not exist any more, has lost its attempts. */
  giveUp(nodeId: string): void {
    for (const entry of this.table.on(nodeId)) if (entry.knownAt !== undefined) this.#step(entry.jobId, { type: 'notListed', nodeId });
  }

  forget(jobId: string): void {
    this.#step(jobId, { type: 'forgotten' });
  }

  place(): void {
    const { session } = this;
    if (!this.leading || session === undefined || !session.alive || this.table.waitingCount === 0) return;
    const nowMs = this.#options.clock.monotonicMs();
    const waiting = [...this.table.waiting()];
    const { assignments, passedOver } = placeJobs(
      waiting.map((entry) => asWaitingJob(entry, nowMs)), this.roster.nodes(session.epoch, (nodeId) => this.table.activeOn(nodeId)),
    );
    const stranded = new Set(passedOver.map((one) => one.jobId));
    // Without any node nobody is stranded: the window has to close.
    for (const entry of waiting) entry.stranded = entry.ineligible.size > 0 && stranded.has(entry.jobId);
    for (const { jobId, nodeId, step } of assignments) {
      this.#step(jobId, { type: 'placed', attemptId: newId(this.#options.random), nodeId, step });
    }
  }

  #room(): number {
    const { session } = this;
    if (session === undefined) return 0;
    const free = this.roster.nodes(session.epoch, (nodeId) => this.table.activeOn(nodeId)).reduce((sum, node) => sum + node.freeSlots, 0);
    return free + this.#settings.surplus - this.table.waitingForSlot();
  }
}
