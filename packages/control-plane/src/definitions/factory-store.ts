import { createHash } from 'node:crypto';
import { type Clock, newUuid, type Random } from '@dmg/base';
import type { JsonObject, JsonValue } from '@dmg/model';
import type { Db } from '../database/open-database.ts';
import type { FactoryRow } from '../database/schema.ts';
import { controlPlaneErrors } from '../errors.ts';

/** Where a factory lives, as the path of a request names it. Compared without case. */
export interface FactoryPlace {
  readonly subscriptionId: string;
  readonly resourceGroupName: string;
}

export interface PutConditions {
  /** `If-Match`: an etag, or `*` for "must exist". */
  readonly ifMatch?: string | undefined;
}

export class FactoryStore {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: { db: Db; clock: Clock; random: Random }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  async put(place: FactoryPlace, name: string, resource: JsonObject, conditions: PutConditions): Promise<FactoryRow> {
    const keys = keysOf(place, name);
    return this.#db.transaction().execute(async (trx) => {
      const existing = await selectFactory(trx, keys);
      checkIfMatch('the factory', name, existing?.etag, conditions);
      const etag = etagOf(resource);
      if (existing !== undefined) {
        await trx.updateTable('factories').set({ resource: JSON.stringify(resource), etag }).where('id', '=', existing.id).execute();
        return { ...existing, resource: JSON.stringify(resource), etag };
      }
      const row: FactoryRow = {
        id: newUuid(this.#random), subscription_id: place.subscriptionId, resource_group: place.resourceGroupName, name,
        resource: JSON.stringify(resource), etag, created_at: this.#clock.wallMs(), ...keys,
      };
      await trx.insertInto('factories').values(row).execute();
      return row;
    });
  }

  find(place: FactoryPlace, name: string): Promise<FactoryRow | undefined> {
    return selectFactory(this.#db, keysOf(place, name));
  }

  /** As `find`, but throws `NOT_FOUND`. */
  async get(place: FactoryPlace, name: string): Promise<FactoryRow> {
    const row = await this.find(place, name);
    if (row === undefined) throw controlPlaneErrors.NOT_FOUND.create({ what: 'the factory', name });
    return row;
  }

  list(subscriptionId: string, resourceGroupName?: string): Promise<FactoryRow[]> {
    let query = this.#db.selectFrom('factories').selectAll().where('subscription_key', '=', subscriptionId.toLowerCase());
    if (resourceGroupName !== undefined) query = query.where('resource_group_key', '=', resourceGroupName.toLowerCase());
    return query.orderBy('name_key').execute();
  }

  /** False when it was not there. Everything in it goes with it; refused while runs have not ended. */
  async delete(place: FactoryPlace, name: string): Promise<boolean> {
    const row = await this.find(place, name);
    if (row === undefined) return false;
    await this.#db.transaction().execute(async (trx) => {
      const open = await trx
        .selectFrom('activity_runs')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('factory_id', '=', row.id)
        .where('phase', 'in', ['Pending', 'Queued', 'Running'])
        .executeTakeFirstOrThrow();
      if (open.count > 0) throw controlPlaneErrors.STILL_USED.create({ what: 'the factory', name, count: open.count });
      await trx.deleteFrom('factories').where('id', '=', row.id).execute();
    });
    return true;
  }
}

/** The same document has the same etag, on whichever replica. */
export function etagOf(resource: JsonValue): string {
  return createHash('sha256').update(JSON.stringify(resource)).digest('hex').slice(0, 32);
}

export function checkIfMatch(what: string, name: string, etag: string | undefined, conditions: PutConditions): void {
  const wanted = conditions.ifMatch?.replace(/^W\//, '').replaceAll('"', '');
  if (wanted === undefined || wanted === etag || (wanted === '*' && etag !== undefined)) return;
  throw controlPlaneErrors.ETAG_DIFFERS.create({ what, name });
}

type FactoryKeys = Pick<FactoryRow, 'subscription_key' | 'resource_group_key' | 'name_key'>;

function selectFactory(db: Db, keys: FactoryKeys): Promise<FactoryRow | undefined> {
  return db
    .selectFrom('factories')
    .selectAll()
    .where('subscription_key', '=', keys.subscription_key)
    .where('resource_group_key', '=', keys.resource_group_key)
    .where('name_key', '=', keys.name_key)
    .executeTakeFirst();
}

function keysOf(place: FactoryPlace, name: string): FactoryKeys {
  return {
    subscription_key: place.subscriptionId.toLowerCase(),
    resource_group_key: place.resourceGroupName.toLowerCase(),
    name_key: name.toLowerCase(),
  };
}
