import type { AttemptProgress, Job, RefusalReason } from '@dmg/model';
import {
  type Assistant, type JobContext, type JobEffect, type JobEnd, type JobEvent, type JobRecord, nextStep, placementKind, restored, stepJob,
  type WaitingJob,
} from '@dmg/core';

/** A job's record and what is known of it beside the ledger. */
export interface JobEntry {
  readonly jobId: string;
  record: JobRecord;
  /** What the ledger surely holds. */
  written: { readonly epochN: number; readonly version: number } | undefined;
  /** The verified job and the signed form it was read from. */
  verified: { readonly signedJob: string; readonly job: Job } | undefined;
  /**
   * When the worker's side of the current attempt became known (accepted, listed, or no answer), as a place in the order of events.
   * Only a list that was asked for later can say that the attempt is gone. Undefined: the answer is still to come.
   */
  knownAt: number | undefined;
  /** The same for each assistant, by attempt. */
  readonly assistantsKnownAt: Map<string, number>;
  /** Nodes that get no assistant of this job before then. */
  readonly assistRests: Map<string, number>;
  /** How far the current attempt was when it was heard of last. */
  progress: AttemptProgress | undefined;
  /** Nodes that may not run it for now. */
  readonly ineligible: Map<string, { readonly reason: string; readonly untilMs: number }>;
  /** Why no live node may run it for now; undefined: one may, or there is none. */
  stranded: string | undefined;
  waitingSinceMs: number | undefined;
  reportedAtMs: number | undefined;
  /** The last of the effects that wait for the ledger; they run one after another for each job. Never rejects. */
  tail: Promise<void>;
  removed: boolean;
}

/** All jobs that the dispatcher knows. Records change only through the machine. */
export class JobTable {
  readonly #isBeingReported: (jobId: string, end: JobEnd) => boolean;
  readonly #entries = new Map<string, JobEntry>();
  readonly #waiting = new Map<string, JobEntry>();
  /** Jobs of which the control plane does not know yet that they ended. */
  readonly #open = new Map<string, JobEntry>();
  /** Jobs with a current attempt. */
  readonly #active = new Map<string, JobEntry>();
  /** Jobs with assistants; they may be waiting for their next attempt. */
  readonly #assisted = new Map<string, JobEntry>();

  constructor(isBeingReported: (jobId: string, end: JobEnd) => boolean) {
    this.#isBeingReported = isBeingReported;
  }

  get(jobId: string): JobEntry | undefined {
    return this.#entries.get(jobId);
  }

  all(): IterableIterator<JobEntry> {
    return this.#entries.values();
  }

  /** Jobs that go on, and those whose end is not acknowledged; most of those that are remembered are neither. */
  open(): IterableIterator<JobEntry> {
    return this.#open.values();
  }

  get openCount(): number {
    return this.#open.size;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Jobs bound to no node. */
  waiting(): IterableIterator<JobEntry> {
    return this.#waiting.values();
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** How many jobs wait for a slot; those that no live node may run do not count. */
  waitingForSlot(): number {
    let count = 0;
    for (const entry of this.#waiting.values()) if (entry.stranded === undefined) count += 1;
    return count;
  }

  /** How many slots of a node the dispatcher believes to be taken by its attempts. */
  activeOn(nodeId: string): number {
    let count = 0;
    for (const entry of this.#active.values()) if (entry.record.attempt?.nodeId === nodeId) count += 1;
    for (const { assistant } of this.assistantsOn(nodeId)) if (assistant.step === 'assist') count += 1;
    return count;
  }

  assistantsOn(nodeId: string): { readonly entry: JobEntry; readonly assistant: Assistant }[] {
    if (this.#assisted.size === 0) return [];
    return [...this.#assisted.values()].flatMap((entry) =>
      (entry.record.assistants ?? []).filter((one) => one.nodeId === nodeId).map((assistant) => ({ entry, assistant })));
  }

  /** Nodes on which there should be an attempt of any kind. */
  nodesInUse(): Set<string> {
    const leading = [...this.#active.values()].flatMap(({ record }) => record.attempt?.nodeId ?? []);
    const assisting = [...this.#assisted.values()].flatMap(({ record }) => (record.assistants ?? []).map((one) => one.nodeId));
    return new Set([...leading, ...assisting]);
  }

  /** Jobs whose current attempt is on a node. */
  on(nodeId: string): JobEntry[] {
    return [...this.#active.values()].filter((entry) => entry.record.attempt?.nodeId === nodeId);
  }

  /** How many jobs of this kind wait although no live node may run them. */
  strandedOf(kind: string): number {
    let count = 0;
    for (const { stranded, verified } of this.#waiting.values()) {
      if (stranded !== undefined && verified !== undefined && placementKind(verified.job) === kind) count += 1;
    }
    return count;
  }

  /** Applies an event; gives the entry it concerns (also one that is removed by it) and what is to be done. */
  step(event: JobEvent, context: JobContext, nowMs: number): { entry: JobEntry | undefined; effects: readonly JobEffect[] } {
    const known = this.#entries.get(context.jobId);
    const { record, effects } = stepJob(known?.record, event, context);
    if (record === undefined) {
      if (known !== undefined) this.#drop(known);
      return { entry: known, effects };
    }
    const entry = known ?? this.#add(record);
    this.#set(entry, record, nowMs);
    return { entry, effects };
  }

  /**
   * Takes over what the ledger holds. Of two records the one with the larger (epochN, version) stands: memory after an outage,
   * the ledger when another dispatcher wrote meanwhile. What the ledger does not hold it has lost, unless another dispatcher may have
   * led for long: then that one has ended and removed it, and only an end that is still to be reported is kept.
   */
  merge(records: readonly JobRecord[], nowMs: number, options: { othersLed: boolean }): void {
    const stored = new Map(records.map((record) => [record.jobId, record]));
    for (const entry of [...this.#entries.values()]) {
      const held = stored.get(entry.jobId);
      entry.written = held && { epochN: held.epochN, version: held.version };
      if (held === undefined && options.othersLed && !this.#isOwed(entry)) this.#drop(entry);
      // While we did not lead somebody else may have made an attempt.
      else this.#set(entry, restored(entry.record), nowMs);
    }
    for (const record of records) {
      const known = this.#entries.get(record.jobId);
      if (known !== undefined && !isNewer(record, known.record)) continue;
      const entry = known ?? this.#add(record);
      this.#set(entry, restored(record), nowMs);
      entry.written = { epochN: record.epochN, version: record.version };
      entry.knownAt = 0;
      for (const { attemptId } of record.assistants ?? []) entry.assistantsKnownAt.set(attemptId, 0);
    }
  }

  /** Forgets all but the ends that are still to be reported: another dispatcher has the rest. */
  forgetAllButOwed(): void {
    for (const entry of [...this.#entries.values()]) if (!this.#isOwed(entry)) this.#drop(entry);
  }

  /** The control plane is still to hear of its end, and will. */
  #isOwed({ jobId, record: { end, reported } }: JobEntry): boolean {
    return end !== undefined && !reported && this.#isBeingReported(jobId, end);
  }

  #add(record: JobRecord): JobEntry {
    const entry: JobEntry = {
      jobId: record.jobId, record, written: undefined, verified: undefined, knownAt: undefined,
      assistantsKnownAt: new Map<string, number>(), assistRests: new Map<string, number>(), progress: undefined, ineligible: new Map(),
      stranded: undefined, waitingSinceMs: undefined, reportedAtMs: undefined, tail: Promise.resolve(), removed: false,
    };
    this.#entries.set(record.jobId, entry);
    return entry;
  }

  #set(entry: JobEntry, record: JobRecord, nowMs: number): void {
    if (record.attempt?.attemptId !== entry.record.attempt?.attemptId) {
      entry.knownAt = undefined;
      entry.progress = undefined;
    }
    entry.record = record;
    entry.reportedAtMs = record.reported ? (entry.reportedAtMs ?? nowMs) : undefined;
    if (record.reported) this.#open.delete(entry.jobId);
    else this.#open.set(entry.jobId, entry);
    if (record.attempt === undefined) this.#active.delete(entry.jobId);
    else this.#active.set(entry.jobId, entry);
    if (record.assistants === undefined) this.#assisted.delete(entry.jobId);
    else this.#assisted.set(entry.jobId, entry);
    for (const attemptId of entry.assistantsKnownAt.keys()) {
      if (!record.assistants?.some((one) => one.attemptId === attemptId)) entry.assistantsKnownAt.delete(attemptId);
    }
    if (record.state === 'Ended') entry.verified = undefined;
    if (record.state === 'Waiting') {
      entry.waitingSinceMs ??= nowMs;
      this.#waiting.set(entry.jobId, entry);
    } else {
      entry.stranded = undefined;
      this.#waiting.delete(entry.jobId);
    }
  }

  #drop(entry: JobEntry): void {
    entry.removed = true;
    this.#entries.delete(entry.jobId);
    this.#open.delete(entry.jobId);
    this.#waiting.delete(entry.jobId);
    this.#active.delete(entry.jobId);
    this.#assisted.delete(entry.jobId);
  }
}

/** How placement sees a waiting job. */
export function asWaitingJob(entry: JobEntry, nowMs: number): WaitingJob {
  for (const [nodeId, { untilMs }] of entry.ineligible) if (untilMs <= nowMs) entry.ineligible.delete(nodeId);
  const ineligible = new Map([...entry.ineligible].map(([nodeId, { reason }]) => [nodeId, reason]));
  return { jobId: entry.jobId, sendNo: entry.record.sendNo, step: nextStep(entry.record), ineligible };
}

/** Notes what a refusal says of this job on this node, not of the node. */
export function keepAway(
  entry: JobEntry, refusal: { nodeId: string; reason: RefusalReason; evidence: string },
  settings: { readonly ineligibleMs: number; readonly refusedMs: number }, nowMs: number,
): void {
  const { nodeId, reason, evidence } = refusal;
  const { ineligibleMs, refusedMs } = settings;
  const delaysMs: Partial<Record<RefusalReason, number>> = {
    NOT_ELIGIBLE: ineligibleMs, BAD_SIGNATURE: refusedMs, ALREADY_RUNNING: refusedMs,
  };
  const delayMs = delaysMs[reason];
  if (delayMs !== undefined) entry.ineligible.set(nodeId, { reason: evidence, untilMs: nowMs + delayMs });
}

function isNewer(a: JobRecord, b: JobRecord): boolean {
  return a.epochN > b.epochN || (a.epochN === b.epochN && a.version > b.version);
}
