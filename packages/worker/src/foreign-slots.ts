import { type Clock, firstLine, type Timer } from '@dmg/base';
import type { SlotTable } from '@dmg/core';
import { readHeldSlots } from './slot-names.ts';

export interface ForeignSlotsOptions {
  readonly nodeId: string;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly table: () => SlotTable;
  /** Told which slots are held by processes that are not ours. */
  readonly seen: (held: ReadonlySet<number>) => void;
  /** The kernel's list cannot be read here; names count as free until an executor fails to bind one. */
  readonly unreadable: (reason: string) => void;
}

/** Looks up which slots of this node strangers hold, again and again while there are any. */
export class ForeignSlots {
  readonly #options: ForeignSlotsOptions;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ForeignSlotsOptions) {
    this.#options = options;
  }

  async look(): Promise<void> {
    const { nodeId, table, seen, unreadable } = this.#options;
    // Ours are taken from the time before the list was read: one of them that ends meanwhile is not a stranger's.
    const ours = [...table().places].flatMap(([slot, place]) => (place.state === 'foreign' ? [] : [slot]));
    let held = new Set<number>();
    try {
      held = await readHeldSlots(nodeId);
    } catch (error) {
      unreadable(firstLine(error));
    }
    if (this.#stopped) return;
    for (const slot of ours) held.delete(slot);
    seen(held);
    this.watch();
  }

  /** Looks again soon if the table knows of strangers. */
  watch(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    if (![...this.#options.table().places.values()].some((place) => place.state === 'foreign')) return;
    this.#timer = this.#options.clock.after(this.#options.pollMs, () => {
      this.#timer = undefined;
      void this.look();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
