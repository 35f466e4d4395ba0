import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttemptOutcome, AttemptProgress, AttemptStep, RefusalReason } from '@dmg/model';
import fc from 'fast-check';
import { executorDeathsMax } from './job-ends.ts';
import type { JobEffect, JobEvent } from './job-events.ts';
import { nextStep } from './job-changes.ts';
import { isFinal, restored, stepJob } from './job-machine.ts';
import type { JobEnd, JobRecord } from './job-record.ts';

/*
 * Random histories of one job: messages of this and other tries, placement, answers, ends of any attempt ever made in any order and
 * any number, cancels, lists, restarts from the ledger. The driver only keeps to what the callers promise: it places Waiting jobs
 * with the step that is due, and the control plane sends a higher try only after a try failed.
 */

const fault = { code: 'DMG_X', category: 'config', retry: 'never', scope: 'job', message: 'm', fix: 'f', params: {} } as const;
const receipt = {
  formatVersion: 1, jobId: 'j', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
  filesRead: 0, filesWritten: 0, bytesRead: 0, bytesWritten: 0, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 0,
  hash: '0', attempts: [],
  finishedBy: { attemptId: '', nodeName: 'n', epoch: '1.x' }, finishedAt: '2024-01-01T00:00:00.000Z',
} as const;
const succeeded: AttemptOutcome = {
  kind: 'succeeded', receipt, details: { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 1 },
};
const outcomes: readonly AttemptOutcome[] = [
  succeeded,
  { kind: 'failed', fault, sink: 'open' }, { kind: 'failed', fault, sink: 'aborted' }, { kind: 'failed', fault, sink: 'unconfirmed' },
  { kind: 'cancelled', sink: 'aborted' }, { kind: 'cancelled', sink: 'unconfirmed' }, { kind: 'stopped' },
  { kind: 'lost', reason: 'killed' }, { kind: 'lost', reason: 'killed' }, { kind: 'lost', reason: 'killed' },
];
const refusals: readonly RefusalReason[] = [
  'NO_FREE_SLOT', 'DRAINING', 'BAD_SIGNATURE', 'BAD_SIGNATURE', 'STALE_EPOCH', 'ALREADY_RUNNING', 'NOT_ELIGIBLE',
];
const answers = ['accepted', 'accepted', 'undispatched', 'progress', ...refusals] as const;

type Command =
  | { kind: 'receive'; newTry: boolean; older: boolean; firstDelivery: boolean; finalTry: boolean }
  | { kind: 'place' } | { kind: 'cancel' } | { kind: 'acknowledge'; which: number } | { kind: 'reread' }
  | { kind: 'answer'; which: number; answer: 'accepted' | 'undispatched' | 'progress' | RefusalReason }
  | { kind: 'end'; which: number; outcome: AttemptOutcome }
  | { kind: 'list'; which: number; withCopy: boolean; listed: AttemptProgress | undefined; current: AttemptProgress | undefined }
  | { kind: 'unlist'; node: number } | { kind: 'forget' } | { kind: 'withhold' }
  | { kind: 'assist'; node: number; keeps: boolean } | { kind: 'listAssistant'; which: number; node: number; keeps: boolean }
  | { kind: 'endAssistant'; which: number; how: 'undispatched' | 'assistantGone' | 'accepted' | AttemptOutcome };

const which = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(6) });
const flag = fc.boolean();
const progress: fc.Arbitrary<AttemptProgress | undefined> = fc.option(fc.record({
  step: fc.constantFrom('plan' as const, 'copy' as const, 'finish' as const), bytesWritten: fc.nat(2), rowsWritten: fc.nat(2),
  bytesTotal: fc.constant(2), bytesRead: fc.constant(0), filesTotal: fc.constant(0), filesWritten: fc.constant(0),
}), { nil: undefined });
const commands: fc.Arbitrary<Command[]> = fc.array(fc.oneof(
  { weight: 3, arbitrary: fc.record({
    kind: fc.constant('receive' as const), newTry: flag, older: flag, firstDelivery: flag, finalTry: flag,
  }) },
  { weight: 8, arbitrary: fc.constant({ kind: 'place' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'cancel' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('acknowledge' as const), which }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reread' as const }) },
  { weight: 5, arbitrary: fc.record({
    kind: fc.constant('answer' as const), which, answer: fc.constantFrom(...answers),
  }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('end' as const), which, outcome: fc.constantFrom(...outcomes) }) },
  { weight: 1, arbitrary: fc.record({
    kind: fc.constant('list' as const), which, withCopy: flag, listed: progress, current: progress,
  }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unlist' as const), node: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'forget' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'withhold' as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('assist' as const), node: fc.integer({ min: 1, max: 4 }), keeps: flag }) },
  { weight: 1, arbitrary: fc.record({
    kind: fc.constant('listAssistant' as const), which, node: fc.integer({ min: 1, max: 4 }), keeps: flag,
  }) },
  { weight: 2, arbitrary: fc.record({
    kind: fc.constant('endAssistant' as const), which,
    how: fc.oneof(fc.constantFrom('undispatched' as const, 'assistantGone' as const, 'accepted' as const), fc.constantFrom(...outcomes)),
  }) },
), { minLength: 5, maxLength: 60, size: 'max' });

interface Issued { attemptId: string; nodeId: string; step: AttemptStep; tryNumber: number; begun: boolean; refused: boolean }

/** One job, everything that was ever dispatched or reported for it, and the checks after each step. */
class History {
  record: JobRecord | undefined;
  readonly issued: Issued[] = [];
  /** Ids of assistants, in the order in which they were placed or listed first. */
  readonly assistants: string[] = [];
  reports: JobEnd[] = [];
  tryNumber = 1;
  #finals: string[] = [];

  apply(event: JobEvent, withholds = false): void {
    const before = this.record;
    const context = { jobId: 'j', epochN: 1, nowWallMs: 1, nodeName: 'here' };
    const { record, effects } = stepJob(before, event, context);
    this.record = record;
    if (record !== undefined && before !== undefined && record !== before) {
      assert.ok(record.version > before.version, 'a change keeps its version');
    }
    this.#checkOrder(effects);
    this.#checkAssistants(before, effects);
    for (const effect of effects) {
      if (effect.type === 'report') {
        // The ledger does not take the record, so nobody is told; another dispatcher may have made attempts since.
        const isGated = effects.findIndex(({ type }) => type === 'write') < effects.indexOf(effect);
        if (withholds && isGated) return this.apply({ type: 'endWithheld', end: effect.end });
        this.#onReport(effect.end, event, before);
      }
      if (effect.type !== 'supersede') continue;
      assert.ok(record?.attempt !== undefined && record.attempt.attemptId !== effect.attemptId, 'the only attempt is superseded');
      assert.deepEqual([record.attempt.step, nextStep(record)], ['copy', 'copy'], 'superseded by what closes the sink');
    }
    if (record === undefined) {
      this.#finals = [];
      return;
    }
    assert.ok(record.executorDeaths <= executorDeathsMax && record.abortDeaths <= executorDeathsMax, 'deaths are bounded');
    if (record.reported && before?.reported === false) assert.equal(event.type, 'reported', 'acknowledged by the control plane only');
  }

  /** None is lost from the record without having ended or being asked to, and none goes on beside a sink that is to be closed. */
  #checkAssistants(before: JobRecord | undefined, effects: readonly JobEffect[]): void {
    const ids = (record: JobRecord | undefined): string[] => (record?.assistants ?? []).map(({ attemptId }) => attemptId);
    const dismissed = effects.flatMap((effect) => (effect.type === 'dismiss' ? effect.attemptId : []));
    for (const id of ids(before)) {
      if (!ids(this.record).includes(id)) assert.ok(dismissed.includes(id) || this.#endedAssistant === id, `${id} is forgotten`);
    }
    for (const id of ids(this.record)) assert.ok(!dismissed.includes(id), `${id} is dismissed and goes on`);
    const firstOther = effects.findIndex(({ type }) => type !== 'dismiss');
    const lastDismissal = effects.findLastIndex(({ type }) => type === 'dismiss');
    if (ids(before).length > 0 && firstOther >= 0) assert.ok(lastDismissal <= firstOther, 'assistants are ended first');
  }

  #endedAssistant = '';

  #checkOrder(effects: readonly JobEffect[]): void {
    const writeAt = effects.findIndex((effect) => effect.type === 'write');
    for (const [at, effect] of effects.entries()) {
      const needsLedger = effect.type === 'complete' || effect.type === 'dispatch';
      if (needsLedger) assert.ok(writeAt >= 0 && writeAt < at, `${effect.type} before the ledger has it`);
      if (effect.type === 'stop' && writeAt >= 0) assert.ok(at < writeAt, 'stopping waits for the ledger');
    }
  }

  #onReport(end: JobEnd, event: JobEvent, before: JobRecord | undefined): void {
    this.reports.push(end);
    const { outcome } = end;
    if (event.type === 'ended' && outcome.kind !== 'succeeded') {
      assert.equal(before?.attempt?.attemptId, end.attemptId, 'only the current attempt fails a job');
    }
    if (end.attemptId === '' && isFinal(end) && outcome.kind === 'cancelled' && event.type === 'cancelRequested') {
      assert.ok(this.issued.every((one) => !one.begun), 'cancelled at once although an attempt was made');
    }
    if (!isFinal(end)) {
      assert.deepEqual(this.#finals, [], 'a failed try after the end of the job');
      return;
    }
    const name = `${outcome.kind} ${end.attemptId}`;
    const last = this.#finals.at(-1);
    if (last === name) return;
    assert.ok(last === undefined || (outcome.kind === 'succeeded' && !last.startsWith('succeeded')), `${name} after ${last ?? ''}`);
    this.#finals.push(name);
  }

  run(command: Command): void {
    const chosen = 'which' in command ? this.issued.at(-1 - command.which) : undefined;
    const attempt = chosen?.refused === true ? undefined : chosen;
    switch (command.kind) {
      case 'receive': return this.#receive(command);
      case 'place': return this.place();
      case 'cancel': return this.apply({ type: 'cancelRequested' });
      case 'withhold': return this.apply({ type: 'cancelRequested' }, true);
      case 'reread': this.record = this.record && restored(this.record); return;
      case 'unlist': return this.apply({ type: 'notListed', nodeId: `n${command.node}` });
      case 'acknowledge': {
        const end = this.reports.at(-1 - command.which);
        return end === undefined ? undefined : this.apply({ type: 'reported', end });
      }
      case 'forget': return this.record?.reported === true ? this.apply({ type: 'forgotten' }) : undefined;
      case 'answer': {
        if (attempt === undefined) return;
        const { attemptId } = attempt;
        if (command.answer === 'accepted' || command.answer === 'progress') attempt.begun = true;
        if (attempt.begun && command.answer !== 'accepted' && command.answer !== 'progress') return;
        attempt.refused = !attempt.begun;
        const { answer } = command;
        if (answer === 'accepted' || answer === 'undispatched' || answer === 'progress') return this.apply({ type: answer, attemptId });
        return this.apply({ type: 'refused', attemptId, reason: answer, evidence: 'e' });
      }
      case 'end': {
        if (attempt === undefined) return;
        attempt.begun = true;
        return this.#end(attempt, command.outcome);
      }
      case 'assist': return this.#assist(command);
      case 'listAssistant': {
        const known = this.assistants.at(-1 - command.which);
        const attemptId = known ?? `h${this.assistants.push(`h${this.assistants.length}`) - 1}`;
        const step = command.keeps ? 'keep' as const : 'assist' as const;
        const shown = { jobId: 'j', attemptId, step, tryNumber: this.tryNumber, progress: undefined };
        return this.apply({ type: 'listed', nodeId: `n${command.node}`, finalTry: true, attempt: shown });
      }
      case 'endAssistant': {
        const attemptId = this.assistants.at(-1 - command.which);
        if (attemptId === undefined) return;
        this.#endedAssistant = attemptId;
        const { how } = command;
        if (typeof how === 'string') this.apply({ type: how, attemptId });
        else this.#end({ attemptId, tryNumber: this.tryNumber }, how);
        this.#endedAssistant = '';
        return;
      }
      case 'list': {
        if (attempt === undefined) return;
        attempt.begun = true;
        const { nodeId, begun: _begun, refused: _refused, ...running } = attempt;
        const copy = command.withCopy ? { signedJob: 'signed' } : {};
        const { listed, current } = command;
        const shown = { ...running, jobId: 'j', progress: listed, ...copy };
        return this.apply({ type: 'listed', nodeId, finalTry: true, attempt: shown, current });
      }
    }
  }

  #assist({ node, keeps }: Command & { kind: 'assist' }): void {
    if (this.record === undefined) return;
    const attemptId = `h${this.assistants.length}`;
    this.assistants.push(attemptId);
    const assistant = { attemptId, nodeId: `n${node}`, step: keeps ? 'keep' as const : 'assist' as const, index: 1 };
    this.apply({ type: 'assistantPlaced', assistant, of: 4 });
  }

  #receive(command: Command & { kind: 'receive' }): void {
    const end = this.reports.at(-1);
    if (command.newTry && end !== undefined && !isFinal(end) && end.tryNumber === this.tryNumber) this.tryNumber += 1;
    const tryNumber = command.older ? Math.max(1, this.tryNumber - 1) : this.tryNumber;
    // Only the very first delivery of the first send may say so.
    const firstDelivery = command.firstDelivery && this.issued.length === 0 && this.tryNumber === 1;
    this.apply({ type: 'received', tryNumber, finalTry: command.finalTry, sendNo: 1, firstDelivery, signedJob: 'signed' });
  }

  #end({ attemptId, tryNumber }: { attemptId: string; tryNumber: number }, outcome: AttemptOutcome): void {
    this.apply({ type: 'ended', attemptId, tryNumber, nodeName: 'n', outcome, startedAtWallMs: 0, endedAtWallMs: 1 });
  }

  place(): void {
    if (this.record?.state !== 'Waiting') return;
    const step = nextStep(this.record);
    const attemptId = `a${this.issued.length}`;
    const nodeId = `n${1 + (this.issued.length % 2)}`;
    this.issued.push({ attemptId, nodeId, step, tryNumber: this.record.tryNumber, begun: false, refused: false });
    this.apply({ type: 'placed', attemptId, nodeId, step });
  }

  /** Nothing fails any more: the job must come to its reported end. */
  settle(): void {
    for (let round = 0; round < 6 && this.record !== undefined && !this.record.reported; round++) {
      this.place();
      const attempt = this.record.attempt;
      if (attempt !== undefined) {
        const outcome: AttemptOutcome = attempt.step === 'copy' ? succeeded : { kind: 'cancelled', sink: 'aborted' };
        this.#end(attempt, outcome);
      }
      if (this.record?.end !== undefined) this.apply({ type: 'reported', end: this.record.end });
    }
    assert.ok(this.record === undefined || this.record.reported, `stuck: ${JSON.stringify(this.record)}`);
  }
}

test('every history keeps the invariants of a job and comes to an end', () => {
  fc.assert(fc.property(commands, (list) => {
    const history = new History();
    for (const command of list) history.run(command);
    history.settle();
  }), { numRuns: 3000 });
});
