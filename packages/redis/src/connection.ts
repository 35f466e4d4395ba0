import { backoffMs, baseErrors, type Clock, type DmgError, hasCode, type Logger, type Random, type Secret, withDeadline } from '@dmg/base';
import { Redis } from 'ioredis';
import { fromRedisError, redisErrors } from './errors.ts';
import { askRedis, judgeRedis, unlessForbidden } from './fitness.ts';
import { scriptIsMissing, type Script } from './scripts.ts';

/** So many commands without an answer, one after another, and the connection is given up: its other end may be gone. */
const timeoutsMax = 8;
/** How often a repeated connection error is logged. */
const logEveryFailures = 50;
/** The start-up check has so many times the deadline of a command: the connection may still have to be made. */
const checkDeadlines = 8;

export interface RedisConnectionOptions {
  /** `redis://` or `rediss://`, with user and password where needed. */
  readonly url: Secret;
  /** Deadline of every use, in milliseconds, a connection that has to be made first included; a quarter of the lease (DESIGN §6). */
  readonly commandTimeoutMs?: number | undefined;
  /** The longest pause between two tries to connect, in milliseconds. */
  readonly reconnectPauseMsMax?: number | undefined;
  /** Sent to each new server at once, so that no later use needs a second round trip for them. */
  readonly scripts?: readonly Script[] | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * One connection to one Redis: every command has a deadline, nothing is queued while it is away, and it connects again for ever.
 * Each new connection is checked once before it is used (DESIGN-RULES 26), since another server may answer after a failover.
 */
export class RedisConnection {
  readonly address: string;
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #commandTimeoutMs: number;
  readonly #scripts: readonly Script[];
  /** Codes of the warnings that have been logged: each is said once, not with each connection. */
  readonly #warned = new Set<string>();
  #checked: Promise<readonly DmgError[]> | undefined;
  #lastError: unknown;
  #failures = 0;
  #timeouts = 0;
  #closed = false;
  #generation = 0;

  constructor(options: RedisConnectionOptions) {
    const url = options.url.reveal();
    const { clock, random, logger, commandTimeoutMs = 250, reconnectPauseMsMax = 2_000, scripts = [] } = options;
    this.address = addressOf(url);
    this.#clock = clock;
    this.#logger = logger;
    this.#commandTimeoutMs = commandTimeoutMs;
    this.#scripts = scripts;
    this.#redis = new Redis(url, {
      commandTimeout: commandTimeoutMs,
      connectTimeout: Math.max(1_000, commandTimeoutMs),
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      // A command whose answer was lost must not be repeated behind our back, long after its deadline.
      autoResendUnfulfilledCommands: false,
      // On closing we drop the socket ourselves; the client's own timer would only keep the process alive.
      disconnectTimeout: 50,
      disableClientInfo: true,
      retryStrategy: (times) =>
        backoffMs(times - 1, random.unit(), { firstMs: Math.min(50, reconnectPauseMsMax), factor: 2, maxMs: reconnectPauseMsMax }),
    });
    // Each use that waits for a connection listens.
    this.#redis.setMaxListeners(0);
    this.#redis.on('error', (error: unknown) => this.#onError(error));
    this.#redis.on('ready', () => this.#onReady());
    this.#redis.on('close', () => {
      this.#checked = undefined;
    });
  }

  /**
   * Runs a script of ours, by its digest where the server knows it already.
   * Rejects with one of `redisErrors`: DMG_REDIS_UNREACHABLE, _TIMEOUT, _CLOSED, or what the start-up check found.
   */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#use(async (redis, signal) => {
      try {
        return await redis.evalsha(script.sha1, keys.length, ...keys, ...args);
      } catch (error) {
        if (!scriptIsMissing(error)) throw error;
        // Its caller has given up: what it wanted done may be wrong by now.
        signal.throwIfAborted();
        return await redis.eval(script.text, keys.length, ...keys, ...args);
      }
    });
  }

  /** Grows with each connection that is made anew: the server behind it may be another one, or have lost its last writes. */
  get generation(): number {
    return this.#generation;
  }

  text(key: string): Promise<string | null> {
    return this.#use((redis) => redis.get(key));
  }

  /** One field of each of the hashes, in one go. */
  fields(keys: readonly string[], field: string): Promise<(string | null)[]> {
    return this.#use((redis) => Promise.all(keys.map((key) => redis.hget(key, field))));
  }

  /** How long an empty command takes to Redis and back, in milliseconds; a connection that has to be made first is none of it. */
  roundTripMs(): Promise<number> {
    return this.#use(async (redis) => {
      const startMs = this.#clock.monotonicMs();
      await redis.ping();
      return this.#clock.monotonicMs() - startMs;
    });
  }

  /**
   * Resolves with the warnings when Redis answers and is fit for us; rejects with what is wrong and how to mend it. It has longer than
   * a command has.
   */
  check(): Promise<readonly DmgError[]> {
    return this.#use(async (redis) => {
      await redis.ping();
      return await (this.#checked ?? []);
    }, checkDeadlines * this.#commandTimeoutMs);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#redis.disconnect();
    this.#dropSocket();
    return Promise.resolve();
  }

  async #use<T>(work: (redis: Redis, signal: AbortSignal) => Promise<T>, limitMs = this.#commandTimeoutMs): Promise<T> {
    if (this.#closed) throw redisErrors.CLOSED.create();
    try {
      const result = await withDeadline({ clock: this.#clock, limitMs, what: 'use Redis' }, async (signal) => {
        if (this.#redis.status !== 'ready') await this.#ready(signal);
        await this.#inspected();
        signal.throwIfAborted();
        return await work(this.#redis, signal);
      });
      this.#timeouts = 0;
      return result;
    } catch (error) {
      if (this.#closed) throw redisErrors.CLOSED.create({}, { cause: error });
      const mapped = this.#mapped(this.#isLate(error) ? this.#whyLate(limitMs) : error);
      this.#countTimeout(mapped.code);
      throw mapped;
    }
  }

  #isLate(error: unknown): boolean {
    return hasCode(error, baseErrors.DEADLINE.code);
  }

  #whyLate(limitMs: number): unknown {
    if (this.#redis.status !== 'ready') return this.#lastError ?? 'no connection yet';
    return redisErrors.TIMEOUT.create({ address: this.address, limitMs });
  }

  #countTimeout(code: string): void {
    this.#timeouts = code === redisErrors.TIMEOUT.code ? this.#timeouts + 1 : 0;
    if (this.#timeouts < timeoutsMax) return;
    this.#timeouts = 0;
    this.#dropSocket();
  }

  /** Ending a socket politely would wait for the other end, which is what does not answer. */
  #dropSocket(): void {
    const stream: { destroy(): unknown } | undefined = this.#redis.stream;
    stream?.destroy();
  }

  /** A connection in the making is waited for, unless it fails before. */
  async #ready(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (): void => reject(signal.reason as Error);
    this.#redis.once('ready', resolve).once('error', reject);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await promise;
    } finally {
      this.#redis.off('ready', resolve).off('error', reject);
      signal.removeEventListener('abort', giveUp);
    }
  }

  #inspected(): Promise<readonly DmgError[]> {
    if (this.#checked !== undefined) return this.#checked;
    const checked = this.#examine();
    this.#checked = checked;
    checked.catch(() => {
      // Told to whoever uses the connection; not remembered, because what was wrong may be mended without a new connection.
      if (this.#checked === checked) this.#checked = undefined;
    });
    return checked;
  }

  async #examine(): Promise<readonly DmgError[]> {
    const redis = this.#redis;
    const [facts] = await Promise.all([
      askRedis(redis),
      ...this.#scripts.map((script) => redis.script('LOAD', script.text).catch(unlessForbidden)),
    ]);
    const { refusal, warnings, clusterMode } = judgeRedis(facts, this.address);
    if (refusal !== undefined) throw refusal;
    if (clusterMode) this.#logger.info({ address: this.address }, 'redis runs in cluster mode');
    for (const { code, message, fix } of warnings) {
      if (this.#warned.has(code)) continue;
      this.#warned.add(code);
      this.#logger.warn({ address: this.address, code, reason: message, fix }, 'redis is not set up well');
    }
    return warnings;
  }

  #onReady(): void {
    const failures = this.#failures;
    this.#generation += 1;
    this.#failures = 0;
    this.#lastError = undefined;
    this.#logger.info({ address: this.address, failures }, 'connected to redis');
    // At once, so that the first use does not pay for it. Whoever uses the connection is told how it went.
    void this.#inspected();
  }

  #onError(error: unknown): void {
    this.#lastError = error;
    if (this.#failures++ % logEveryFailures !== 0) return;
    const { code, message: reason } = this.#mapped(error);
    this.#logger.warn({ address: this.address, code, reason, failures: this.#failures }, 'redis is not reachable');
  }

  #mapped(error: unknown): DmgError {
    return fromRedisError(error, { address: this.address, limitMs: this.#commandTimeoutMs });
  }
}

function addressOf(url: string): string {
  if (!URL.canParse(url)) return url.includes('@') ? '(an address that is not a URL)' : url;
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === '' ? '6379' : port}`;
}
