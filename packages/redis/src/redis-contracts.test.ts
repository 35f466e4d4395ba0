import { after, before } from 'node:test';
import { leaseStoreContract, ledgerContract, type MakeMasters } from '@dmg/core/testing';
import { redisMasters } from './testing/redis-masters-fixture.ts';
import { RedisProcess } from './testing/redis-process.ts';

let processes: readonly RedisProcess[] = [];
before(async () => {
  processes = await Promise.all([RedisProcess.start(), RedisProcess.start(), RedisProcess.start()]);
});
after(() => Promise.all(processes.map((redis) => redis.stop())));

const make: MakeMasters = (masters) => Promise.resolve(redisMasters(processes.slice(0, masters)));

leaseStoreContract('redis', make);
ledgerContract('redis', make);
