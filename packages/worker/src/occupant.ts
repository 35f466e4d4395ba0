import type { Departure, Executor } from './executor.ts';
import type { ExecutorMessage } from './executor-messages.ts';

/** Who works in an executor. Nothing is heard any more after `gone`. */
export interface Occupant {
  message(message: ExecutorMessage): void;
  garbled(): void;
  gone(departure: Departure): void;
}

/** An attempt that wants an executor. All three are called synchronously from the pool. */
export interface Claimant {
  readonly attemptId: string;
  /** Asked in the instant of the reservation: false gives the claim up. */
  stillWanted(): boolean;
  /** The slot is reserved; returns who works in it. */
  begin(executor: Executor): Occupant;
  /** No executor can be had. */
  refused(evidence: string): void;
}

/** What an attempt needs of those whose process it works in. */
export interface AttemptHost {
  kill(executor: Executor, reason: string): void;
  /** The attempt is over and its executor is well. */
  release(executor: Executor): void;
  /** The executor is gone and the attempt is not over: it goes on in another one. */
  carry(goneId: number, claimant: Claimant): void;
  /** Gives that up. */
  dropCarried(attemptId: string): void;
}
