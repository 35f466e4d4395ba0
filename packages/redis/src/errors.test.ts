import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromRedisError, redisErrors } from './errors.ts';

const context = { address: 'redis:6379', limitMs: 250 };

test('what Redis and its client say becomes one of our codes', () => {
  const rows: readonly [message: string, code: string][] = [
    ['Command timed out', redisErrors.TIMEOUT.code],
    ['NOAUTH Authentication required.', redisErrors.ACCESS_DENIED.code],
    ['WRONGPASS invalid username-password pair or user is disabled.', redisErrors.ACCESS_DENIED.code],
    ['NOPERM this user has no permissions to run the \'evalsha\' command', redisErrors.ACCESS_DENIED.code],
    ['READONLY You can\'t write against a read only replica.', redisErrors.READ_ONLY.code],
    ['OOM command not allowed when used memory > \'maxmemory\'.', redisErrors.OUT_OF_MEMORY.code],
    ['LOADING Redis is loading the dataset in memory', redisErrors.UNREACHABLE.code],
    ['MOVED 866 10.0.0.3:6379', redisErrors.OTHER_SHARD.code],
    ['ERR wrong number of arguments', redisErrors.COMMAND_FAILED.code],
    ['connect ECONNREFUSED 127.0.0.1:6379', redisErrors.UNREACHABLE.code],
    ['Stream isn\'t writeable and enableOfflineQueue options is false', redisErrors.UNREACHABLE.code],
    ['Reached the max retries per request limit (which is 0).', redisErrors.UNREACHABLE.code],
    ['Connection is closed.', redisErrors.UNREACHABLE.code],
  ];
  for (const [message, code] of rows) assert.equal(fromRedisError(new Error(message), context).code, code, message);
});

test('one of ours stays what it is', () => {
  const error = redisErrors.CLOSED.create();
  assert.equal(fromRedisError(error, context), error);
});
