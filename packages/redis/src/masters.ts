import { asDmgError, type Clock, type DmgError, type Logger, type Random, type Secret } from '@dmg/base';
import { RedisConnection } from './connection.ts';
import { redisErrors } from './errors.ts';
import { majorityOf } from './quorum.ts';
import type { Script } from './scripts.ts';

/** So many round trips are measured; with so few the longest stands for the 99th percentile. */
const pings = 20;

export interface MastersOptions {
  /** `redis://` or `rediss://`, with user and password where needed: one server, or an odd number that know nothing of each other. */
  readonly masters: readonly Secret[];
  readonly gatewayId: string;
  /** Deadline of every command, in milliseconds; a quarter of the lease (DESIGN §6). */
  readonly commandTimeoutMs?: number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A connection to each master, in their order. Throws DMG_REDIS_MASTERS when their number or their addresses do not make a majority. */
export function openMasters(
  options: MastersOptions & { readonly scripts: readonly Script[]; readonly reconnectPauseMsMax?: number | undefined },
): readonly RedisConnection[] {
  const { masters } = options;
  // Of an even number one half may say yes and the other no; redlock would then wait for ever.
  if (masters.length % 2 === 0) throw redisErrors.MASTERS.create({ reason: `there are ${masters.length}` });
  const connections = masters.map((url) => new RedisConnection({ ...options, url }));
  const addresses = connections.map(({ address }) => address);
  const twice = addresses.find((address, index) => addresses.indexOf(address) !== index);
  if (twice === undefined) return connections;
  for (const connection of connections) void connection.close();
  throw redisErrors.MASTERS.create({ reason: `${twice} is named twice` });
}

/**
 * What a node's start must know of the masters: resolves with everything that should be mended, a minority that cannot be used
 * included; rejects with the first error when no majority can be used.
 */
export async function checkMasters(connections: readonly RedisConnection[]): Promise<readonly DmgError[]> {
  const results = await Promise.allSettled(connections.map((connection) => connection.check()));
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [asDmgError(result.reason)] : []));
  const [first] = errors;
  if (first !== undefined && errors.length > connections.length - majorityOf(connections.length)) throw first;
  return [...errors, ...results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))];
}

/** The 99th percentile of the time that a majority takes to answer, in milliseconds. Rejects when there is no majority. */
export async function measureRoundTripMs(connections: readonly RedisConnection[]): Promise<number> {
  const results = await Promise.allSettled(connections.map(longestRoundTripMs));
  const timesMs = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])).sort((a, b) => a - b);
  const timeMs = timesMs[majorityOf(connections.length) - 1];
  if (timeMs !== undefined) return timeMs;
  throw asDmgError(results.find((result) => result.status === 'rejected')?.reason);
}

async function longestRoundTripMs(connection: RedisConnection): Promise<number> {
  let longestMs = 0;
  await connection.check();
  for (let left = pings; left > 0; left--) longestMs = Math.max(longestMs, await connection.roundTripMs());
  return longestMs;
}
