import { type Clock, newUuid, type Random } from '@dmg/base';
import type { GatewayDecision, JsonObject } from '@dmg/model';
import { deriveGatewayKeySecret, type GatewayKeyName, hashGatewayKeySecret, type MasterSecret } from '@dmg/security';
import type { Transaction } from 'kysely';
import type { Db } from '../database/open-database.ts';
import type { Database, FactoryRow, GatewayRow, NodeRow } from '../database/schema.ts';
import { checkIfMatch, etagOf, type PutConditions } from '../definitions/factory-store.ts';
import { controlPlaneErrors } from '../errors.ts';
import { bumpDesiredVersion } from './desired-version.ts';
import { nodesMaxOf } from './gateway-settings.ts';
import { dropStoresWithoutNodes } from './stores.ts';

/** Logical gateways, their keys and their registered nodes. */
export class GatewayStore {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #master: MasterSecret;

  constructor(options: { db: Db; clock: Clock; random: Random; master: MasterSecret }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#master = options.master;
  }

  async put(factory: FactoryRow, name: string, resource: JsonObject, conditions: PutConditions): Promise<GatewayRow> {
    return this.#db.transaction().execute(async (trx) => {
      const existing = await findGateway(trx, factory.id, name);
      checkIfMatch('the integration runtime', name, existing?.etag, conditions);
      const shown = { resource: JSON.stringify(resource), etag: etagOf(resource), nodes_max: nodesMaxOf(resource) };
      if (existing !== undefined) {
        await trx.updateTable('gateways').set(shown).where('id', '=', existing.id).execute();
        return { ...existing, ...shown };
      }
      const id = newUuid(this.#random);
      const row: GatewayRow = {
        id, factory_id: factory.id, name, name_key: name.toLowerCase(), ...shown, created_at: this.#clock.wallMs(),
        key1_generation: 1, key1_hash: this.#keyHash(id, 'authKey1', 1), key2_generation: 1, key2_hash: this.#keyHash(id, 'authKey2', 1),
        next_send_no: 1, desired_version: 1, credential_key: null, credential_key_id: null,
        ca_certificate: null, ca_key_sealed: null, decision: null, target_version: null,
      };
      await trx.insertInto('gateways').values(row).execute();
      return row;
    });
  }

  find(factory: FactoryRow, name: string): Promise<GatewayRow | undefined> {
    return findGateway(this.#db, factory.id, name);
  }

  async get(factory: FactoryRow, name: string): Promise<GatewayRow> {
    const row = await this.find(factory, name);
    if (row === undefined) throw controlPlaneErrors.NOT_FOUND.create({ what: 'the integration runtime', name });
    return row;
  }

  list(factory: FactoryRow): Promise<GatewayRow[]> {
    return this.#db.selectFrom('gateways').selectAll().where('factory_id', '=', factory.id).orderBy('name_key').execute();
  }

  /** False when it was not there. Its nodes lose their registration; refused while runs have not ended. */
  async delete(factory: FactoryRow, name: string): Promise<boolean> {
    return this.#db.transaction().execute(async (trx) => {
      const gateway = await findGateway(trx, factory.id, name);
      if (gateway === undefined) return false;
      const open = await trx
        .selectFrom('activity_runs')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('gateway_id', '=', gateway.id)
        .where('phase', 'in', ['Pending', 'Queued', 'Running'])
        .executeTakeFirstOrThrow();
      if (open.count > 0) throw controlPlaneErrors.STILL_USED.create({ what: 'the integration runtime', name, count: open.count });
      await trx.deleteFrom('gateways').where('id', '=', gateway.id).execute();
      return true;
    });
  }

  /** Raises the key's generation and ends, at once, every node that registered with it. */
  async regenerateKey(gateway: GatewayRow, keyName: GatewayKeyName): Promise<GatewayRow> {
    return this.#db.transaction().execute(async (trx) => {
      const current = await trx.selectFrom('gateways').selectAll().where('id', '=', gateway.id).executeTakeFirstOrThrow();
      const generation = (keyName === 'authKey1' ? current.key1_generation : current.key2_generation) + 1;
      const hash = this.#keyHash(gateway.id, keyName, generation);
      const change = keyName === 'authKey1'
        ? { key1_generation: generation, key1_hash: hash }
        : { key2_generation: generation, key2_hash: hash };
      await trx.updateTable('gateways').set(change).where('id', '=', gateway.id).execute();
      await trx
        .updateTable('nodes')
        .set({ token_hash: null })
        .where('gateway_id', '=', gateway.id)
        .where('key_name', '=', keyName)
        .execute();
      await bumpDesiredVersion(trx, gateway.id);
      return { ...current, ...change };
    });
  }

  nodes(gatewayId: string): Promise<NodeRow[]> {
    return this.#db
      .selectFrom('nodes')
      .selectAll()
      .where('gateway_id', '=', gatewayId)
      .orderBy('registered_at')
      .orderBy('name_key')
      .execute();
  }

  async node(gateway: GatewayRow, name: string): Promise<NodeRow> {
    const row = await this.#db
      .selectFrom('nodes')
      .selectAll()
      .where('gateway_id', '=', gateway.id)
      .where('name_key', '=', name.toLowerCase())
      .executeTakeFirst();
    if (row === undefined) throw controlPlaneErrors.NOT_FOUND.create({ what: 'the node', name });
    return row;
  }

  /** The node that holds this token, and its gateway. */
  async nodeByToken(tokenHash: string): Promise<{ node: NodeRow; gateway: GatewayRow } | undefined> {
    const node = await this.#db.selectFrom('nodes').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst();
    if (node === undefined) return undefined;
    const gateway = await this.#db.selectFrom('gateways').selectAll().where('id', '=', node.gateway_id).executeTakeFirst();
    return gateway === undefined ? undefined : { node, gateway };
  }

  async setLimit(node: NodeRow, concurrentJobsLimit: number): Promise<NodeRow> {
    const maximum = node.slots_max;
    if (maximum !== null && concurrentJobsLimit > maximum) {
      throw controlPlaneErrors.LIMIT_TOO_HIGH.create({ node: node.name, limit: concurrentJobsLimit, maximum });
    }
    return this.#changeNode(node, { concurrent_jobs_limit: concurrentJobsLimit });
  }

  /** The node takes no jobs from now on; what runs may finish for `graceMs` and is then handed over. Holds until `resumeNode`. */
  drainNode(node: NodeRow, graceMs: number): Promise<NodeRow> {
    return this.#changeNode(node, { drain_grace_ms: graceMs });
  }

  resumeNode(node: NodeRow): Promise<NodeRow> {
    return this.#changeNode(node, { drain_grace_ms: null });
  }

  /** Where the other nodes reach it. The caller wakes the polls. */
  setAddress(node: NodeRow, address: string): Promise<NodeRow> {
    return this.#changeNode(node, { address });
  }

  /** Begins an update of the gateway's nodes to this version; undefined: none is in progress. */
  async setTargetVersion(gateway: GatewayRow, version: string | undefined): Promise<GatewayRow> {
    const change = { target_version: version ?? null };
    await this.#db.transaction().execute(async (trx) => {
      await trx.updateTable('gateways').set(change).where('id', '=', gateway.id).execute();
      await bumpDesiredVersion(trx, gateway.id);
    });
    return { ...gateway, ...change };
  }

  /** Keeps what a dispatcher decided if its number is larger than that of the one before; answers whether it was. */
  async keepDecision(gatewayId: string, decision: GatewayDecision): Promise<boolean> {
    return this.#db.transaction().execute(async (trx) => {
      const kept = await trx.selectFrom('gateways').select('decision').where('id', '=', gatewayId).executeTakeFirst();
      if (kept === undefined || decision.number <= (decisionOf(kept)?.number ?? 0)) return false;
      const { number, version, configDigest } = decision;
      await trx
        .updateTable('gateways')
        .set({ decision: JSON.stringify({ number, version, configDigest }) })
        .where('id', '=', gatewayId)
        .execute();
      await bumpDesiredVersion(trx, gatewayId);
      return true;
    });
  }

  /** False when it was not there. With the last node goes the credential key: the next node brings its own. */
  async deleteNode(gateway: GatewayRow, name: string): Promise<boolean> {
    return this.#db.transaction().execute(async (trx) => {
      const result = await trx
        .deleteFrom('nodes')
        .where('gateway_id', '=', gateway.id)
        .where('name_key', '=', name.toLowerCase())
        .executeTakeFirst();
      if (result.numDeletedRows === 0n) return false;
      await dropStoresWithoutNodes(trx, gateway.id);
      await bumpDesiredVersion(trx, gateway.id);
      const rest = await trx.selectFrom('nodes').select('id').where('gateway_id', '=', gateway.id).execute();
      if (rest.length === 0) {
        await trx.updateTable('gateways').set({ credential_key: null, credential_key_id: null }).where('id', '=', gateway.id).execute();
      }
      return true;
    });
  }

  async #changeNode(
    node: NodeRow, change: Partial<Pick<NodeRow, 'concurrent_jobs_limit' | 'drain_grace_ms' | 'address'>>,
  ): Promise<NodeRow> {
    await this.#db.transaction().execute(async (trx) => {
      await trx.updateTable('nodes').set(change).where('id', '=', node.id).execute();
      await bumpDesiredVersion(trx, node.gateway_id);
    });
    return { ...node, ...change };
  }

  #keyHash(gatewayId: string, keyName: GatewayKeyName, generation: number): string {
    return hashGatewayKeySecret(deriveGatewayKeySecret(this.#master, { gatewayId, keyName, generation }));
  }
}

/** What a dispatcher decided for the gateway last. */
export function decisionOf(gateway: Pick<GatewayRow, 'decision'>): GatewayDecision | undefined {
  return gateway.decision === null ? undefined : (JSON.parse(gateway.decision) as GatewayDecision);
}

function findGateway(db: Db | Transaction<Database>, factoryId: string, name: string): Promise<GatewayRow | undefined> {
  return db
    .selectFrom('gateways')
    .selectAll()
    .where('factory_id', '=', factoryId)
    .where('name_key', '=', name.toLowerCase())
    .executeTakeFirst();
}
