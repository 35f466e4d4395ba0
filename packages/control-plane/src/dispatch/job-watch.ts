import { type Clock, type Logger, type Meter, sleep } from '@dmg/base';
import { decideResend, observeAlive, type ResendOptions, type ResendWatch, watchSent } from '@dmg/core';
import type { AliveReport, AttemptProgress } from '@dmg/model';
import { controlPlaneErrors } from '../errors.ts';
import { resendsTotal } from '../metrics.ts';
import type { PickupDelays } from '../monitoring/pickup-delays.ts';
import type { RunChange, RunTracker, TrackedActivity } from '../tracking/run-tracker.ts';

export interface JobWatchOptions {
  readonly tracker: RunTracker;
  /** Told how long activities waited for a node. */
  readonly delays: PickupDelays;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly resend: ResendOptions;
  /** How long after a try's timeout the control plane itself gives the activity up (DESIGN-RULES 29). */
  readonly timeoutBackstopMs: number;
}

interface Watched {
  activity: TrackedActivity;
  /** There while its message is with the queue or beyond. */
  watch: ResendWatch | undefined;
  runningSinceMs: number | undefined;
  progress: AttemptProgress | undefined;
  /** When each node was last heard to assist the copy, by name. */
  readonly assistedMs: Map<string, number>;
}

/** A node that has anything to do reports every second; one that has been silent for so long assists nobody. */
const assistedGapMs = 5_000;

/**
 * What is known of the jobs that have not ended, from the nodes' alive reports: which of them run, how far they are, and which
 * nobody knows any more. In memory only; a restart begins every waiting time afresh.
 */
export class JobWatch {
  readonly #options: JobWatchOptions;
  readonly #jobs = new Map<string, Watched>();
  /** Contact with each gateway, by any of its nodes, without a gap. */
  readonly #contact = new Map<string, { sinceMs: number; lastMs: number }>();

  constructor(options: JobWatchOptions) {
    this.#options = options;
    options.tracker.onChange((change) => this.#changed(change));
  }

  /** Takes up what has not ended; called once, before anything else is told. */
  async start(): Promise<void> {
    for (const { sendNo, ...activity } of await this.#options.tracker.openActivities()) {
      this.#put(activity, sendNo === undefined ? undefined : watchSent(sendNo, activity.resends));
    }
  }

  /** The queue has stored the job's message. */
  sent(jobId: string, sendNo: number): void {
    const job = this.#jobs.get(jobId);
    if (job !== undefined) job.watch = watchSent(sendNo, job.activity.resends);
  }

  progressOf(jobId: string): AttemptProgress | undefined {
    return this.#jobs.get(jobId)?.progress;
  }

  /** Names of the nodes that copy beside the one that leads the job, as far as they were heard of lately. */
  assistantsOf(jobId: string): readonly string[] {
    const nowMs = this.#options.clock.monotonicMs();
    const assisted = [...(this.#jobs.get(jobId)?.assistedMs ?? [])];
    return assisted.filter(([, atMs]) => nowMs - atMs <= assistedGapMs).map(([nodeName]) => nodeName).sort();
  }

  /**
   * Activities of the gateway that are sent and wait for a node, or wait for one again: those that its dispatcher names, and the others,
   * which are in the queue as far as the control plane knows.
   */
  waitingOf(gatewayId: string, named: ReadonlySet<string>): { readonly inQueue: number; readonly atDispatcher: number } {
    let [inQueue, atDispatcher] = [0, 0];
    for (const [jobId, { activity, watch }] of this.#jobs) {
      if (activity.gatewayId !== gatewayId) continue;
      if (named.has(jobId)) atDispatcher += 1;
      else if (activity.phase === 'Queued' && watch !== undefined) inQueue += 1;
    }
    return { inQueue, atDispatcher };
  }

  /** Takes in a node's complete list; tells the tracker of jobs that were not known to run. */
  async alive(gatewayId: string, nodeName: string, report: AliveReport): Promise<void> {
    const { clock, tracker, resend } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#noteContact(gatewayId, nowMs);
    const running = new Map(report.running.filter(({ assists }) => assists === undefined).map((each) => [each.jobId, each]));
    const assisted = new Set(report.running.filter(({ assists }) => assists === 'assist').map(({ jobId }) => jobId));
    // Who led once and does not now still names what it has; but only one who leads could name everything that waits.
    const waiting = new Set(report.dispatcher?.waiting);
    const dispatcher = report.dispatcher?.leading === true ? report.dispatcher : undefined;
    const started: { runId: string; name: string; tryNumber: number }[] = [];
    for (const [jobId, job] of this.#jobs) {
      if (job.activity.gatewayId !== gatewayId) continue;
      if (assisted.has(jobId)) job.assistedMs.set(nodeName, nowMs);
      else job.assistedMs.delete(nodeName);
      const attempt = running.get(jobId);
      if (job.watch !== undefined) {
        job.watch = observeAlive(job.watch, { nowMs, named: attempt !== undefined || waiting.has(jobId), dispatcher }, resend);
      }
      if (attempt === undefined) continue;
      if (attempt.progress !== undefined) job.progress = attempt.progress;
      if (job.activity.phase === 'Queued' && attempt.tryNumber >= job.activity.tryNumber) {
        started.push({ runId: job.activity.runId, name: job.activity.name, tryNumber: attempt.tryNumber });
      }
    }
    for (const { runId, name, tryNumber } of started) {
      await tracker.apply(runId, { type: 'named', activity: name, tryNumber }, { nodeName });
    }
  }

  /** Looks again and again, until the signal, for jobs that are lost and for tries past their time. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, resend } = this.#options;
    const tickMs = Math.min(1000, resend.quietMs / 4);
    while (!signal.aborted) {
      try {
        await this.tick();
      } catch (error) {
        logger.error({ error }, 'jobs could not be looked over');
      }
      await sleep(clock, tickMs, signal).catch(() => undefined); // Ends by the signal, which the loop looks at.
    }
  }

  async tick(): Promise<void> {
    const { clock, tracker, logger, meter, resend, timeoutBackstopMs } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const { activity, watch, runningSinceMs } of Array.from(this.#jobs.values())) {
      const { runId, name, jobId, timeoutMs } = activity;
      const isPastTime = runningSinceMs !== undefined && nowMs - runningSinceMs > timeoutMs + timeoutBackstopMs;
      if (isPastTime && this.#isInContact(activity.gatewayId, nowMs)) {
        const fault = controlPlaneErrors.RUN_TIMED_OUT.create({ seconds: Math.round((nowMs - runningSinceMs) / 1000) }).toFault();
        logger.warn({ runId, jobId, activity: name }, 'activity given up past its timeout');
        await tracker.apply(runId, { type: 'abandoned', activity: name, fault });
        continue;
      }
      if (watch === undefined) continue;
      const decision = decideResend(watch, { nowMs, runAgeMs: clock.wallMs() - activity.createdAtMs }, resend);
      if (decision === 'wait') continue;
      meter.add(resendsTotal, 1, { decision });
      logger.warn({ runId, jobId, activity: name, sendNo: watch.sendNo, resends: watch.resends, decision }, 'nobody knows this job');
      if (decision === 'resend') await tracker.apply(runId, { type: 'lost', activity: name });
      else {
        const fault = controlPlaneErrors.RUN_EXPIRED.create({ days: Math.round(resend.ageMaxMs / 86_400_000) }).toFault();
        await tracker.apply(runId, { type: 'abandoned', activity: name, fault });
      }
    }
  }

  #changed(change: RunChange): void {
    for (const activity of change.activities) {
      const known = this.#jobs.get(activity.jobId);
      this.#noteDelay(known?.activity, activity);
      if (activity.phase !== 'Queued' && activity.phase !== 'Running') this.#jobs.delete(activity.jobId);
      else this.#put(activity, activity.toBeSent ? undefined : known?.watch, known);
    }
  }

  /**
   * Of the first send of the first try: a later one waits for its interval as well. A job that ended between two alive reports was
   * never seen to run.
   */
  #noteDelay(before: TrackedActivity | undefined, after: TrackedActivity): void {
    const { gatewayId, phase, tryNumber, resends, queuedAtMs, attemptMs } = after;
    if (before?.phase !== 'Queued' || tryNumber !== 1 || resends > 0 || queuedAtMs === undefined) return;
    const hasEnded = (phase === 'Succeeded' || phase === 'Failed') && attemptMs !== undefined;
    if (phase !== 'Running' && !hasEnded) return;
    const waitedMs = this.#options.clock.wallMs() - queuedAtMs - (hasEnded ? attemptMs : 0);
    this.#options.delays.note(gatewayId, Math.max(0, waitedMs));
  }

  #put(activity: TrackedActivity, watch: ResendWatch | undefined, known?: Watched): void {
    const sameTry = known?.activity.tryNumber === activity.tryNumber;
    const running = activity.phase === 'Running';
    this.#jobs.set(activity.jobId, {
      activity,
      watch,
      runningSinceMs: running ? ((sameTry ? known.runningSinceMs : undefined) ?? this.#options.clock.monotonicMs()) : undefined,
      progress: sameTry ? known.progress : undefined,
      assistedMs: known?.assistedMs ?? new Map<string, number>(),
    });
  }

  #noteContact(gatewayId: string, nowMs: number): void {
    const known = this.#contact.get(gatewayId);
    const gapless = known !== undefined && nowMs - known.lastMs <= this.#options.resend.contactGapMs;
    this.#contact.set(gatewayId, { sinceMs: gapless ? known.sinceMs : nowMs, lastMs: nowMs });
  }

  /** For as long as a lost report would take to come: after an outage the ends that waited at the nodes come in first. */
  #isInContact(gatewayId: string, nowMs: number): boolean {
    const contact = this.#contact.get(gatewayId);
    const { contactGapMs, quietMs } = this.#options.resend;
    return contact !== undefined && nowMs - contact.lastMs <= contactGapMs && nowMs - contact.sinceMs >= quietMs;
  }
}
