import { type Clock, newId, type Random } from '@dmg/base';
import { type Assistant, type AssistedLead, type JobEvent, nextStep, placeAssistants, type PlacementNode } from '@dmg/core';
import type { AttemptOutcome, RefusalReason } from '@dmg/model';
import type { JobEntry, JobTable } from './job-table.ts';
import type { DispatcherSettings } from './options.ts';

export interface AssistDeskOptions {
  readonly table: JobTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: DispatcherSettings;
  step(jobId: string, event: JobEvent): void;
}

/** Refusals that say something of a node and not of the job: the roster knows of them. */
const ofNode: ReadonlySet<RefusalReason> = new Set(['NO_FREE_SLOT', 'NO_MEMORY', 'DRAINING', 'STALE_EPOCH']);

/** Gives running copies what they could use of slots that nobody else wants: assistants on other nodes, keepers of their snapshots. */
export class AssistDesk {
  readonly #options: AssistDeskOptions;
  /** Copies that have said what they could use, since when, and by which attempt. */
  readonly #wishes = new Map<JobEntry, { readonly attemptId: string; readonly sinceMs: number }>();

  constructor(options: AssistDeskOptions) {
    this.#options = options;
  }

  /** The current attempt of an entry has told how far it is. */
  note(entry: JobEntry): void {
    const attemptId = entry.record.attempt?.attemptId;
    if (attemptId === undefined || !wantsAnything(entry)) return void this.#wishes.delete(entry);
    if (this.#wishes.get(entry)?.attemptId === attemptId) return;
    this.#wishes.set(entry, { attemptId, sinceMs: this.#options.clock.monotonicMs() });
  }

  /** Places what can be placed now; `nodes` is asked only where anybody wants something. */
  place(nodes: () => readonly PlacementNode[]): void {
    if (this.#wishes.size === 0) return;
    const { table, random, step } = this.#options;
    const leads = this.#leads();
    if (leads.length === 0) return;
    for (const { jobId, nodeId, step: what, index, of } of placeAssistants(leads, nodes(), table.waitingForSlot())) {
      step(jobId, { type: 'assistantPlaced', assistant: { attemptId: newId(random), nodeId, step: what, index }, of });
    }
  }

  /** The side of an assistant becomes known, as `JobEntry.knownAt`; false when the attempt is none. */
  known(entry: JobEntry | undefined, attemptId: string, at: number): boolean {
    if (entry === undefined || assistantIn(entry, attemptId) === undefined) return false;
    if (!entry.assistantsKnownAt.has(attemptId)) entry.assistantsKnownAt.set(attemptId, at);
    return true;
  }

  /** Assistants on a node are gone: those of which `isGone` says so, by what is known of their side. */
  gone(nodeId: string, isGone: (attemptId: string, knownAt: number | undefined) => boolean): void {
    for (const { entry, assistant: { attemptId } } of this.#options.table.assistantsOn(nodeId)) {
      if (isGone(attemptId, entry.assistantsKnownAt.get(attemptId))) this.#options.step(entry.jobId, { type: 'assistantGone', attemptId });
    }
  }

  /** An attempt of the entry ended; if it was an assistant, the next one is not sent to the same node at once. */
  ended(entry: JobEntry | undefined, { nodeId, attemptId, outcome }: { nodeId: string; attemptId: string; outcome: AttemptOutcome }): void {
    if (entry === undefined || assistantIn(entry, attemptId) === undefined) return;
    const { assistRestMs, ineligibleMs } = this.#options.settings;
    this.#rest(entry, nodeId, outcome.kind === 'failed' ? ineligibleMs : assistRestMs);
  }

  refused(entry: JobEntry, nodeId: string, reason: RefusalReason): void {
    const { assistRestMs, ineligibleMs } = this.#options.settings;
    if (!ofNode.has(reason)) this.#rest(entry, nodeId, reason === 'NOT_ELIGIBLE' ? ineligibleMs : assistRestMs);
  }

  #rest(entry: JobEntry, nodeId: string, delayMs: number): void {
    entry.assistRests.set(nodeId, this.#options.clock.monotonicMs() + delayMs);
  }

  #leads(): AssistedLead[] {
    const { clock, settings } = this.#options;
    const nowMs = clock.monotonicMs();
    const leads: AssistedLead[] = [];
    for (const [entry, { attemptId, sinceMs }] of this.#wishes) {
      const { record, progress, removed } = entry;
      const { attempt, state } = record;
      if (removed || attempt?.attemptId !== attemptId || !wantsAnything(entry)) {
        this.#wishes.delete(entry);
        continue;
      }
      if (state !== 'Running' || nextStep(record) !== 'copy') continue;
      // A snapshot is lost with its node from the first moment on; slots are for copies that last.
      const assistantsWanted = nowMs - sinceMs < settings.assistAfterMs ? 0 : progress?.assistantsWanted ?? 0;
      leads.push({
        jobId: entry.jobId, sendNo: record.sendNo, nodeId: attempt.nodeId, assistantsWanted,
        snapshotHeld: progress?.snapshotHeld ?? false, assistants: record.assistants ?? [], ineligible: unfit(entry, nowMs),
      });
    }
    return leads;
  }
}

function wantsAnything({ progress }: JobEntry): boolean {
  return (progress?.assistantsWanted ?? 0) > 0 || progress?.snapshotHeld === true;
}

function unfit({ assistRests, ineligible }: JobEntry, nowMs: number): ReadonlySet<string> {
  for (const [nodeId, untilMs] of assistRests) if (untilMs <= nowMs) assistRests.delete(nodeId);
  const never = [...ineligible].flatMap(([nodeId, { untilMs }]) => (untilMs > nowMs ? nodeId : []));
  return new Set([...assistRests.keys(), ...never]);
}

/** Whether an attempt of the entry is an assistant that its record knows. */
export function assistantIn(entry: JobEntry | undefined, attemptId: string): Assistant | undefined {
  return entry?.record.assistants?.find((one) => one.attemptId === attemptId);
}
