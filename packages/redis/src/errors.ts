import { defineErrors, type DmgError, firstLine, isDmgError } from '@dmg/base';

export const redisErrors = defineErrors('REDIS', {
  UNREACHABLE: {
    category: 'transient',
    retry: 'reconnect',
    scope: 'node',
    message: 'Cannot reach Redis at {address}: {reason}.',
    fix: 'Check that Redis runs at this address and that this node may connect to it. The node connects again by itself.',
  },
  TIMEOUT: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot get an answer from Redis at {address}: none within {limitMs} ms.',
    fix: 'Check the load of Redis, its disk (appendfsync always stalls on a slow one) and the network. The node tries again by itself.',
  },
  CLOSED: {
    category: 'system',
    retry: 'never',
    scope: 'node',
    message: 'Cannot use Redis: the connection was closed.',
    fix: 'This is normal while a node stops. Otherwise report it with the log of this node.',
  },
  ACCESS_DENIED: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot use Redis at {address}: {reason}.',
    fix: 'Put the right user and password into the Redis address, and allow that user +@scripting +@hash +@set +@string +del on ~dmg:*.',
  },
  EVAL_FORBIDDEN: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot use Redis at {address}: it does not allow scripts ({reason}).',
    fix: 'Allow EVAL and EVALSHA for the user of this gateway (ACL SETUSER … +@scripting), or remove a rename-command for them.',
  },
  EVICTION_POLICY: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot use Redis at {address}: its maxmemory-policy is {policy}, so it may throw our records away.',
    fix: 'Set maxmemory-policy to noeviction (by CONFIG SET, or in the settings of the managed service), or use another Redis.',
  },
  VERSION: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot use Redis at {address}: it is version {version}, and {minimum} is the oldest that we support.',
    fix: 'Upgrade Redis, or point this gateway at a newer one.',
  },
  READ_ONLY: {
    category: 'transient',
    retry: 'reconnect',
    scope: 'node',
    message: 'Cannot write to Redis at {address}: it is a read-only replica.',
    fix: 'Point this gateway at the master. During a failover this passes by itself.',
  },
  OUT_OF_MEMORY: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot write to Redis at {address}: it has no memory left.',
    fix: 'Raise maxmemory, or remove other data. The ledger needs a few kilobytes a job.',
  },
  MASTERS: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot use these Redis masters: {reason}.',
    fix: 'Name one Redis, or an odd number of them that know nothing of each other.',
  },
  LEDGER_INCOMPLETE: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot read the ledger: of {masters} Redis masters {empty} lost their data and {silent} did not answer.',
    fix: 'Bring the masters back that do not answer. Once one node leads again, what is left is completed from the nodes and the queue.',
  },
  REPLICA_LAGS: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot rely on {replica}, a replica of Redis at {address}: {reason}.',
    fix: 'Check the load of the replica and its network. If it is promoted like this, jobs are read from the queue and the nodes again.',
  },
  FSYNC_ALWAYS: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot rely on the speed of Redis at {address}: appendfsync is always, so a slow disk delays every renewal of the lease.',
    fix: 'Set appendfsync to everysec: what a crash of Redis loses is rebuilt from the nodes. Or put its data on a fast disk.',
  },
  OTHER_SHARD: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot use Redis at {address}: in its cluster the keys of this gateway live on another server ({reason}).',
    fix: 'Point this gateway at that server, or at a Redis that is no cluster. All keys of a gateway share one hash slot.',
  },
  COMMAND_FAILED: {
    category: 'system',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot use Redis at {address}: it refused a command ({reason}).',
    fix: 'Report this with the log of this node and the version of Redis.',
  },
});

interface RedisContext {
  /** Host and port; never the password. */
  readonly address: string;
  readonly limitMs: number;
}

type Mapping = (context: RedisContext, reason: string, cause: unknown) => DmgError;

const denied = /^(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|without any password/;
const notNow = /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY)\b/;

/** What Redis and the client say, in the order in which it is tried. Server replies begin with a word in capitals. */
const mappings: readonly (readonly [pattern: RegExp, create: Mapping])[] = [
  [/^Command timed out/, ({ address, limitMs }, _reason, cause) => redisErrors.TIMEOUT.create({ address, limitMs }, { cause })],
  [denied, ({ address }, reason, cause) => redisErrors.ACCESS_DENIED.create({ address, reason }, { cause })],
  [/^(READONLY)\b/, ({ address }, _reason, cause) => redisErrors.READ_ONLY.create({ address }, { cause })],
  [/^OOM\b|-OOM\b/, ({ address }, _reason, cause) => redisErrors.OUT_OF_MEMORY.create({ address }, { cause })],
  [notNow, ({ address }, reason, cause) => redisErrors.UNREACHABLE.create({ address, reason }, { cause })],
  [/^(MOVED|ASK)\b/, ({ address }, reason, cause) => redisErrors.OTHER_SHARD.create({ address, reason }, { cause })],
  [/^[A-Z]{3,} /, ({ address }, reason, cause) => redisErrors.COMMAND_FAILED.create({ address, reason }, { cause })],
];

/** Turns anything that the Redis client throws into one of ours; what no row names is a lost connection. */
export function fromRedisError(error: unknown, context: RedisContext): DmgError {
  if (isDmgError(error)) return error;
  const reason = firstLine(error).replace(/\.$/, '');
  const mapping = mappings.find(([pattern]) => pattern.test(reason));
  if (mapping !== undefined) return mapping[1](context, reason, error);
  const { address } = context;
  return redisErrors.UNREACHABLE.create({ address, reason: reason === '' ? 'the connection was lost' : reason }, { cause: error });
}
