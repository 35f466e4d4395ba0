export { fromRedisError, redisErrors } from './errors.ts';
export { RedisLedger, type RedisLedgerOptions } from './redis-ledger.ts';
