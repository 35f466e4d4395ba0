import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisErrors } from './errors.ts';
import { judgeRedis, type RedisFacts } from './fitness.ts';

const good: RedisFacts = {
  info: ['# Server', 'redis_version:7.0.15', '# Replication', 'role:master', 'master_repl_offset:5000000', 'cluster_enabled:0', '']
    .join('\r\n'),
  maxmemoryPolicy: 'noeviction', appendonly: 'no', appendfsync: 'everysec', scriptsForbidden: undefined,
};

function codes(facts: Partial<RedisFacts>): readonly string[] {
  const { refusal, warnings } = judgeRedis({ ...good, ...facts }, 'redis:6379');
  return [refusal, ...warnings].flatMap((error) => error?.code ?? []);
}

function withReplica(line: string): Partial<RedisFacts> {
  return { info: `${good.info}slave0:ip=10.0.0.2,port=6380,${line}\r\n` };
}

test('one that is fit, and one that tells nothing of itself, pass', () => {
  assert.deepEqual(codes({}), []);
  assert.deepEqual(codes({ info: undefined, maxmemoryPolicy: undefined, appendonly: undefined, appendfsync: undefined }), []);
});

test('refused: too old, evicting, without scripts, a replica', () => {
  assert.deepEqual(codes({ info: 'redis_version:5.0.14\r\nrole:master' }), [redisErrors.VERSION.code]);
  for (const maxmemoryPolicy of ['volatile-lru', 'allkeys-random', 'volatile-ttl']) {
    assert.deepEqual(codes({ maxmemoryPolicy }), [redisErrors.EVICTION_POLICY.code]);
  }
  assert.deepEqual(codes({ scriptsForbidden: 'NOPERM' }), [redisErrors.EVAL_FORBIDDEN.code]);
  assert.deepEqual(codes({ info: 'redis_version:7.2.0\r\nrole:slave\r\n' }), [redisErrors.READ_ONLY.code]);
});

test('warned of: a replica that is silent, behind or not there yet; not one that keeps up', () => {
  assert.deepEqual(codes(withReplica('state=online,offset=4999000,lag=1')), []);
  assert.deepEqual(codes(withReplica('state=online,offset=5000000,lag=6')), [redisErrors.REPLICA_LAGS.code]);
  assert.deepEqual(codes(withReplica('state=online,offset=1000000,lag=0')), [redisErrors.REPLICA_LAGS.code]);
  assert.deepEqual(codes(withReplica('state=send_bulk,offset=0,lag=0')), [redisErrors.REPLICA_LAGS.code]);
  const [warning] = judgeRedis({ ...good, ...withReplica('state=online,offset=5000000,lag=9') }, 'redis:6379').warnings;
  assert.match(warning?.message ?? '', /10\.0\.0\.2:6380.*redis:6379.*9 s/);
});

test('warned of: every write synced to the disk, when there is a log to sync', () => {
  assert.deepEqual(codes({ appendonly: 'yes', appendfsync: 'always' }), [redisErrors.FSYNC_ALWAYS.code]);
  assert.deepEqual(codes({ appendonly: 'no', appendfsync: 'always' }), []);
  assert.deepEqual(codes({ appendonly: 'yes', appendfsync: 'everysec' }), []);
});

test('cluster mode is noted, not refused', () => {
  const info = good.info?.replace('cluster_enabled:0', 'cluster_enabled:1');
  assert.deepEqual(codes({ info }), []);
  assert.equal(judgeRedis({ ...good, info }, 'redis:6379').clusterMode, true);
});
