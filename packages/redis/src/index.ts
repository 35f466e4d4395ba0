export { fromRedisError, redisErrors } from './errors.ts';
export type { MastersOptions } from './masters.ts';
export { RedisLeaseStore, type RedisLeaseStoreOptions } from './redis-lease-store.ts';
export { RedisLedger, type RedisLedgerOptions } from './redis-ledger.ts';
