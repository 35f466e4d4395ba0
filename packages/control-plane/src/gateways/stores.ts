import type { StoreClaim } from '@dmg/model';
import type { Kysely, Transaction } from 'kysely';
import type { Db } from '../database/open-database.ts';
import type { Database } from '../database/schema.ts';
import { bumpDesiredVersion } from './desired-version.ts';

/** Which local path is which store: the first node that uses a path says so, and every other finds the same id there or is not asked. */
export class StoreBook {
  readonly #db: Db;

  constructor(options: { db: Db }) {
    this.#db = options.db;
  }

  /** The id that was claimed first for the path, and whether that was now. A node that finds that id there is noted as one of its nodes. */
  async claim(
    node: { readonly gatewayId: string; readonly nodeId: string }, claim: StoreClaim,
  ): Promise<{ storeId: string; isNew: boolean }> {
    const { gatewayId, nodeId } = node;
    return this.#db.transaction().execute(async (trx) => {
      const inserted = await trx
        .insertInto('stores')
        .values({ gateway_id: gatewayId, path: claim.path, store_id: claim.storeId })
        .onConflict((conflict) => conflict.columns(['gateway_id', 'path']).doNothing())
        .executeTakeFirst();
      const isNew = inserted.numInsertedOrUpdatedRows === 1n;
      const { store_id: storeId } = await trx
        .selectFrom('stores')
        .select('store_id')
        .where('gateway_id', '=', gatewayId)
        .where('path', '=', claim.path)
        .executeTakeFirstOrThrow();
      if (storeId === claim.storeId) {
        await trx
          .insertInto('store_nodes')
          .values({ gateway_id: gatewayId, path: claim.path, node_id: nodeId })
          .onConflict((conflict) => conflict.columns(['gateway_id', 'path', 'node_id']).doNothing())
          .execute();
      }
      if (isNew) await bumpDesiredVersion(trx, gatewayId);
      return { storeId, isNew };
    });
  }
}

/** All stores of a gateway, by path. */
export async function storesOf(db: Kysely<Database>, gatewayId: string): Promise<StoreClaim[]> {
  const rows = await db.selectFrom('stores').select(['path', 'store_id']).where('gateway_id', '=', gatewayId).orderBy('path').execute();
  return rows.map(({ path, store_id: storeId }) => ({ path, storeId }));
}

/** Forgets the stores that none of the gateway's nodes has any more; called when a node was deleted. */
export async function dropStoresWithoutNodes(trx: Transaction<Database>, gatewayId: string): Promise<void> {
  await trx
    .deleteFrom('stores')
    .where('gateway_id', '=', gatewayId)
    .where('path', 'not in', (eb) => eb.selectFrom('store_nodes').select('path').where('gateway_id', '=', gatewayId))
    .execute();
}
