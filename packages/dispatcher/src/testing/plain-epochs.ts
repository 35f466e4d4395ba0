import { type DmgError, newId, type Random } from '@dmg/base';
import type { LeaseStore } from '@dmg/core';
import type { EpochSource, Grant } from '../epoch-source.ts';
import type { ProcessModel } from './process-model.ts';
import { testErrors } from './test-jobs.ts';

const leaseMs = 1_000;
const guardMs = 900;
const renewMs = 250;
const pollMs = 100;

interface Holding {
  readonly token: string;
  readonly lost: Promise<DmgError>;
  lose(reason: DmgError): void;
  isLost: boolean;
  sentMs: number;
}

/** A plain keeper of the lease: takes it when it is free, renews it, and says when it may not be relied on any more. */
export class PlainEpochs implements EpochSource {
  readonly #store: LeaseStore;
  readonly #process: ProcessModel;
  readonly #random: Random;
  readonly #nodeId: string;
  #holding: Holding | undefined;
  #highest = 0;
  #trouble: DmgError | undefined;
  #inDoubt = false;
  /** Named when the lease was given back last. */
  successor: string | undefined;
  releasedAtMs: number | undefined;

  constructor(options: { store: LeaseStore; process: ProcessModel; random: Random; nodeId: string }) {
    this.#store = options.store;
    this.#process = options.process;
    this.#random = options.random;
    this.#nodeId = options.nodeId;
  }

  get trouble(): DmgError | undefined {
    return this.#trouble;
  }

  /** While in doubt there is no saying whether the lease is still ours: nothing may be done. */
  setDoubt(inDoubt: boolean): void {
    this.#inDoubt = inDoubt;
  }

  mayAct(): boolean {
    return !this.#inDoubt && this.#holding?.isLost === false && this.#process.monotonicMs() - this.#holding.sentMs < guardMs;
  }

  async grant(above: number, signal: AbortSignal): Promise<Grant> {
    for (;;) {
      signal.throwIfAborted();
      const grant = await this.#try(above);
      if (grant !== undefined) return grant;
      await this.#pause(signal);
    }
  }

  async #try(above: number): Promise<Grant | undefined> {
    const holding = this.#holding?.isLost === false ? this.#holding : await this.#take();
    if (holding === undefined) return undefined;
    const { token } = holding;
    const claims = await this.#process.call(() => this.#store.claim(token));
    if (claims.some((claim) => claim.kind === 'lost')) {
      this.#lose(holding);
      return undefined;
    }
    let n = Math.max(above, this.#highest, ...claims.map((claim) => (claim.kind === 'claimed' ? claim.n : 0)));
    for (;;) {
      this.#highest = n += 1;
      const epoch = { n, token };
      const answers = await this.#process.call(() => this.#store.install(epoch, { nodeId: this.#nodeId, address: '' }));
      if (answers.every((answer) => answer.kind === 'installed')) {
        const life = answers.map((answer) => (answer.kind === 'installed' ? answer.life : '')).join(' ');
        return { epoch, life, lost: holding.lost, mayAct: () => this.mayAct(), release: (successor) => this.#release(holding, successor) };
      }
      if (!answers.some((answer) => answer.kind === 'behind')) {
        this.#lose(holding);
        return undefined;
      }
      n = Math.max(n, ...answers.map((answer) => (answer.kind === 'behind' ? answer.n : 0)));
    }
  }

  async #take(): Promise<Holding | undefined> {
    const token = newId(this.#random);
    const sentMs = this.#process.monotonicMs();
    const isTaken = await this.#process.call(() => this.#store.acquire(token, leaseMs));
    const sights = await this.#process.call(() => this.#store.peek());
    this.#trouble = sights.every((sight) => sight.kind === 'silent') ? testErrors.AWAY.create() : undefined;
    if (!isTaken) return undefined;
    const { promise: lost, resolve } = Promise.withResolvers<DmgError>();
    const holding: Holding = { token, lost, lose: resolve, isLost: false, sentMs };
    this.#holding = holding;
    this.#renewLater(holding);
    return holding;
  }

  #renewLater(holding: Holding): void {
    this.#process.after(renewMs, () => {
      if (holding.isLost) return;
      if (this.#process.monotonicMs() - holding.sentMs >= leaseMs) return this.#lose(holding);
      void this.#renew(holding);
      this.#renewLater(holding);
    });
  }

  async #renew(holding: Holding): Promise<void> {
    const sentMs = this.#process.monotonicMs();
    const answer = await this.#process.call(() => this.#store.renew(holding.token, leaseMs));
    if (answer === 'renewed') holding.sentMs = sentMs;
    if (answer === 'lost') this.#lose(holding);
  }

  #lose(holding: Holding): void {
    holding.isLost = true;
    holding.lose(testErrors.AWAY.create());
  }

  async #release(holding: Holding, successor: string | undefined): Promise<void> {
    this.successor = successor;
    this.releasedAtMs = this.#process.monotonicMs();
    this.#lose(holding);
    await this.#process.call(() => this.#store.release(holding.token));
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#process.after(pollMs, resolve);
      signal.addEventListener('abort', () => {
        timer.cancel();
        resolve();
      }, { once: true });
    });
  }
}
