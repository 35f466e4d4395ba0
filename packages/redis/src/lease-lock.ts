import { baseErrors, type Clock, hasCode, withDeadline } from '@dmg/base';
import Redlock, { ExecutionError, type ExecutionStats, Lock, type RedlockClient, ResourceLockedError } from 'redlock';
import type { RedisConnection } from './connection.ts';
import { graceMsOf, majorityOf } from './quorum.ts';
import { type Script, scriptOf } from './scripts.ts';

/**
 * Redlock makes up the value of a lock by itself and offers no way to name it, but ours has to be the token of the grant, which our own
 * scripts compare. So the one method is replaced in which it makes the value: `acquire` calls it once, before it waits for anything.
 * That method is not part of its published interface, which is one more reason why the version is pinned exactly.
 */
class TokenRedlock extends Redlock {
  #token = '';

  acquireFor(token: string, resources: string[], leaseMs: number): Promise<Lock> {
    this.#token = token;
    return this.acquire(resources, leaseMs);
  }

  protected override _random(): string {
    return this.#token;
  }
}

const neverCalled = (): Promise<never> => Promise.reject(new Error('this client only stands in'));

/** The scripts that redlock runs, to be loaded beforehand; they are to be had of an instance only, and that needs a client. */
export const redlockScripts: readonly Script[] = Object.values(new Redlock([{ evalsha: neverCalled, eval: neverCalled }]).scripts)
  .map(({ value }) => scriptOf(value));

export interface LeaseLockOptions {
  readonly connections: readonly Pick<RedisConnection, 'run'>[];
  /** The key of the lease. */
  readonly key: string;
  readonly clock: Clock;
  readonly commandTimeoutMs: number;
}

/** The lease of DESIGN-RULES 12 by redlock: each call tries once, on all masters at once, and ends within the deadline of a command. */
export class LeaseLock {
  readonly #redlock: TokenRedlock;
  readonly #masters: number;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #commandTimeoutMs: number;

  constructor({ connections, key, clock, commandTimeoutMs }: LeaseLockOptions) {
    this.#redlock = new TokenRedlock(connections.map(clientOf), { retryCount: 0 });
    // It tells of every single vote against, also of masters that it does without. The votes are read where they matter.
    this.#redlock.on('error', () => undefined);
    this.#masters = connections.length;
    this.#key = key;
    this.#clock = clock;
    this.#commandTimeoutMs = commandTimeoutMs;
  }

  /** Takes the lease on a majority, or gives back what it got, as far as masters answer. */
  async acquire(token: string, leaseMs: number): Promise<boolean> {
    const acquiring = this.#redlock.acquireFor(token, [this.#key], leaseMs);
    try {
      const limitMs = this.#commandTimeoutMs;
      const { attempts } = await withDeadline({ clock: this.#clock, limitMs, what: 'take the lease' }, () => acquiring);
      await this.#others(attempts);
      return true;
    } catch (error) {
      // Redlock gives back by itself what it got, but waits for a majority only; whoever asks next must not find anything.
      if (error instanceof ExecutionError) await this.release(token);
      else if (!hasCode(error, baseErrors.DEADLINE.code)) throw error;
      else {
        // A majority is silent, and redlock is giving back what it got. Were it granted after all, nobody would renew it.
        acquiring.then((lock) => this.#redlock.release(lock)).catch(() => undefined);
      }
      return false;
    }
  }

  /** Extends the lease from now. `lost`: a majority says that it is not ours; `silent`: neither that nor extended by a majority. */
  async extend(token: string, leaseMs: number): Promise<'renewed' | 'lost' | 'silent'> {
    try {
      await this.#redlock.extend(this.#lockOf(token), leaseMs);
      return 'renewed';
    } catch (error) {
      if (!(error instanceof ExecutionError)) throw error;
      const votes = await error.attempts[0];
      const lost = [...votes?.votesAgainst.values() ?? []].filter((reason) => reason instanceof ResourceLockedError).length;
      return lost >= majorityOf(this.#masters) ? 'lost' : 'silent';
    }
  }

  /** Gives the lease back wherever it is ours and the master answers; elsewhere it ends by itself. */
  async release(token: string): Promise<void> {
    try {
      const { attempts } = await this.#redlock.release(this.#lockOf(token));
      await this.#others(attempts);
    } catch (error) {
      if (!(error instanceof ExecutionError)) throw error;
      await this.#others(error.attempts);
    }
  }

  /** Redlock goes on as soon as a majority has voted. The others have the grace, so that, where all are well, all have done it. */
  async #others(attempts: readonly Promise<ExecutionStats>[]): Promise<void> {
    const grace = Promise.withResolvers<void>();
    const timer = this.#clock.after(graceMsOf(this.#commandTimeoutMs), grace.resolve);
    await Promise.race([...attempts, grace.promise]);
    timer.cancel();
  }

  /**
   * Redlock keeps nothing of its locks but this. It would judge by the wall clock whether a lock has run out, and refuse to extend it;
   * that judgement is the grant's, by its monotonic clock, so the lock never runs out.
   */
  #lockOf(token: string): Lock {
    return new Lock(this.#redlock, [this.#key], token, [], Number.POSITIVE_INFINITY);
  }
}

/** Redlock's calls with the deadline, the check and the reconnecting of our connection. */
function clientOf(connection: Pick<RedisConnection, 'run'>): RedlockClient {
  const run = (script: Script, keyCount: number, parameters: readonly (string | number)[]): Promise<unknown> =>
    connection.run(script, parameters.slice(0, keyCount).map(String), parameters.slice(keyCount).map(String));
  return {
    evalsha(sha1, keyCount, parameters) {
      const script = redlockScripts.find((known) => known.sha1 === sha1);
      // Redlock answers this with the text.
      return script === undefined ? Promise.reject(new Error('NOSCRIPT')) : run(script, keyCount, parameters);
    },
    eval: (text, keyCount, parameters) => run(scriptOf(text), keyCount, parameters),
  };
}
