import type { Clock } from '@dmg/base';
import { type LeaderSight, offlineAfterMs } from '@dmg/core';
import { type AliveReport, compareEpochs, type Epoch, parseEpoch } from '@dmg/model';
import type { Db } from '../database/open-database.ts';
import type { NodeRow } from '../database/schema.ts';

export interface Presence {
  readonly gatewayId: string;
  readonly report: AliveReport;
  readonly lastMs: number;
  readonly lastWallMs: number;
}

/** Shorter than what makes a node Offline: after a restart one that was alive is not taken for silent. */
const persistEveryMs = 10_000;
/** Silence of a node that was never heard. */
const neverHeardMs = Number.MAX_SAFE_INTEGER;

/**
 * The last alive report of each node, in memory; on disk goes what must be shown after a restart, at most every 10 s a node and
 * whenever a node has started anew.
 */
export class PresenceBoard {
  readonly #db: Db;
  readonly #clock: Clock;
  #startMs: number;
  readonly #known = new Map<string, Presence & { readonly persistedMs: number }>();
  /** Who leads a gateway, and since when that has been known. */
  readonly #leading = new Map<string, { readonly nodeId: string; readonly sinceMs: number }>();
  /** How silent nodes were when this process began to listen. */
  readonly #silentAtStartMs = new Map<string, number>();

  constructor(options: { db: Db; clock: Clock }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#startMs = options.clock.monotonicMs();
  }

  /**
   * Takes up what was known before; called once. The time in which the control plane was down counts for nobody's silence: it ended
   * when the last node of the gateway was heard. So a restart of everything leaves versions and configuration as they were decided,
   * and nodes that were gone long before stay gone.
   */
  async start(): Promise<void> {
    const rows = await this.#db.selectFrom('nodes').select(['id', 'gateway_id', 'last_alive_at']).execute();
    const lastOf = new Map<string, number>();
    for (const { gateway_id: id, last_alive_at: at } of rows) lastOf.set(id, Math.max(lastOf.get(id) ?? 0, at ?? 0));
    for (const { id, gateway_id: gatewayId, last_alive_at: at } of rows) {
      if (at !== null) this.#silentAtStartMs.set(id, Math.max(0, (lastOf.get(gatewayId) ?? at) - at));
    }
    this.#startMs = this.#clock.monotonicMs();
  }

  of(nodeId: string): Presence | undefined {
    return this.#known.get(nodeId);
  }

  /** Milliseconds for which the node was not heard, the time in which nobody listened left out; very large when it never was. */
  silentMs(nodeId: string): number {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#known.get(nodeId);
    if (known !== undefined) return nowMs - known.lastMs;
    const atStartMs = this.#silentAtStartMs.get(nodeId);
    return atStartMs === undefined ? neverHeardMs : atStartMs + nowMs - this.#startMs;
  }

  /**
   * The node that leads the gateway: the one that says so under the highest epoch of which anybody was heard within 15 s. Undefined when
   * that one is not heard or has stepped down: who led under a smaller epoch is obeyed by nobody any more.
   */
  leaderOf(gatewayId: string): LeaderSight | undefined {
    const leader = this.#leaderNow(gatewayId);
    const since = this.#leading.get(gatewayId);
    if (leader === undefined || since?.nodeId !== leader.report.facts.nodeId) return undefined;
    const { nodeId, nodeName } = leader.report.facts;
    const nowMs = this.#clock.monotonicMs();
    const epoch = leader.report.dispatcher?.epoch ?? '';
    return { nodeId, nodeName, epoch, knownForMs: nowMs - since.sinceMs, silentMs: nowMs - leader.lastMs };
  }

  /** Jobs that wait at the gateway's dispatcher, by its last report; without one, at all that have led and are still heard. */
  waitingAtDispatcher(gatewayId: string): ReadonlySet<string> {
    const leader = this.#leaderNow(gatewayId);
    const reports = leader === undefined ? this.#heardLately(gatewayId) : [leader];
    return new Set(reports.flatMap(({ report }) => report.dispatcher?.waiting ?? []));
  }

  /** Why no live node may run a job that waits at the gateway's dispatcher, by its last report; undefined: one may. */
  whyStranded(gatewayId: string, jobId: string): string | undefined {
    return this.#leaderNow(gatewayId)?.report.dispatcher?.stranded?.find((each) => each.jobId === jobId)?.reason;
  }

  async note(node: NodeRow, report: AliveReport): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#known.get(node.id);
    const { bootId, slots, version, configDigest } = report.facts;
    const started = node.boot_id !== bootId;
    const changed = node.slots_max !== slots.maximum || node.version !== version || node.config_digest !== configDigest;
    const due = before === undefined || nowMs - before.persistedMs >= persistEveryMs || changed;
    const lastWallMs = this.#clock.wallMs();
    const persistedMs = due || started ? nowMs : before.persistedMs;
    this.#known.set(node.id, { gatewayId: node.gateway_id, report, lastMs: nowMs, lastWallMs, persistedMs });
    this.#noteLeader(node.gateway_id, nowMs);
    if (!due && !started) return;
    await this.#db
      .updateTable('nodes')
      .set({
        last_alive_at: lastWallMs, version, config_digest: configDigest, slots_max: slots.maximum, boot_id: bootId,
        ...(started ? { last_start_at: lastWallMs } : {}),
      })
      .where('id', '=', node.id)
      .execute();
  }

  forget(nodeId: string): void {
    this.#known.delete(nodeId);
    this.#silentAtStartMs.delete(nodeId);
  }

  #noteLeader(gatewayId: string, nowMs: number): void {
    const nodeId = this.#leaderNow(gatewayId)?.report.facts.nodeId;
    if (nodeId === undefined) this.#leading.delete(gatewayId);
    else if (this.#leading.get(gatewayId)?.nodeId !== nodeId) this.#leading.set(gatewayId, { nodeId, sinceMs: nowMs });
  }

  #leaderNow(gatewayId: string): Presence | undefined {
    const heard = this.#heardLately(gatewayId);
    let highest: Epoch | undefined;
    for (const { report } of heard) {
      for (const text of [report.dispatcher?.epoch, report.facts.dispatcher?.epoch]) {
        const epoch = text === undefined ? undefined : parseEpoch(text);
        if (epoch !== undefined && (highest === undefined || compareEpochs(epoch, highest) > 0)) highest = epoch;
      }
    }
    return heard.find(({ report: { dispatcher } }) => {
      const epoch = dispatcher?.leading === true ? parseEpoch(dispatcher.epoch) : undefined;
      return epoch !== undefined && highest !== undefined && compareEpochs(epoch, highest) === 0;
    });
  }

  #heardLately(gatewayId: string): Presence[] {
    const sinceMs = this.#clock.monotonicMs() - offlineAfterMs;
    return [...this.#known.values()].filter((each) => each.gatewayId === gatewayId && each.lastMs >= sinceMs);
  }
}
