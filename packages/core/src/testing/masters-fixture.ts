import { test } from 'node:test';
import type { Epoch } from '@dmg/model';
import type { Ledger, LeaseStore } from '../ports.ts';

/** One gateway's keys on one or more masters, and clients of them; what the contract suites of lease store and ledger run on. */
export interface MastersFixture {
  readonly masters: number;
  /** A client of its own, as another node has it. The fixture closes it in the end. */
  leaseStore(): LeaseStore;
  ledger(): Ledger;
  /** The master takes connections and answers nothing, as a frozen process. */
  silence(master: number): Promise<void>;
  /** Ends `silence`; resolves when the master answers again, to the clients made so far as well. */
  speak(master: number): Promise<void>;
  /** The master forgets everything, as after FLUSHALL. */
  empty(master: number): Promise<void>;
  /** Resolves when the masters' clocks have moved on by so much: at once under a manual clock, else after that time. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

export type MakeMasters = (masters: number) => Promise<MastersFixture>;
export type MastersContract = (title: string, run: (fixture: MastersFixture) => Promise<void>) => void;

/** Declares tests that each get masters of their own. */
export function onMasters(make: MakeMasters, masters: number): MastersContract {
  return (title, run) => {
    test(`${title} (${masters === 1 ? '1 master' : `${masters} masters`})`, async () => {
      const fixture = await make(masters);
      try {
        await run(fixture);
      } finally {
        await fixture.close();
      }
    });
  };
}

export const contractNode = { nodeId: 'node-1', address: '127.0.0.1:8060' };

export function epochOf(n: number, token = 'a'): Epoch {
  return { n, token: token.padEnd(32, '0') };
}

/** Makes `epoch` the one whose writes are accepted, and leaves no lease behind. */
export async function grantEpoch(store: LeaseStore, epoch: Epoch): Promise<void> {
  if (!await store.acquire(epoch.token, 60_000)) throw new Error('the lease is held');
  const answers = await store.install(epoch, contractNode);
  await store.release(epoch.token);
  const installed = answers.filter((answer) => answer.kind === 'installed').length;
  if (installed <= store.masters / 2) throw new Error(`not installed: ${JSON.stringify(answers)}`);
}
