import type { Clock } from '@dmg/base';
import type { DesiredState, Member } from '@dmg/model';
import { signDesiredState, type SigningKey } from '@dmg/security';
import type { Db } from '../database/open-database.ts';
import { controlPlaneErrors } from '../errors.ts';
import { decisionOf } from './gateway-store.ts';
import { storesOf } from './stores.ts';

const dayMs = 24 * 3600 * 1000;

/**
 * What the control plane wants of each node, as a long poll (DESIGN-RULES 21). Level-triggered: every answer is the whole document,
 * so a node that missed any number of changes is right again after one answer.
 */
export class DesiredStates {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #signingKey: SigningKey;
  readonly #pollMs: number;
  readonly #waiters = new Map<string, Set<() => void>>();
  #closed = false;

  constructor(options: { db: Db; clock: Clock; signingKey: SigningKey; pollMs?: number }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#signingKey = options.signingKey;
    this.#pollMs = options.pollMs ?? 25_000;
  }

  /** The gateway's document may have changed: everybody who waits for it looks. */
  changed(gatewayId: string): void {
    // Waking removes from the set.
    for (const wake of Array.from(this.#waiters.get(gatewayId) ?? [])) wake();
  }

  /** Ends every wait with the document as it is, so that the server can close. */
  close(): void {
    this.#closed = true;
    for (const gatewayId of this.#waiters.keys()) this.changed(gatewayId);
  }

  get waiting(): number {
    return [...this.#waiters.values()].reduce((sum, waiters) => sum + waiters.size, 0);
  }

  /**
   * The signed document: at once when its version is not `known`, else when it changes or after the poll time. Throws
   * `NODE_NOT_REGISTERED` when the token ended meanwhile.
   */
  async poll(options: { gatewayId: string; nodeId: string; tokenHash: string; known: number; signal: AbortSignal }): Promise<string> {
    const { gatewayId, nodeId, tokenHash, known, signal } = options;
    // Listens before it reads: a change between the two is not missed.
    const change = this.#nextChange(gatewayId, signal);
    try {
      const current = await this.#read(nodeId, tokenHash);
      if (current.version !== known) return await signDesiredState(current, this.#signingKey);
      await change.happened;
    } finally {
      change.cancel();
    }
    return signDesiredState(await this.#read(nodeId, tokenHash), this.#signingKey);
  }

  #nextChange(gatewayId: string, signal: AbortSignal): { happened: Promise<void>; cancel: () => void } {
    let cancel = (): void => undefined;
    const happened = new Promise<void>((resolve) => {
      if (this.#closed || signal.aborted) return resolve();
      const waiters = this.#waiters.get(gatewayId) ?? new Set();
      this.#waiters.set(gatewayId, waiters);
      const timer = this.#clock.after(this.#pollMs, () => cancel());
      cancel = () => {
        timer.cancel();
        signal.removeEventListener('abort', cancel);
        waiters.delete(cancel);
        if (waiters.size === 0) this.#waiters.delete(gatewayId);
        resolve();
      };
      waiters.add(cancel);
      signal.addEventListener('abort', cancel, { once: true });
    });
    return { happened, cancel: () => cancel() };
  }

  async #read(nodeId: string, tokenHash: string): Promise<DesiredState> {
    const node = await this.#db
      .selectFrom('nodes')
      .innerJoin('gateways', 'gateways.id', 'nodes.gateway_id')
      .select([
        'nodes.gateway_id', 'nodes.concurrent_jobs_limit', 'nodes.drain_grace_ms', 'gateways.desired_version', 'gateways.decision',
        'gateways.target_version',
      ])
      .where('nodes.id', '=', nodeId)
      .where('nodes.token_hash', '=', tokenHash)
      .executeTakeFirst();
    if (node === undefined) throw controlPlaneErrors.NODE_NOT_REGISTERED.create();
    // The version was read first: what changes while the rest is read raises it, and is answered once more.
    const { gateway_id: gatewayId, target_version: targetVersion, drain_grace_ms: graceMs } = node;
    const decision = decisionOf(node);
    return {
      gatewayId, nodeId, version: node.desired_version, concurrentJobsLimit: node.concurrent_jobs_limit,
      cancel: await this.#cancelOf(gatewayId),
      members: await this.#membersOf(gatewayId),
      ...(decision === undefined ? {} : { decision }),
      ...(targetVersion === null ? {} : { targetVersion }),
      ...(graceMs === null ? {} : { drain: { graceMs } }),
      stores: await storesOf(this.#db, gatewayId),
    };
  }

  /** Whose key was regenerated is no member: the others drop its streams. */
  async #membersOf(gatewayId: string): Promise<Member[]> {
    const rows = await this.#db
      .selectFrom('nodes')
      .select(['id', 'name', 'address'])
      .where('gateway_id', '=', gatewayId)
      .where('token_hash', 'is not', null)
      .orderBy('registered_at')
      .orderBy('name_key')
      .execute();
    return rows.map(({ id, name, address }) => ({ nodeId: id, nodeName: name, address }));
  }

  async #cancelOf(gatewayId: string): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('activity_runs')
      .innerJoin('pipeline_runs', 'pipeline_runs.run_id', 'activity_runs.run_id')
      .select('job_id')
      .where('gateway_id', '=', gatewayId)
      .where('sends', '>', 0)
      .where((eb) =>
        eb.or([
          eb.and([eb('abandoned', '=', 1), eb('activity_runs.ended_at', '>', this.#clock.wallMs() - 7 * dayMs)]),
          eb.and([eb('phase', 'in', ['Queued', 'Running']), eb('pipeline_runs.cancel_requested', '=', 1)]),
          // A job that was cancelled before any attempt left no trace at its sink. A dispatcher that reads it back from an old ledger
          // must not run it.
          eb.and([eb('phase', '=', 'Cancelled'), eb('activity_runs.ended_at', '>', this.#clock.wallMs() - dayMs)]),
        ]),
      )
      .orderBy('job_id')
      .execute();
    return rows.map((row) => row.job_id);
  }
}
