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
