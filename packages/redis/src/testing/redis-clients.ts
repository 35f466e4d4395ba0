import type { TestContext } from 'node:test';
import { Secret, seededRandom, silentLogger, systemClock } from '@dmg/base';
import { RedisLeaseStore } from '../redis-lease-store.ts';
import { RedisLedger, type RedisLedgerOptions } from '../redis-ledger.ts';
import { RedisProcess } from './redis-process.ts';

let opened = 0;

/** A name that no other test of this process uses. */
export function newGatewayId(): string {
  return `g${++opened}`;
}

/** Servers that go with their test, however that ends. */
export async function startRedis(context: TestContext, settings: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.start(settings);
  context.after(() => redis.stop());
  return redis;
}

export async function startThree(context: TestContext): Promise<[RedisProcess, RedisProcess, RedisProcess]> {
  return await Promise.all([startRedis(context), startRedis(context), startRedis(context)]);
}

type Places = RedisProcess | readonly RedisProcess[] | string;
type Options = Partial<Omit<RedisLedgerOptions, 'masters'>>;

function optionsOf(places: Places, options: Options): RedisLedgerOptions {
  const urls = typeof places === 'string' ? [places] : 'url' in places ? [places.url] : places.map(({ url }) => url);
  return {
    gatewayId: newGatewayId(), clock: systemClock, random: seededRandom(++opened), logger: silentLogger,
    // Longer than in production: two busy cores must not decide a test.
    commandTimeoutMs: 2_000,
    ...options, masters: urls.map((url) => new Secret(url)),
  };
}

/** Closed when the test ends. */
export function openLedger(context: TestContext, places: Places, options: Options = {}): RedisLedger {
  const ledger = new RedisLedger(optionsOf(places, options));
  context.after(() => ledger.close());
  return ledger;
}

/** Closed when the test ends. */
export function openStore(context: TestContext, places: Places, options: Options = {}): RedisLeaseStore {
  const store = new RedisLeaseStore({ ...optionsOf(places, options), leaseMs: 1_000 });
  context.after(() => store.close());
  return store;
}

/** Tries until it succeeds. What is tried has a deadline of its own, or is a round trip to a server. */
export async function untilDone<T>(work: () => Promise<T>, tries = 200): Promise<T> {
  for (let left = tries; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }
}
