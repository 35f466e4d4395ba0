import type { Epoch } from '@dmg/model';
import type { ClaimAnswer, InstallAnswer, LeaseStore, MasterSight } from '../ports.ts';
import type { InMemoryMaster } from './in-memory-master.ts';

/** The lease store's twin: the same answers as the Redis adapter, checked by the same contract suite. */
export class InMemoryLeaseStore implements LeaseStore {
  readonly #masters: readonly InMemoryMaster[];
  /** Masters (by their place) to which this store's own link is cut. */
  readonly cut = new Set<number>();
  #closed = false;

  constructor(masters: readonly InMemoryMaster[]) {
    this.#masters = masters;
  }

  get masters(): number {
    return this.#masters.length;
  }

  peek(): Promise<readonly MasterSight[]> {
    return this.#ask<MasterSight>((master) => master.peek(), () => ({ kind: 'silent', reason: 'no way to it' }));
  }

  async acquire(token: string, leaseMs: number): Promise<boolean> {
    const taken = await this.#ask((master) => master.acquire(token, leaseMs), () => false);
    if (this.#isMajority(taken.filter(Boolean).length)) return true;
    await this.release(token);
    return false;
  }

  claim(token: string): Promise<readonly ClaimAnswer[]> {
    return this.#ask<ClaimAnswer>((master) => master.claim(token), () => ({ kind: 'silent' }));
  }

  install(epoch: Epoch, node: { readonly nodeId: string; readonly address: string }): Promise<readonly InstallAnswer[]> {
    return this.#ask<InstallAnswer>((master) => master.install(epoch, node), () => ({ kind: 'silent' }));
  }

  async renew(token: string, leaseMs: number): Promise<'renewed' | 'lost' | 'silent'> {
    const answers = await this.#ask<'renewed' | 'lost' | 'silent'>((master) => master.renew(token, leaseMs), () => 'silent');
    for (const outcome of ['renewed', 'lost'] as const) {
      if (this.#isMajority(answers.filter((answer) => answer === outcome).length)) return outcome;
    }
    return 'silent';
  }

  async seize({ token, beats }: { readonly token: string; readonly beats: readonly (number | undefined)[] }): Promise<boolean> {
    const answers = await this.#ask((master, index) => master.seize(token, beats[index]), () => 'silent');
    return this.#isMajority(answers.filter((answer) => answer === 'ended').length);
  }

  async release(token: string): Promise<void> {
    await this.#ask((master) => master.release(token), () => undefined);
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  async #ask<T>(ask: (master: InMemoryMaster, index: number) => T, unreachable: () => T): Promise<readonly T[]> {
    await Promise.resolve();
    return this.#masters.map((master, index) => (this.#closed || this.cut.has(index) ? unreachable() : ask(master, index)));
  }

  #isMajority(count: number): boolean {
    return count > this.#masters.length / 2;
  }
}
