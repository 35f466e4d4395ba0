import type { DmgError } from '@dmg/base';
import type { Redis } from 'ioredis';
import { redisErrors } from './errors.ts';

/** The oldest Redis whose scripts and ACLs we use. */
const minimumMajor = 6;
/** A replica that has not spoken for so long, in seconds, would come without our last writes when it is promoted. */
const replicaSilentSecondsMax = 5;
/** The same for one that is so many bytes behind. */
const replicaBehindBytesMax = 1024 * 1024;

/** What a server says of itself; undefined where it may not be asked, as on many managed services. */
export interface RedisFacts {
  /** The answer to INFO. */
  readonly info: string | undefined;
  readonly maxmemoryPolicy: string | undefined;
  readonly appendonly: string | undefined;
  readonly appendfsync: string | undefined;
  /** Why it refused to run a script. */
  readonly scriptsForbidden: string | undefined;
}

export interface Fitness {
  /** Why it cannot be used at all. */
  readonly refusal: DmgError | undefined;
  /** What will hurt sooner or later, each with its remedy. */
  readonly warnings: readonly DmgError[];
  /** Keys of one hash tag live on one shard, so Cluster mode suits us, as long as this server is that shard. */
  readonly clusterMode: boolean;
}

/** Asks in one round trip. Rejects with what the client throws, other than that a question is forbidden. */
export async function askRedis(redis: Redis): Promise<RedisFacts> {
  const setting = (name: string): Promise<string | undefined> =>
    redis.config('GET', name).then((reply) => settingOf(reply, name)).catch(unlessForbidden);
  const [info, maxmemoryPolicy, appendonly, appendfsync, scriptsForbidden] = await Promise.all([
    redis.info().catch(unlessForbidden),
    setting('maxmemory-policy'),
    setting('appendonly'),
    setting('appendfsync'),
    redis.eval('return 1', 0).then(() => undefined, (error: unknown) => {
      if (!isForbidden(error)) throw error;
      return error.message;
    }),
  ]);
  return { info, maxmemoryPolicy, appendonly, appendfsync, scriptsForbidden };
}

/** What to refuse and what to warn of, by DESIGN-RULES 26. */
export function judgeRedis(facts: RedisFacts, address: string): Fitness {
  const info = fieldsOf(facts.info ?? '');
  return {
    refusal: refusalOf(facts, info, address),
    warnings: [...laggingReplicas(info, address), ...slowDisk(facts, address)],
    clusterMode: info.get('cluster_enabled') === '1',
  };
}

function refusalOf(facts: RedisFacts, info: ReadonlyMap<string, string>, address: string): DmgError | undefined {
  const { scriptsForbidden, maxmemoryPolicy } = facts;
  const version = info.get('redis_version');
  if (scriptsForbidden !== undefined) return redisErrors.EVAL_FORBIDDEN.create({ address, reason: scriptsForbidden });
  if (version !== undefined && Number.parseInt(version, 10) < minimumMajor) {
    return redisErrors.VERSION.create({ address, version, minimum: `${minimumMajor}.0` });
  }
  if (maxmemoryPolicy !== undefined && maxmemoryPolicy !== 'noeviction') {
    return redisErrors.EVICTION_POLICY.create({ address, policy: maxmemoryPolicy });
  }
  return info.get('role') === 'slave' ? redisErrors.READ_ONLY.create({ address }) : undefined;
}

/** Lines such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=1234,lag=0`; the lag is in seconds. */
function laggingReplicas(info: ReadonlyMap<string, string>, address: string): DmgError[] {
  const written = Number(info.get('master_repl_offset') ?? 0);
  return [...info].flatMap(([name, value]) => {
    if (!/^slave\d+$/.test(name)) return [];
    const replica = new Map(value.split(',').map((part) => splitAt(part, '=')));
    const [state, lag, behindBytes] = [replica.get('state'), Number(replica.get('lag')), written - Number(replica.get('offset'))];
    const reason = state !== 'online' ? `it is ${state ?? 'in no known state'}`
      : lag > replicaSilentSecondsMax ? `it has not answered for ${lag} s`
      : behindBytes > replicaBehindBytesMax ? `it is ${behindBytes} bytes behind`
      : undefined;
    if (reason === undefined) return [];
    return [redisErrors.REPLICA_LAGS.create({ address, replica: `${replica.get('ip')}:${replica.get('port')}`, reason })];
  });
}

function slowDisk({ appendonly, appendfsync }: RedisFacts, address: string): DmgError[] {
  return appendonly === 'yes' && appendfsync === 'always' ? [redisErrors.FSYNC_ALWAYS.create({ address })] : [];
}

function fieldsOf(info: string): Map<string, string> {
  return new Map(info.split(/\r?\n/).filter((line) => line.includes(':')).map((line) => splitAt(line, ':')));
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}

/** RESP2 answers a list, RESP3 a map. */
function settingOf(reply: unknown, name: string): string | undefined {
  if (typeof reply !== 'object' || reply === null) return undefined;
  const value = Array.isArray(reply) ? (reply as unknown[])[1] : (reply as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}

function isForbidden(error: unknown): error is Error {
  return error instanceof Error && /^(NOPERM\b|ERR unknown command)/.test(error.message);
}

/** Managed services forbid CONFIG and sometimes INFO: what may not be asked is not checked. */
export function unlessForbidden(error: unknown): undefined {
  if (!isForbidden(error)) throw error;
  return undefined;
}
