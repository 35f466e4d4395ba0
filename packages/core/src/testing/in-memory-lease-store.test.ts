import { inMemoryMasters } from './in-memory-masters-fixture.ts';
import { leaseStoreContract } from './lease-store.contract.ts';

leaseStoreContract('in memory', inMemoryMasters);
