import { backoffMs, type Clock, type DmgError, type Logger, type Random, type Secret, sleep } from '@dmg/base';
import { Redis } from 'ioredis';
import { fromRedisError, redisErrors } from './errors.ts';
import { scriptIsMissing, type Script } from './scripts.ts';

/** The oldest Redis whose scripts and ACLs we use. */
const minimumMajor = 6;
/** So many commands without an answer, one after another, and the connection is given up: its other end may be gone. */
const timeoutsMax = 8;
/** How often a repeated connection error is logged. */
const logEveryFailures = 50;

export interface RedisConnectionOptions {
  /** `redis://` or `rediss://`, with user and password where needed. */
  readonly url: Secret;
  /** Deadline of every command, in milliseconds; a quarter of the lease (DESIGN §6). */
  readonly commandTimeoutMs?: number;
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
  #checked: Promise<void> | undefined;
  #lastError: unknown;
  #failures = 0;
  #timeouts = 0;
  #closed = false;

  constructor(options: RedisConnectionOptions) {
    const url = options.url.reveal();
    this.address = addressOf(url);
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#commandTimeoutMs = options.commandTimeoutMs ?? 250;
    this.#redis = new Redis(url, {
      commandTimeout: this.#commandTimeoutMs,
      connectTimeout: Math.max(1_000, this.#commandTimeoutMs),
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      // On closing we drop the socket ourselves; the client's own timer would only keep the process alive.
      disconnectTimeout: 50,
      disableClientInfo: true,
      retryStrategy: (times) => backoffMs(times - 1, options.random.unit(), { firstMs: 50, factor: 2, maxMs: 2_000 }),
    });
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
  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#use(async (redis) => {
      try {
        return await redis.evalsha(script.sha1, keys.length, ...keys, ...args);
      } catch (error) {
        if (!scriptIsMissing(error)) throw error;
        return await redis.eval(script.text, keys.length, ...keys, ...args);
      }
    });
  }

  members(key: string): Promise<string[]> {
    return this.#use((redis) => redis.smembers(key));
  }

  /** One field of each of the hashes, in one go. */
  fields(keys: readonly string[], field: string): Promise<(string | null)[]> {
    return this.#use((redis) => Promise.all(keys.map((key) => redis.hget(key, field))));
  }

  /** Resolves when Redis answers and is fit for us; rejects with what is wrong and how to mend it. */
  check(): Promise<void> {
    return this.#use(() => Promise.resolve());
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#redis.disconnect();
    this.#dropSocket();
    return Promise.resolve();
  }

  async #use<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    if (this.#closed) throw redisErrors.CLOSED.create();
    try {
      if (this.#redis.status !== 'ready') await this.#ready();
      this.#checked ??= this.#inspect();
      await this.#checked;
      const result = await work(this.#redis);
      this.#timeouts = 0;
      return result;
    } catch (error) {
      if (this.#closed) throw redisErrors.CLOSED.create({}, { cause: error });
      const mapped = this.#mapped(error);
      this.#countTimeout(mapped.code);
      throw mapped;
    }
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

  /** A connection in the making gets as long as a command does, unless it fails before. */
  async #ready(): Promise<void> {
    const waiting = new AbortController();
    const ready = new Promise<void>((resolve, reject) => {
      this.#redis.once('ready', resolve);
      this.#redis.once('error', reject);
      waiting.signal.addEventListener('abort', () => void this.#redis.off('ready', resolve).off('error', reject), { once: true });
    });
    const late = sleep(this.#clock, this.#commandTimeoutMs, waiting.signal).then(
      () => Promise.reject(this.#mapped(this.#lastError ?? 'no connection yet')),
      () => undefined,
    );
    try {
      await Promise.race([ready, late]);
    } finally {
      waiting.abort();
    }
  }

  async #inspect(): Promise<void> {
    try {
      await this.#examine();
    } catch (error) {
      // Not remembered: what was wrong may be mended without a new connection.
      this.#checked = undefined;
      throw error;
    }
  }

  async #examine(): Promise<void> {
    const redis = this.#redis;
    const [version, policy] = await Promise.all([
      redis.info('server').then(versionOf).catch(unlessForbidden),
      redis.config('GET', 'maxmemory-policy').then(policyOf).catch(unlessForbidden),
      redis.eval('return 1', 0).catch((error: unknown) => {
        if (!isForbidden(error)) throw error;
        throw redisErrors.EVAL_FORBIDDEN.create({ address: this.address, reason: error.message }, { cause: error });
      }),
    ]);
    if (version !== undefined && Number.parseInt(version, 10) < minimumMajor) {
      throw redisErrors.VERSION.create({ address: this.address, version, minimum: `${minimumMajor}.0` });
    }
    if (policy !== undefined && policy !== 'noeviction') throw redisErrors.EVICTION_POLICY.create({ address: this.address, policy });
  }

  #onReady(): void {
    const failures = this.#failures;
    this.#failures = 0;
    this.#lastError = undefined;
    this.#logger.info({ address: this.address, failures }, 'connected to redis');
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

function versionOf(info: string): string | undefined {
  return /^redis_version:(\S+)/m.exec(info)?.[1];
}

/** RESP2 answers a list, RESP3 a map. */
function policyOf(reply: unknown): string | undefined {
  if (Array.isArray(reply)) return typeof reply[1] === 'string' ? reply[1] : undefined;
  if (typeof reply !== 'object' || reply === null) return undefined;
  const policy = (reply as Record<string, unknown>)['maxmemory-policy'];
  return typeof policy === 'string' ? policy : undefined;
}

function isForbidden(error: unknown): error is Error {
  return error instanceof Error && /^(NOPERM\b|ERR unknown command)/.test(error.message);
}

/** Managed services forbid CONFIG and sometimes INFO: what may not be asked is not checked. */
function unlessForbidden(error: unknown): undefined {
  if (!isForbidden(error)) throw error;
  return undefined;
}
