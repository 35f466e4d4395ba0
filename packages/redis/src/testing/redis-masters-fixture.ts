import { type Clock, Secret, seededRandom, silentLogger, sleep, systemClock } from '@dmg/base';
import type { MastersFixture } from '@dmg/core/testing';
import { Redis } from 'ioredis';
import { majorityOf } from '../quorum.ts';
import { RedisLeaseStore } from '../redis-lease-store.ts';
import { RedisLedger } from '../redis-ledger.ts';
import type { RedisProcess } from './redis-process.ts';

/** Longer than in production: a busy machine must not make a healthy master silent. */
const commandTimeoutMs = 1_000;
const clock: Clock = systemClock;
let gateways = 0;

/** Runs one command as an operator would. */
export async function administer(redis: RedisProcess, ...command: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(redis.url);
  const [name, ...args] = command;
  try {
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}

/** A gateway of its own on masters that run already, each its own process; with what the contract suites do to them. */
export function redisMasters(processes: readonly RedisProcess[]): MastersFixture {
  const gatewayId = `gateway-${++gateways}`;
  const options = {
    masters: processes.map(({ url }) => new Secret(url)), gatewayId, commandTimeoutMs, clock, random: seededRandom(gateways),
    logger: silentLogger,
  };
  const stores: RedisLeaseStore[] = [];
  const ledgers: RedisLedger[] = [];
  const processOf = (master: number): RedisProcess => {
    const redis = processes[master];
    if (redis === undefined) throw new Error(`there is no master ${master}`);
    return redis;
  };
  const silent = new Set<number>();
  return {
    masters: processes.length,
    leaseStore() {
      const store = new RedisLeaseStore({ ...options, leaseMs: 4 * commandTimeoutMs });
      stores.push(store);
      return store;
    },
    ledger() {
      const ledger = new RedisLedger(options);
      ledgers.push(ledger);
      return ledger;
    },
    silence(master) {
      silent.add(master);
      processOf(master).pause();
      return Promise.resolve();
    },
    async speak(master) {
      silent.delete(master);
      processOf(master).resume();
      // Before a majority speaks no client can be used; the one with whom there is a majority waits for all before it.
      if (processes.length - silent.size < majorityOf(processes.length)) return;
      await Promise.all([...stores, ...ledgers].map((client) => untilAllAnswer(client, silent.size)));
    },
    empty: async (master) => void await administer(processOf(master), 'FLUSHALL'),
    advance: (ms) => sleep(clock, ms),
    async close() {
      for (const master of silent) processOf(master).resume();
      await Promise.all([...stores, ...ledgers].map((client) => client.close()));
    },
  };
}

/** Resolves when all masters but so many can be used again. Each round is bounded by the client's own deadline. */
async function untilAllAnswer(client: RedisLeaseStore | RedisLedger, butMasters: number): Promise<void> {
  for (let left = 100; left > 0; left--) {
    const warnings = await client.check().catch(() => undefined);
    if (warnings !== undefined && warnings.length <= butMasters) return;
    await sleep(clock, 20);
  }
  throw new Error('masters that speak again are not heard');
}
