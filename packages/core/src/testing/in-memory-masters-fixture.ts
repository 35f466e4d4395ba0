import { ManualClock, seededRandom } from '@dmg/base';
import { InMemoryLeaseStore } from './in-memory-lease-store.ts';
import { InMemoryLedger } from './in-memory-ledger.ts';
import { InMemoryMaster } from './in-memory-master.ts';
import type { MastersFixture } from './masters-fixture.ts';

/** The contract suites' fixture on masters in memory. */
export function inMemoryMasters(count: number): Promise<MastersFixture> {
  const clock = new ManualClock();
  const masters = Array.from({ length: count }, (_, index) => new InMemoryMaster({ clock, random: seededRandom(index) }));
  const each = (master: number, change: (it: InMemoryMaster) => void): Promise<void> => {
    const it = masters[master];
    if (it !== undefined) change(it);
    return Promise.resolve();
  };
  return Promise.resolve({
    masters: count,
    leaseStore: () => new InMemoryLeaseStore(masters),
    ledger: () => new InMemoryLedger(masters),
    silence: (master) => each(master, (it) => void (it.trouble = new Error('it was told to be silent'))),
    speak: (master) => each(master, (it) => void (it.trouble = undefined)),
    empty: (master) => each(master, (it) => it.lose()),
    advance: (ms) => Promise.resolve(clock.advance(ms)),
    close: () => Promise.resolve(),
  });
}
