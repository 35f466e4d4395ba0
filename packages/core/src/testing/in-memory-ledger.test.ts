import { seededRandom } from '@dmg/base';
import { InMemoryLedger, InMemoryLedgerData } from './in-memory-ledger.ts';
import { ledgerContract } from './ledger.contract.ts';

ledgerContract('in memory', () => {
  const data = new InMemoryLedgerData(seededRandom(1));
  return Promise.resolve({
    ledger: new InMemoryLedger(data), other: new InMemoryLedger(data),
    loseData: () => Promise.resolve(data.lose()), close: () => Promise.resolve(),
  });
});
