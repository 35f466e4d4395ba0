import type { Transaction } from 'kysely';
import type { Database } from '../database/schema.ts';

/** Every change of what nodes are to do raises the version; after the commit the caller wakes the polls (`DesiredStates.changed`). */
export async function bumpDesiredVersion(trx: Transaction<Database>, gatewayId: string): Promise<void> {
  await trx.updateTable('gateways').set((eb) => ({ desired_version: eb('desired_version', '+', 1) })).where('id', '=', gatewayId).execute();
}
