import type { DmgError } from '@dmg/base';
import type { Epoch } from '@dmg/model';

/** The right to act as dispatcher, bounded in time and fenced by its epoch. */
export interface Grant {
  readonly epoch: Epoch;
  /** Ids of the masters' data in one text: another one than last time means that the ledger lost what it held. */
  readonly life: string;
  /** Resolves with the reason when the right is gone. It is never given back: the next one is another grant. */
  readonly lost: Promise<DmgError>;
  /**
   * Asked before every effect (DESIGN-RULES 12.9): less than L − 100 ms have passed since the last good renewal was sent, and wall
   * and monotonic clock moved alike. False now may be true again after a renewal, unless `lost` resolves.
   */
  mayAct(): boolean;
  /** Gives the right back at once. `successor`: the node that should take it. Never rejects. */
  release(successor?: string): Promise<void>;
}

/** Where a dispatcher gets its right to act from. */
export interface EpochSource {
  /**
   * Resolves when this node holds the lease and has installed an epoch larger than `above` and than everything that any master has;
   * waits for ever otherwise, or rejects with the reason of the signal. A grant that is held already is raised: same right, larger epoch.
   */
  grant(above: number, signal: AbortSignal): Promise<Grant>;
  /** Why there is no grant; undefined when there is one, or somebody else rightly has it. */
  readonly trouble: DmgError | undefined;
}
