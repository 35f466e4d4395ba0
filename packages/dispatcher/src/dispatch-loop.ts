import { firstLine, newId } from '@dmg/base';
import {
  type JobContext, type JobEvent, type JobRecord, placeJobs, placementKind, type PlacementNode, takingNodes, type WorkerEvent,
} from '@dmg/core';
import { formatEpoch, isAssistStep } from '@dmg/model';
import { AssistDesk } from './assist-desk.ts';
import { EffectRunner } from './effect-runner.ts';
import { dispatcherErrors } from './errors.ts';
import { asWaitingJob, type JobEntry, JobTable, keepAway } from './job-table.ts';
import { KeptEnds } from './kept-ends.ts';
import type { LedgerSession } from './ledger-session.ts';
import { readFinalTries } from './list-check.ts';
import type { Mail } from './mail.ts';
import { dispatcherMetrics } from './metrics.ts';
import type { DispatcherOptions, DispatcherSettings } from './options.ts';
import { type ReceivedJob, Receiver } from './receiver.ts';
import { Recent } from './recent.ts';
import { Reporter } from './reporter.ts';
import { Roster } from './roster.ts';

/** Ids that are remembered: attempts that ended (a list may still name them), cancels of jobs that have not come yet. */
const rememberedMax = 10_000;

type ListMail = Mail & { type: 'list' };

/**
 * The one place where jobs change: takes mail, steps the machines, places what waits, has effects done. Everything that happens
 * elsewhere (messages, answers of workers, acknowledgements, time) comes in as mail and is handled in its order.
 */
export class DispatchLoop {
  readonly table = new JobTable((jobId, end) => this.reporter.isPending(jobId, end));
  readonly roster: Roster;
  readonly reporter: Reporter;
  readonly receiver: Receiver;
  readonly effects: EffectRunner;
  /** The session that began last; over when this node has lost the right to act since. Undefined before the first. */
  session: LedgerSession | undefined;
  /** True between the end of reconciling and the loss of the session: jobs are received and placed. */
  leading = false;
  /** Largest epoch number with which a worker has refused us. */
  highestKnown = 0;
  readonly #options: DispatcherOptions;
  readonly #settings: DispatcherSettings;
  readonly #mail: Mail[] = [];
  readonly #endedAttempts = new Recent(rememberedMax);
  readonly #cancelWishes = new Recent(rememberedMax);
  readonly #keptEnds: KeptEnds;
  readonly #assist: AssistDesk;
  readonly #onTick: () => void;
  /** The session that is about to begin, and the lists that have come for it. */
  #opening: { readonly session: LedgerSession; readonly lists: ListMail[] } | undefined;
  #scheduled = false;
  #closed = false;
  #isWaitingToPlace = false;
  /** Place in the order of events. */
  #now = 0;

  constructor(options: DispatcherOptions, settings: DispatcherSettings, hooks: { onTick(): void; onDeadLettered(): void }) {
    const { clock, random, logger, meter, reports, workers } = options;
    this.#options = options;
    this.#settings = settings;
    this.#onTick = hooks.onTick;
    this.#keptEnds = new KeptEnds(clock);
    this.roster = new Roster({
      workers, ownId: options.nodeId, clock, helloLimitMs: settings.helloLimitMs, refusedMs: settings.refusedMs, quietMs: settings.quietMs,
      statusOf: (nodeId) => options.statusOf?.(nodeId) ?? 'Online',
      onEvent: (nodeId, event) => this.#onWorkerEvent(nodeId, event),
      onChange: (type, nodeId) => (type === 'left' ? this.post({ type: 'left', nodeId }) : this.greet(false)),
    });
    this.reporter = new Reporter({
      gateway: reports, clock, random, logger, atOnce: settings.reportsAtOnce,
      acknowledged: (jobId, end) => this.post({ type: 'job', jobId, event: { type: 'reported', end } }),
    });
    this.#assist = new AssistDesk({ table: this.table, clock, random, settings, step: (jobId, event) => this.#step(jobId, event) });
    const verify = (signedJob: string): ReturnType<DispatcherOptions['verify']> => options.verify(signedJob);
    this.receiver = new Receiver({
      clock, logger, meter, reports, verify, settleLimitMs: settings.settleLimitMs, onDeadLettered: hooks.onDeadLettered,
      onJob: (received) => this.post({ type: 'received', received }), room: () => this.#room(),
      session: () => this.session,
    });
    this.effects = new EffectRunner({
      roster: this.roster, reporter: this.reporter, clock, logger, meter, dispatchLimitMs: settings.dispatchLimitMs, verify,
      post: (mail) => this.post(mail), session: () => this.session, isLeading: () => this.leading,
    });
  }

  post(mail: Mail): void {
    if (this.#closed) return;
    if (mail.type === 'worker' && mail.event.type === 'ended') this.#endedAttempts.add(mail.event.attemptId);
    this.#mail.push(mail);
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.roster.close();
    this.reporter.close();
  }

  cancelJob(jobId: string): void {
    this.#cancelWishes.add(jobId);
    if (this.#isLive()) this.post({ type: 'job', jobId, event: { type: 'cancelRequested' } });
  }

  /** Greets all workers for a session that is about to begin. Resolves when those have answered whose answer is waited for. */
  async greetAll(session: LedgerSession): Promise<void> {
    this.#opening = { session, lists: [] };
    const greeted = this.roster.toAsk(session.epoch, false).map(async (nodeId) => {
      const expected = this.roster.isExpected(nodeId);
      const done = this.#greetOne(nodeId, session);
      if (expected) await done;
    });
    await Promise.all(greeted);
  }

  /**
   * Begins a session: the ledger's records, then the ends that came while nobody was there to take them, then the lists that have
   * come; those that are still to come are taken in as they arrive. What all this changes is written by `effects`.
   */
  begin(session: LedgerSession, records: readonly JobRecord[], options: { othersLed: boolean }): void {
    const lists = this.#opening?.session === session ? this.#opening.lists : [];
    this.#opening = undefined;
    this.session = session;
    this.table.merge(records, this.#options.clock.monotonicMs(), options);
    for (const record of records) this.receiver.noteReceived(record.sendNo);
    for (const { mail, isRecent } of this.#keptEnds.take()) {
      const record = this.table.get(mail.event.jobId)?.record;
      if (record === undefined ? isRecent : !record.reported) this.#onWorker(mail);
    }
    for (const list of lists) this.#onList(list);
    for (const { jobId } of [...this.table.all()]) {
      if (this.#cancelWishes.take(jobId)) this.#step(jobId, { type: 'cancelRequested' });
    }
    this.giveUpLost();
    this.#schedule();
  }

  /** Greets workers while leading: those that have not answered yet, or all, to compare lists. */
  greet(all: boolean): void {
    const { session } = this;
    if (!this.leading || session === undefined || !session.mayAct()) return;
    for (const nodeId of this.roster.toAsk(session.epoch, all)) void this.#greetOne(nodeId, session);
  }

  /** Places again what is on workers that were silent for too long, or whose process is gone. Nothing while the grant is in doubt. */
  giveUpLost(): void {
    const { session } = this;
    if (session === undefined || !session.mayAct()) return;
    const { silentLimitMs } = this.#settings;
    for (const nodeId of this.table.nodesInUse()) {
      if (this.roster.isGone(nodeId)) this.#giveUp(nodeId, { reason: 'its process is gone', also: 'unanswered' });
      else if (this.roster.silentForMs(nodeId, session.epoch) >= silentLimitMs) this.#giveUp(nodeId, { reason: 'it is silent' });
    }
  }

  forget(jobId: string): void {
    this.#step(jobId, { type: 'forgotten' });
  }

  place(): void {
    const { session } = this;
    if (!this.leading || session === undefined || !session.alive || this.table.waitingCount === 0) return;
    if (!session.mayAct()) return this.#placeWhenReady(session);
    const nowMs = this.#options.clock.monotonicMs();
    const waiting = [...this.table.waiting()];
    const { assignments, passedOver } = placeJobs(waiting.map((entry) => asWaitingJob(entry, nowMs)), this.#nodes(session));
    const stranded = new Map(passedOver.map(({ jobId, reason }) => [jobId, reason]));
    // Without any node nobody is stranded: the window has to close.
    for (const entry of waiting) entry.stranded = entry.ineligible.size > 0 ? stranded.get(entry.jobId) : undefined;
    for (const { jobId, nodeId, step } of assignments) {
      this.#step(jobId, { type: 'placed', attemptId: newId(this.#options.random), nodeId, step });
    }
  }

  #placeWhenReady(session: LedgerSession): void {
    if (this.#isWaitingToPlace) return;
    this.#isWaitingToPlace = true;
    void session.ready().then(() => {
      this.#isWaitingToPlace = false;
      this.#schedule();
    });
  }

  #isLive(): boolean {
    return this.session?.alive === true;
  }

  /** Greets a worker; its list becomes mail, in which jobs that we do not know are verified from the worker's copies. */
  async #greetOne(nodeId: string, session: LedgerSession): Promise<void> {
    const result = await this.roster.hello(nodeId, session.epoch, ++this.#now);
    if (result.kind === 'refused') {
      this.highestKnown = Math.max(this.highestKnown, result.known.n);
      return this.#replaced(session, nodeId, formatEpoch(result.known));
    }
    if (!session.alive) return;
    if (result.kind === 'silent') {
      this.#options.logger.debug({ nodeId, reason: firstLine(result.reason) }, 'worker did not answer hello');
      return this.roster.forsake(nodeId);
    }
    const { list } = result;
    const finalTries = await readFinalTries(list.attempts, {
      logger: this.#options.logger, verify: (signedJob) => this.#options.verify(signedJob),
      knownTry: (jobId) => this.table.get(jobId)?.record.tryNumber,
    });
    const mail: ListMail = { type: 'list', list, finalTries, session };
    if (this.#opening?.session === session) this.#opening.lists.push(mail);
    else this.post(mail);
  }

  /** A worker obeys another dispatcher. */
  #replaced(session: LedgerSession | undefined, nodeId: string, known: string): void {
    session?.end(dispatcherErrors.HELLO_REFUSED.create({ nodeName: this.roster.nodeName(nodeId), known }));
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }

  #drain(): void {
    for (let mail = this.#mail.shift(); mail !== undefined; mail = this.#mail.shift()) this.#handle(mail);
    this.place();
    const { session } = this;
    if (this.leading && session?.mayAct() === true) this.#assist.place(() => this.#nodes(session));
    this.receiver.release();
    this.#options.meter.set(dispatcherMetrics.waiting, this.table.waitingForSlot());
  }

  #handle(mail: Mail): void {
    switch (mail.type) {
      case 'received': return this.#onReceived(mail.received);
      case 'job': {
        // A wish that nobody may fulfil now is kept for the next session.
        if (mail.event.type === 'cancelRequested' && !this.#isLive()) return;
        return this.#step(mail.jobId, mail.event);
      }
      case 'answered': return this.#onAnswered(mail);
      case 'worker': return this.#onWorker(mail);
      case 'left': return this.#onLeft(mail.nodeId);
      case 'list': return mail.session === this.session && mail.session.alive ? this.#onList(mail) : undefined;
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

  #onAnswered({ jobId, attemptId, nodeId, session, answer }: Mail & { type: 'answered' }): void {
    const entry = this.table.get(jobId);
    const current = entry?.record.attempt?.attemptId === attemptId;
    const isAssistant = this.#assist.known(entry, attemptId, ++this.#now);
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
    if (entry !== undefined && isAssistant) this.#assist.refused(entry, nodeId, answer.reason);
    else if (entry !== undefined) keepAway(entry, { nodeId, ...answer }, this.#settings, this.#options.clock.monotonicMs());
    this.#step(jobId, { type: 'refused', attemptId, reason: answer.reason, evidence: answer.evidence });
    if (answer.reason === 'ALREADY_RUNNING') this.greet(true);
    // The larger epoch may be our own: then the session under which it was dispatched is over already.
    if (answer.reason === 'STALE_EPOCH') this.#replaced(session, nodeId, answer.evidence);
  }

  #onAccepted(entry: JobEntry): void {
    const nowMs = this.#options.clock.monotonicMs();
    entry.knownAt ??= ++this.#now;
    const { waitingSinceMs } = entry;
    entry.waitingSinceMs = undefined;
    if (waitingSinceMs !== undefined) this.#options.meter.observe(dispatcherMetrics.waitSeconds, (nowMs - waitingSinceMs) / 1000);
  }

  /** Signs of life are mail only when they change something: a worker that does not obey us yet is greeted. */
  #onWorkerEvent(nodeId: string, event: WorkerEvent): void {
    if (event.type === 'alive') {
      if (this.session !== undefined && !this.roster.obeys(nodeId, this.session.epoch)) this.greet(false);
      // One that has come Online, or is not any more, changes who takes jobs.
      if (this.leading && this.table.waitingCount > 0 && this.roster.hasNewStatus(nodeId)) this.#schedule();
      return;
    }
    if (event.type === 'slots' && !this.leading) return;
    this.post({ type: 'worker', nodeId, event });
  }

  #onWorker({ nodeId, event }: Mail & { type: 'worker' }): void {
    if (event.type === 'slots' || event.type === 'alive') return;
    if (event.type === 'gone') {
      this.#options.logger.info({ nodeId, refused: event.refused, reason: event.reason }, 'worker is gone');
      return this.giveUpLost();
    }
    const { jobId, attemptId } = event;
    const entry = this.table.get(jobId);
    const isCurrent = entry?.record.attempt?.attemptId === attemptId;
    if (event.type === 'ended') {
      // Who does not lead knows its own jobs only: an end that another dispatcher is to take is kept in case that there is none.
      if (!this.#isLive() && !isCurrent) return this.#keptEnds.add({ nodeId, event });
      const { tryNumber, outcome, startedAtMs: startedAtWallMs, endedAtMs: endedAtWallMs } = event;
      const nodeName = this.roster.nodeName(nodeId);
      this.#assist.ended(entry, { nodeId, attemptId, outcome });
      return this.#step(jobId, { type: 'ended', attemptId, tryNumber, nodeName, outcome, startedAtWallMs, endedAtWallMs });
    }
    if (entry === undefined || !isCurrent) return;
    entry.progress = event.progress;
    this.#assist.note(entry);
    if (entry.record.state !== 'Dispatched') return;
    entry.knownAt ??= ++this.#now;
    this.#step(jobId, { type: 'progress', attemptId });
  }

  /** Without the right to act it is given up later, for its silence. */
  #onLeft(nodeId: string): void {
    if (this.session?.mayAct() === true) this.#giveUp(nodeId, { reason: 'it is not a member any more', also: 'unanswered' });
  }

  #onList({ list: { nodeId, attempts, askedAt }, finalTries }: ListMail): void {
    const listed = new Set(attempts.map((attempt) => attempt.attemptId));
    for (const entry of this.table.on(nodeId)) {
      const { attempt } = entry.record;
      if (attempt === undefined || listed.has(attempt.attemptId) || entry.knownAt === undefined || entry.knownAt >= askedAt) continue;
      this.#options.logger.info({ jobId: entry.jobId, attemptId: attempt.attemptId, nodeId }, 'attempt is gone, job waits again');
      this.#step(entry.jobId, { type: 'notListed', nodeId });
    }
    this.#assist.gone(nodeId, (attemptId, knownAt) => !listed.has(attemptId) && knownAt !== undefined && knownAt < askedAt);
    for (const attempt of attempts) {
      const { jobId, attemptId, progress } = attempt;
      // It ended after the list was made.
      if (this.#endedAttempts.has(attemptId)) continue;
      if (isAssistStep(attempt.step) && this.table.get(jobId) === undefined) {
        void this.effects.speak(jobId, { type: 'dismiss', attemptId, nodeId });
        continue;
      }
      const finalTry = finalTries.get(jobId);
      const { signedJob: _unverified, ...rest } = attempt;
      const current = this.table.get(jobId)?.progress;
      this.#step(jobId, { type: 'listed', nodeId, attempt: finalTry === undefined ? rest : attempt, finalTry: finalTry ?? false, current });
      const entry = this.table.get(jobId);
      this.#assist.known(entry, attemptId, askedAt);
      if (entry?.record.attempt?.attemptId !== attemptId) continue;
      entry.knownAt ??= askedAt;
      entry.progress ??= progress;
    }
  }

  /**
   * A node has lost its attempts: they are placed again. An attempt whose dispatch is not answered yet is left alone, unless it cannot
   * be answered any more.
   */
  #giveUp(nodeId: string, { reason, also }: { reason: string; also?: 'unanswered' }): void {
    const lost = this.table.on(nodeId).filter((entry) => also === 'unanswered' || entry.knownAt !== undefined);
    if (lost.length > 0) this.#options.logger.warn({ nodeId, jobs: lost.length, reason }, 'worker is given up, its jobs wait again');
    this.roster.forsake(nodeId);
    for (const entry of lost) this.#step(entry.jobId, { type: 'notListed', nodeId });
    this.#assist.gone(nodeId, (_, knownAt) => also === 'unanswered' || knownAt !== undefined);
  }

  #nodes(session: LedgerSession): PlacementNode[] {
    return this.roster.nodes(session.epoch, (nodeId) => this.table.activeOn(nodeId));
  }

  #room(): number {
    const { session } = this;
    if (session === undefined) return 0;
    const free = takingNodes(this.#nodes(session)).reduce((sum, node) => sum + node.freeSlots, 0);
    return free + this.#settings.surplus - this.table.waitingForSlot();
  }
}
