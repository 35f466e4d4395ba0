import type { Clock, DmgError } from '@dmg/base';
import type { ClaimAnswer, InstallAnswer, LeaseStore, MasterSight } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import type { RedisConnection } from './connection.ts';
import { gatewayKeys } from './gateway-keys.ts';
import { LeaseLock, redlockScripts } from './lease-lock.ts';
import { type BeatAnswer, LeaseMaster, type SeizeAnswer } from './lease-master.ts';
import { checkMasters, type MastersOptions, measureRoundTripMs, openMasters } from './masters.ts';
import { collect, graceMsOf, majorityOf } from './quorum.ts';
import { leaseScripts } from './scripts.ts';

export interface RedisLeaseStoreOptions extends MastersOptions {
  /** How long the lease holds, in milliseconds; here only the deadline of a command depends on it. */
  readonly leaseMs: number;
}

/**
 * The lease and the epoch at one Redis or several (DESIGN-RULES 12). Its connections are its own: the ledger reads thousands of records,
 * and a renewal must not wait behind them.
 */
export class RedisLeaseStore implements LeaseStore {
  readonly masters: number;
  readonly #connections: readonly RedisConnection[];
  readonly #masters: readonly LeaseMaster[];
  readonly #lock: LeaseLock;
  readonly #clock: Clock;
  readonly #graceMs: number;

  /** Throws DMG_REDIS_MASTERS. Connects in the background. */
  constructor(options: RedisLeaseStoreOptions) {
    const { clock, random, leaseMs } = options;
    const commandTimeoutMs = options.commandTimeoutMs ?? leaseMs / 4;
    const keys = gatewayKeys(options.gatewayId);
    this.#connections = openMasters({
      ...options, commandTimeoutMs, reconnectPauseMsMax: leaseMs / 4, scripts: [...Object.values(leaseScripts), ...redlockScripts],
    });
    this.masters = this.#connections.length;
    this.#masters = this.#connections.map((connection) => new LeaseMaster({ connection, keys, random }));
    this.#lock = new LeaseLock({ connections: this.#connections, key: keys.lease, clock, commandTimeoutMs });
    this.#clock = clock;
    this.#graceMs = graceMsOf(commandTimeoutMs);
  }

  /** For a node's start: resolves with what should be mended; rejects with why no majority of the masters can be used. */
  check(): Promise<readonly DmgError[]> {
    return checkMasters(this.#connections);
  }

  /** The 99th percentile of the time that a majority of the masters takes to answer. Rejects when there is no majority. */
  measureRoundTripMs(): Promise<number> {
    return measureRoundTripMs(this.#connections);
  }

  peek(): Promise<readonly MasterSight[]> {
    return this.#collect<MasterSight>((master) => master.peek(), { kind: 'silent', reason: 'it answered later than the others' });
  }

  /** Each try needs a token of its own: what is on its way to take back an earlier one must not meet it. */
  acquire(token: string, leaseMs: number): Promise<boolean> {
    return this.#lock.acquire(token, leaseMs);
  }

  claim(token: string): Promise<readonly ClaimAnswer[]> {
    return this.#collect<ClaimAnswer>((master) => master.claim(token), { kind: 'silent' });
  }

  install(epoch: Epoch, node: { readonly nodeId: string; readonly address: string }): Promise<readonly InstallAnswer[]> {
    return this.#collect<InstallAnswer>((master) => master.install(epoch, node), { kind: 'silent' });
  }

  async renew(token: string, leaseMs: number): Promise<'renewed' | 'lost' | 'silent'> {
    const [result] = await Promise.all([
      this.#lock.extend(token, leaseMs),
      // Its answers decide nothing: where the lease is ours the beat moves, and elsewhere it must not.
      this.#collect<BeatAnswer>((master) => master.beat(token), { kind: 'silent' }),
    ]);
    return result;
  }

  async seize({ token, beats }: { readonly token: string; readonly beats: readonly (number | undefined)[] }): Promise<boolean> {
    const answers = await this.#collect<SeizeAnswer>((master, index) => master.seize(token, beats[index]), { kind: 'silent' });
    // Where it had run out by itself it is as good as ended.
    return answers.filter(({ kind }) => kind === 'seized' || kind === 'absent').length >= majorityOf(this.masters);
  }

  release(token: string): Promise<void> {
    return this.#lock.release(token);
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  #collect<T extends { readonly kind: string }>(ask: (master: LeaseMaster, index: number) => Promise<T>, late: T): Promise<T[]> {
    const counts = ({ kind }: T): boolean => kind !== 'silent';
    return collect(this.#masters.map(ask), { clock: this.#clock, graceMs: this.#graceMs, counts, late });
  }
}
