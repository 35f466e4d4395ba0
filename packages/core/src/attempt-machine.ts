import type { Fault, StopKind } from '@dmg/base';
import { type AttemptOutcome, type AttemptProgress, type AttemptStep, isAssistStep } from '@dmg/model';
import assert from 'node:assert/strict';

/**
 * One attempt as its worker sees it: what is heard from its executor process, what is asked of it, and what is reported in the
 * end (DESIGN-RULES 14, 23, 29).
 *
 * Phases:
 * - `running`   the executor works.
 * - `stopping`  the executor was asked to stop and closes the sink itself where the reason calls for it.
 * - `killing`   SIGKILL was sent; the process is not gone yet.
 * - `closing`   the executor is gone or gave up, and the sink must be closed before the end is reported: an `abort` step runs in
 *               a fresh executor.
 * - `ended`     the outcome was reported.
 *
 * Two silences are told apart. No tick means that the process is frozen or loops: it is killed; the time in which it wanted a processor
 * and got none does not count, or a busy machine would kill what it slows down. No progress means that the store does not answer: the
 * attempt is stopped.
 *
 * An assistant never closes the sink, whatever is asked of it: the attempt that leads its job does.
 *
 * Invariants: the outcome is reported exactly once; `cancelled` is never reported without knowing whether the sink is closed; a
 * failure of a final try is never reported with an open sink; after `ended` nothing is asked of any executor.
 */
export type AttemptPhase = 'running' | 'stopping' | 'killing' | 'closing' | 'ended';

export interface AttemptTerms {
  readonly step: AttemptStep;
  /** A failure of this try ends the job, so the sink is closed before it is reported. */
  readonly finalTry: boolean;
  /** Limit of the try, enforced by the executor; the machine enforces it `timeoutGraceMs` later. */
  readonly timeoutMs: number;
  readonly faults: Readonly<Record<AttemptFailure, Fault>>;
  readonly limits: AttemptLimits;
}

/** Failures that the host finds, not the engine. */
export type AttemptFailure = 'memoryLimit' | 'timeout' | 'noProgress';

export interface AttemptLimits {
  /** Silence of the process after which it is killed: it is frozen or loops. */
  readonly tickLimitMs: number;
  /** Silence of the copy, without a declared wait, after which it is stopped. */
  readonly progressLimitMs: number;
  /** A stop that was not acknowledged by then finds a frozen process: it is killed. */
  readonly stopAcknowledgeMs: number;
  /** How long an acknowledged stop may take, closing the sink included. */
  readonly stopGraceMs: number;
  /** How long a stop may take that leaves the sink open: another node waits to go on with the job. */
  readonly handOverMs: number;
  /** How long after its limit an attempt is killed whose executor did not enforce it. */
  readonly timeoutGraceMs: number;
  /** Limit of an abort step. */
  readonly abortLimitMs: number;
  /** A killed process that is not gone by then (uninterruptible sleep) does not hold the report back; its slot stays used. */
  readonly killLimitMs: number;
  /** Memory above the idle process at which the attempt fails. */
  readonly memoryLimitBytes: number;
}

export type AttemptEvent =
  | { readonly type: 'tick' }
  | { readonly type: 'progress'; readonly progress: AttemptProgress; readonly waiting: boolean }
  /** A request; the executor answers with `stopAcknowledged` at once and with `ended` when it is done. */
  | { readonly type: 'stop'; readonly kind: StopKind }
  | { readonly type: 'stopAcknowledged' }
  /** Memory of the executor above what it had when it was idle. */
  | { readonly type: 'memory'; readonly overIdleBytes: number }
  | { readonly type: 'time' }
  /** This process itself stood still: silences heard so far prove nothing. */
  | { readonly type: 'hostPaused'; readonly pausedMs: number }
  /** For so long the executor could say nothing because it got no processor: that is no silence. */
  | { readonly type: 'starved'; readonly starvedMs: number }
  | { readonly type: 'ended'; readonly outcome: AttemptOutcome }
  /** The executor broke the protocol. */
  | { readonly type: 'protocolBroken'; readonly reason: string }
  | { readonly type: 'gone'; readonly reason: string; readonly outOfMemory: boolean }
  /** The abort step runs in a fresh executor. */
  | { readonly type: 'closingStarted' }
  | { readonly type: 'closingImpossible' };

export type KillReason = 'frozen' | 'stopIgnored' | 'timeout' | 'memory' | 'abortLimit' | 'protocol';

export type AttemptEffect =
  | { readonly type: 'sendStop'; readonly kind: StopKind }
  | { readonly type: 'kill'; readonly reason: KillReason }
  /** Run the abort step in a fresh executor and answer with `closingStarted` or `closingImpossible`. */
  | { readonly type: 'close' }
  | { readonly type: 'report'; readonly outcome: AttemptOutcome };

/** What will be reported once the executor is out of the way. */
type Verdict =
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly fault: Fault };

export interface AttemptState {
  readonly terms: AttemptTerms;
  readonly phase: AttemptPhase;
  readonly startedAtMs: number;
  readonly phaseSinceMs: number;
  readonly lastTickAtMs: number;
  readonly lastAdvanceAtMs: number;
  readonly progress: AttemptProgress | undefined;
  /** Set while the engine waits for something that it declared. */
  readonly waiting: boolean;
  readonly acknowledged: boolean;
  readonly verdict: Verdict | undefined;
  /** An abort step was asked for; it is not tried twice. */
  readonly closeTried: boolean;
  /** The worker ends: what cannot be finished now is placed again elsewhere. */
  readonly shuttingDown: boolean;
}

export interface AttemptTransition {
  readonly state: AttemptState;
  readonly effects: readonly AttemptEffect[];
}

export function startAttempt(terms: AttemptTerms, nowMs: number): AttemptState {
  return {
    terms, phase: 'running', startedAtMs: nowMs, phaseSinceMs: nowMs, lastTickAtMs: nowMs, lastAdvanceAtMs: nowMs,
    progress: undefined, waiting: false, acknowledged: false, verdict: undefined,
    closeTried: false, shuttingDown: false,
  };
}

export function stepAttempt(state: AttemptState, event: AttemptEvent, nowMs: number): AttemptTransition {
  if (state.phase === 'ended') return { state, effects: [] };
  switch (event.type) {
    case 'tick':
      return keep({ ...state, lastTickAtMs: nowMs });
    case 'progress':
      return keep(withProgress(state, event.progress, event.waiting, nowMs));
    case 'stop':
      return stop(state, event.kind, nowMs);
    case 'stopAcknowledged':
      return keep({ ...state, acknowledged: state.phase === 'stopping', lastTickAtMs: nowMs });
    case 'memory':
      if (event.overIdleBytes <= state.terms.limits.memoryLimitBytes || state.phase === 'killing') return keep(state);
      return kill(state, 'memory', state.verdict ?? memoryVerdict(state.terms), nowMs);
    case 'time':
      return checkTime(state, nowMs);
    case 'hostPaused':
      return keep(shift(state, event.pausedMs));
    case 'starved':
      return keep({ ...state, lastTickAtMs: Math.min(nowMs, state.lastTickAtMs + event.starvedMs) });
    case 'ended':
      return ended(state, event.outcome, nowMs);
    case 'protocolBroken':
      return kill(state, 'protocol', state.verdict ?? { kind: 'lost', reason: event.reason }, nowMs);
    case 'gone':
      return gone(state, event, nowMs);
    case 'closingStarted':
      assert(state.phase === 'closing', 'a fresh executor is only asked for while closing');
      return keep({ ...state, phaseSinceMs: nowMs, lastTickAtMs: nowMs });
    case 'closingImpossible':
      assert(state.phase === 'closing', 'a fresh executor is only asked for while closing');
      return closed(state, 'unconfirmed');
  }
}

function keep(state: AttemptState): AttemptTransition {
  return { state, effects: [] };
}

function withProgress(state: AttemptState, progress: AttemptProgress, waiting: boolean, nowMs: number): AttemptState {
  const before = state.progress;
  const advanced = before === undefined || waiting || before.step !== progress.step || before.bytesRead !== progress.bytesRead ||
    before.bytesWritten !== progress.bytesWritten || before.filesWritten !== progress.filesWritten;
  return { ...state, progress, waiting, lastTickAtMs: nowMs, lastAdvanceAtMs: advanced ? nowMs : state.lastAdvanceAtMs };
}

/**
 * The first reason is the one that the executor hears. A cancel that comes later changes what is made of its answer. Shutting down
 * turns whatever cannot be finished into `stopped`: the job is placed again, and a cancel with it.
 */
function stop(before: AttemptState, kind: StopKind, nowMs: number): AttemptTransition {
  const state = kind === 'shutdown' ? { ...before, shuttingDown: true } : before;
  const verdict = verdictOfStop(state.terms, kind);
  if (state.phase === 'running') {
    if (state.terms.step === 'abort' && kind === 'cancelled') return keep(state);
    return { state: { ...state, phase: 'stopping', phaseSinceMs: nowMs, verdict }, effects: [{ type: 'sendStop', kind }] };
  }
  const overruled = kind === 'cancelled' && state.phase !== 'closing' && !state.closeTried && state.terms.step === 'copy';
  return keep(overruled ? { ...state, verdict } : state);
}

function verdictOfStop(terms: AttemptTerms, kind: StopKind): Verdict {
  switch (kind) {
    case 'cancelled':
      return { kind: isAssistStep(terms.step) ? 'stopped' : 'cancelled' };
    case 'timeout':
      return { kind: 'failed', fault: terms.faults.timeout };
    case 'draining':
    case 'shutdown':
    case 'superseded':
    case 'host-gone':
      return { kind: 'stopped' };
  }
}

/** An abort step that cannot be run to its end leaves the sink unconfirmed, whatever kept it from that. */
function memoryVerdict(terms: AttemptTerms): Verdict {
  return terms.step === 'abort' ? { kind: 'cancelled' } : { kind: 'failed', fault: terms.faults.memoryLimit };
}

function kill(state: AttemptState, reason: KillReason, verdict: Verdict, nowMs: number): AttemptTransition {
  if (state.phase === 'killing') return keep(state);
  return { state: { ...state, phase: 'killing', phaseSinceMs: nowMs, verdict }, effects: [{ type: 'kill', reason }] };
}

function checkTime(state: AttemptState, nowMs: number): AttemptTransition {
  const { limits, faults, step, timeoutMs } = state.terms;
  const inPhaseMs = nowMs - state.phaseSinceMs;
  const silentMs = nowMs - state.lastTickAtMs;
  switch (state.phase) {
    case 'ended':
      return keep(state);
    case 'killing':
      return inPhaseMs >= limits.killLimitMs ? withoutExecutor(state, nowMs, 'stuck') : keep(state);
    case 'stopping':
      if (!state.acknowledged && inPhaseMs >= limits.stopAcknowledgeMs) return kill(state, 'frozen', verdictOf(state), nowMs);
      if (inPhaseMs >= stopLimitMs(state)) return kill(state, 'stopIgnored', verdictOf(state), nowMs);
      return silentMs >= limits.tickLimitMs ? kill(state, 'frozen', verdictOf(state), nowMs) : keep(state);
    case 'closing':
      return inPhaseMs >= limits.abortLimitMs ? kill(state, 'abortLimit', verdictOf(state), nowMs) : keep(state);
    case 'running':
      break;
  }
  if (silentMs >= limits.tickLimitMs) {
    return kill(state, 'frozen', { kind: 'lost', reason: `The executor gave no sign of life for ${Math.round(silentMs)} ms.` }, nowMs);
  }
  if (step === 'abort') {
    return inPhaseMs >= limits.abortLimitMs ? kill(state, 'abortLimit', { kind: 'cancelled' }, nowMs) : keep(state);
  }
  if (nowMs - state.startedAtMs >= timeoutMs + limits.timeoutGraceMs) {
    return kill(state, 'timeout', { kind: 'failed', fault: faults.timeout }, nowMs);
  }
  if (!state.waiting && step !== 'keep' && nowMs - state.lastAdvanceAtMs >= limits.progressLimitMs) {
    const stopped = stop(state, 'timeout', nowMs);
    return { ...stopped, state: { ...stopped.state, verdict: { kind: 'failed', fault: faults.noProgress } } };
  }
  return keep(state);
}

/** A cancel that overrules a hand-over closes the sink, and gets the time for it. */
function stopLimitMs({ verdict, terms: { limits } }: AttemptState): number {
  return verdict?.kind === 'stopped' ? limits.handOverMs : limits.stopGraceMs;
}

function verdictOf(state: AttemptState): Verdict {
  assert(state.verdict !== undefined, 'an attempt that is being stopped or closed has a verdict');
  return state.verdict;
}

function shift(state: AttemptState, byMs: number): AttemptState {
  return {
    ...state,
    phaseSinceMs: state.phaseSinceMs + byMs,
    lastTickAtMs: state.lastTickAtMs + byMs,
    lastAdvanceAtMs: state.lastAdvanceAtMs + byMs,
  };
}

/**
 * The executor says how it ended. Success is true whatever was asked meanwhile; the rest is weighed against what was asked: a
 * failure found here stands with the sink as the executor left it.
 */
function ended(state: AttemptState, outcome: AttemptOutcome, nowMs: number): AttemptTransition {
  if (outcome.kind === 'succeeded') return report(state, outcome);
  if (isAssistStep(state.terms.step) && outcome.kind === 'cancelled') return report(state, { kind: 'stopped' });
  if (state.closeTried) return closed(state, sinkOf(outcome));
  if (state.terms.step === 'abort') {
    return report(state, outcome.kind === 'failed' ? { kind: 'cancelled', sink: sinkOf(outcome) } : outcome);
  }
  const verdict = state.verdict;
  if (sinkOf(outcome) === 'aborted') return report(state, verdict?.kind === 'failed' ? { ...verdict, sink: 'aborted' } : outcome);
  // The process is dying: what is still open is settled when it is gone.
  if (state.phase === 'killing') return keep(state);
  if (verdict?.kind === 'cancelled') return outcome.kind === 'cancelled' ? report(state, outcome) : close(state, nowMs);
  if (outcome.kind === 'failed' && outcome.sink === 'open') return failedOpen(state, outcome.fault, nowMs);
  if (verdict?.kind !== 'failed') return report(state, outcome);
  if (outcome.kind === 'stopped') return failedOpen(state, verdict.fault, nowMs);
  return report(state, { ...verdict, sink: 'unconfirmed' });
}

function failedOpen(state: AttemptState, fault: Fault, nowMs: number): AttemptTransition {
  const verdict: Verdict = { kind: 'failed', fault: state.verdict?.kind === 'failed' ? state.verdict.fault : fault };
  if (!state.terms.finalTry || isAssistStep(state.terms.step)) return report(state, { ...verdict, sink: 'open' });
  return close({ ...state, verdict }, nowMs);
}

function gone(state: AttemptState, event: { reason: string; outOfMemory: boolean }, nowMs: number): AttemptTransition {
  if (state.verdict !== undefined) return withoutExecutor(state, nowMs, 'gone');
  const verdict: Verdict = event.outOfMemory ? memoryVerdict(state.terms) : { kind: 'lost', reason: event.reason };
  return withoutExecutor({ ...state, verdict }, nowMs, 'gone');
}

/** The executor is out of the way (`gone`), or cannot be got out of the way (`stuck`): then nothing fresh can take its place. */
function withoutExecutor(state: AttemptState, nowMs: number, how: 'gone' | 'stuck'): AttemptTransition {
  const verdict = verdictOf(state);
  const { step } = state.terms;
  const finalTry = state.terms.finalTry && !isAssistStep(step);
  if (verdict.kind === 'lost') return report(state, { kind: 'lost', reason: verdict.reason });
  if (verdict.kind === 'stopped') return report(state, { kind: 'stopped' });
  if (verdict.kind === 'failed' && !finalTry) return report(state, { kind: 'failed', fault: verdict.fault, sink: 'open' });
  if (state.closeTried || step === 'abort' || how === 'stuck') return closed(state, 'unconfirmed');
  return close(state, nowMs);
}

function close(state: AttemptState, nowMs: number): AttemptTransition {
  if (state.shuttingDown) return report(state, { kind: 'stopped' });
  const closing: AttemptState = { ...state, phase: 'closing', phaseSinceMs: nowMs, lastTickAtMs: nowMs, closeTried: true };
  return { state: closing, effects: [{ type: 'close' }] };
}

function closed(state: AttemptState, sink: 'aborted' | 'unconfirmed'): AttemptTransition {
  if (sink === 'unconfirmed' && state.shuttingDown) return report(state, { kind: 'stopped' });
  const verdict = verdictOf(state);
  if (verdict.kind === 'failed') return report(state, { kind: 'failed', fault: verdict.fault, sink });
  assert(verdict.kind === 'cancelled', 'only a cancelled or failed attempt closes its sink');
  return report(state, { kind: 'cancelled', sink });
}

function sinkOf(outcome: AttemptOutcome): 'aborted' | 'unconfirmed' {
  return (outcome.kind === 'cancelled' || outcome.kind === 'failed') && outcome.sink === 'aborted' ? 'aborted' : 'unconfirmed';
}

function report(state: AttemptState, outcome: AttemptOutcome): AttemptTransition {
  return { state: { ...state, phase: 'ended' }, effects: [{ type: 'report', outcome }] };
}
