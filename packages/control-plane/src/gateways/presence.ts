import type { Clock } from '@dmg/base';
import type { AliveReport } from '@dmg/model';
import type { Db } from '../database/open-database.ts';
import type { NodeRow } from '../database/schema.ts';

export interface Presence {
  readonly report: AliveReport;
  readonly lastMs: number;
  readonly lastWallMs: number;
}

const persistEveryMs = 30_000;

/**
 * The last alive report of each node, in memory; on disk goes what must be shown after a restart, at most every 30 s a node and
 * whenever a node has started anew.
 */
export class PresenceBoard {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #known = new Map<string, Presence & { readonly persistedMs: number }>();

  constructor(options: { db: Db; clock: Clock }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#startMs = options.clock.monotonicMs();
  }

  of(nodeId: string): Presence | undefined {
    return this.#known.get(nodeId);
  }

  /** Milliseconds since the node was last heard, or since this process began to listen. */
  silentMs(nodeId: string): number {
    return this.#clock.monotonicMs() - (this.#known.get(nodeId)?.lastMs ?? this.#startMs);
  }

  async note(node: NodeRow, report: AliveReport): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#known.get(node.id);
    const started = node.boot_id !== report.bootId;
    const due = before === undefined || nowMs - before.persistedMs >= persistEveryMs || node.slots_max !== report.slots.maximum;
    const lastWallMs = this.#clock.wallMs();
    this.#known.set(node.id, { report, lastMs: nowMs, lastWallMs, persistedMs: due || started ? nowMs : before.persistedMs });
    if (!due && !started) return;
    await this.#db
      .updateTable('nodes')
      .set({
        last_alive_at: lastWallMs, version: report.version, slots_max: report.slots.maximum, boot_id: report.bootId,
        ...(started ? { last_start_at: lastWallMs } : {}),
      })
      .where('id', '=', node.id)
      .execute();
  }

  forget(nodeId: string): void {
    this.#known.delete(nodeId);
  }
}
