import { inMemoryMasters } from './in-memory-masters-fixture.ts';
import { ledgerContract } from './ledger.contract.ts';

ledgerContract('in memory', inMemoryMasters);
