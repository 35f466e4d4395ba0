import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, isDmgError, type Logger, withDeadline } from '@dmg/base';
import { Client, type Connection } from 'pg';
import type { ConnectionSettings, SslMode } from './connection-settings.ts';
import { fromPostgresError, sqlStateOf } from './errors.ts';
import { reusingSocket } from './reusing-socket.ts';

export interface SessionOptions {
  readonly settings: ConnectionSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Time limit of a short call. */
  readonly callLimitMs: number;
  /** `application_name`, by which the session is known in pg_stat_activity: `dmg:<jobId>:<attemptId>`. */
  readonly tag: string;
  /** Time that a statement waits for a lock; none unless given. */
  readonly lockLimitMs?: number;
}

/** A row of the catalogue or of our own tables; values are the server's text. Rows of the user's never come this way. */
export type Row = Readonly<Record<string, string | null>>;
export type Value = string | number | boolean | null;

export interface Call {
  /** For the message of a deadline: *Cannot ‹what› ‹store›*. */
  readonly what: string;
  /** What the call is about, for errors; default is the database. */
  readonly path?: string;
  /** `write`: wrong values are those of a row on its way in. */
  readonly doing?: 'read' | 'write';
  readonly signal?: AbortSignal | undefined;
  /** Default: `callLimitMs`. For statements that move or count many rows use `statementLimitMs`. */
  readonly limitMs?: number;
  /** Errors of the driver that the caller wants to see unmapped. */
  readonly keep?: (error: unknown) => boolean;
}

/** What the driver has and its types leave out. */
type ClientParts = Client & { readonly processID: number | null; readonly secretKey: number | null; readonly connection: Connection };
type Outcome = { readonly rows: Row[]; readonly rowCount: number | null; readonly fields: readonly ResultColumn[] };

/** A column of a result, as the server describes it. */
export interface ResultColumn {
  readonly name: string;
  /** Oid of the type. */
  readonly dataTypeID: number;
  readonly dataTypeModifier: number;
}

/** The longest time a timer can measure: about 24 days. */
const noLimitMs = 2 ** 31 - 1;
/** After this much silence the operating system asks whether the server is still there. */
const keepAliveDelayMs = 10_000;

/**
 * One connection to the database, used by one task at a time. Every call has a deadline; when it passes, or the caller gives up, the
 * statement is cancelled at the server, the connection is torn down, and the session is lost.
 */
export class Session {
  /** Host, port and database, for messages. */
  readonly store: string;
  /** Time limit of statements that move many rows: the one of the linked service, else none that matters. */
  readonly statementLimitMs: number;
  readonly #options: SessionOptions;
  readonly #client: ClientParts;
  #lost: Error | undefined;
  #busy = false;
  #ended = false;
  #cancelling: Promise<void> | undefined;

  private constructor(client: Client, options: SessionOptions) {
    this.#client = client as ClientParts;
    this.#options = options;
    this.store = storeOf(options.settings);
    this.statementLimitMs = options.settings.statementLimitMs ?? noLimitMs;
    client.on('error', (error) => {
      this.#lost ??= error;
    });
    client.on('end', () => {
      this.#lost ??= new Error('Connection terminated');
    });
  }

  /** Logs in and sets what makes the server's text exact. Throws ACCESS_DENIED, DATABASE_MISSING, TLS_REFUSED, UNREACHABLE. */
  static async open(options: SessionOptions, signal?: AbortSignal): Promise<Session> {
    const modes = encryptions[options.settings.sslMode];
    for (const [index, encryption] of modes.entries()) {
      const client = new Client(clientConfig(options, encryption));
      const session = new Session(client, options);
      try {
        await session.#connect(signal);
        return session;
      } catch (error) {
        session.destroy();
        const next = index + 1 < modes.length && isRefusedEncryption(error);
        if (!next) throw session.#mapped(error, { what: 'open' }, signal);
      }
    }
    throw new Error('a mode of encryption has no way to connect');
  }

  /** The driver's client, for COPY: between `hold` and its end only. */
  get client(): Client {
    return this.#client;
  }

  /** The socket, to pause it or to wait until it drains. */
  get socket(): Duplex {
    return this.#client.connection.stream;
  }

  get processId(): number {
    return this.#client.processID ?? 0;
  }

  /** True when nothing can be asked of it any more. */
  get lost(): boolean {
    return this.#ended || this.#lost !== undefined;
  }

  /** Runs SQL and gives its rows; several statements only without values, and then the rows of the last. */
  async query(call: Call, sql: string, values: readonly Value[] = []): Promise<Row[]> {
    return (await this.#run(call, sql, values)).rows;
  }

  /** Runs SQL and gives the number of rows that it changed. */
  async execute(call: Call, sql: string, values: readonly Value[] = []): Promise<number> {
    return (await this.#run(call, sql, values)).rowCount ?? 0;
  }

  /** Runs SQL, the last statement of which gives rows, and describes their columns. */
  async describe(call: Call, sql: string): Promise<readonly ResultColumn[]> {
    return (await this.#run(call, sql, [])).fields;
  }

  /** Takes the session for a task that talks to `client` itself; call what it returns when the task is over. */
  hold(): () => void {
    if (this.#busy) throw new Error('a session is used by one task at a time');
    this.#busy = true;
    return () => {
      this.#busy = false;
    };
  }

  /** Maps an error of the driver, for a task that talks to `client` itself. */
  mapped(error: unknown, call: Call): unknown {
    return this.#mapped(error, call, call.signal);
  }

  /**
   * Ends what the server does for this session and tears the connection down; it is lost then. Never throws; resolves when the
   * server has taken the cancel, or could not be reached in time.
   */
  abandon(): Promise<void> {
    this.#cancelling ??= this.#cancel();
    this.destroy();
    return this.#cancelling;
  }

  /** Tears the connection down without a word. */
  destroy(): void {
    this.#ended = true;
    this.#client.connection.stream.destroy();
  }

  /** Logs out, or abandons the session when it is in the middle of something. Never throws. */
  async close(): Promise<void> {
    if (this.#busy && !this.lost) await this.abandon();
    if (this.#cancelling !== undefined) await this.#cancelling;
    if (this.lost) {
      this.destroy();
      return;
    }
    this.#ended = true;
    const { clock, callLimitMs, logger } = this.#options;
    try {
      await withDeadline({ clock, limitMs: Math.min(callLimitMs, 2000), what: `log out of ${this.store}` }, () => this.#client.end());
    } catch (error) {
      logger.debug({ reason: error instanceof Error ? error.message : String(error) }, 'a session was not closed in time');
    } finally {
      this.destroy();
    }
  }

  async #run(call: Call, sql: string, values: readonly Value[]): Promise<Outcome> {
    const release = this.hold();
    try {
      return await this.#withDeadline(call, async () => {
        const result: unknown = await (values.length === 0 ? this.#client.query(sql) : this.#client.query(sql, [...values]));
        return (Array.isArray(result) ? result.at(-1) : result) as Outcome;
      });
    } catch (error) {
      throw this.#mapped(error, call, call.signal);
    } finally {
      release();
    }
  }

  /** Work that is given up leaves a connection in an unknown state: it is abandoned. */
  async #withDeadline<T>(call: Call, work: () => Promise<T>): Promise<T> {
    const { clock, callLimitMs } = this.#options;
    if (this.lost) throw this.#lost ?? new Error('Connection terminated');
    const limitMs = call.limitMs ?? callLimitMs;
    return await withDeadline({ clock, limitMs, what: `${call.what} ${call.path ?? this.store}`, signal: call.signal }, (signal) => {
      signal.addEventListener('abort', () => void this.abandon(), { once: true });
      return work();
    });
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const { settings, clock, callLimitMs, lockLimitMs } = this.#options;
    const limitMs = settings.connectLimitMs ?? callLimitMs;
    await withDeadline({ clock, limitMs, what: `open ${this.store}`, signal }, async () => {
      await this.#client.connect();
      await this.#client.query(settingsQuery(lockLimitMs ?? 0));
    });
  }

  #mapped(error: unknown, call: Call, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    if (isDmgError(error) || call.keep?.(error)) return error;
    const place = { path: call.path ?? this.store, store: this.store };
    return fromPostgresError(error, call.doing === undefined ? place : { ...place, doing: call.doing });
  }

  /**
   * CancelRequest, on a connection of its own, as libpq sends it: without encryption and without login.
   * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
   */
  async #cancel(): Promise<void> {
    const { processID, secretKey } = this.#client;
    if (processID === null || secretKey === null || this.#lost !== undefined) return;
    const { settings, clock, callLimitMs, logger } = this.#options;
    const request = Buffer.alloc(16);
    request.writeInt32BE(16, 0);
    request.writeInt32BE(80877102, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    const socket = connectSocket({ host: settings.host, port: settings.port });
    try {
      const limit = { clock, limitMs: Math.min(callLimitMs, 5000), what: `cancel at ${this.store}` };
      await withDeadline(limit, () => new Promise<void>((resolve, reject) => {
        socket.once('error', reject).once('close', () => resolve()).resume();
        socket.end(request);
      }));
    } catch (error) {
      logger.debug({ reason: error instanceof Error ? error.message : String(error) }, 'a statement could not be cancelled');
    } finally {
      socket.destroy();
    }
  }
}

/** Host, port and database, for messages. */
export function storeOf(settings: ConnectionSettings): string {
  return `${settings.host}:${settings.port}/${settings.database}`;
}

type Encryption = 'plain' | 'tls' | 'verifyChain' | 'verifyHost';

/** In the order in which they are tried. https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS */
const encryptions: Readonly<Record<SslMode, readonly Encryption[]>> = {
  disable: ['plain'],
  allow: ['plain', 'tls'],
  prefer: ['tls', 'plain'],
  require: ['tls'],
  'verify-ca': ['verifyChain'],
  'verify-full': ['verifyHost'],
};

/** True when the server wants the connection the other way: it has no TLS, or lets this user in only with or without it. */
function isRefusedEncryption(error: unknown): boolean {
  return sqlStateOf(error) === '28000' || (error instanceof Error && error.message.includes('does not support SSL'));
}

function clientConfig(options: SessionOptions, encryption: Encryption): ConstructorParameters<typeof Client>[0] {
  const { settings } = options;
  const tls = {
    plain: false,
    tls: { rejectUnauthorized: false },
    verifyChain: { rejectUnauthorized: true, checkServerIdentity: () => undefined },
    verifyHost: { rejectUnauthorized: true },
  } as const;
  return {
    host: settings.host, port: settings.port, database: settings.database, user: settings.user,
    // As a function, so that the driver looks neither into the environment nor for a password file.
    password: () => settings.password.reveal(),
    ssl: tls[encryption],
    // What TLS reads is decrypted into memory of its own.
    ...(encryption === 'plain' ? { stream: reusingSocket } : {}),
    application_name: options.tag,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    // Values stay the server's text.
    types: { getTypeParser: () => (value: string) => value },
  };
}

/**
 * Settings of every session, whatever the server, database or role has as default: text is UTF-8, every value is written so that it
 * can be read back exactly (floating-point numbers before PostgreSQL 12 with 17 digits only), and the server notices by itself when we
 * are gone. Names that this server does not know are left out.
 */
function settingsQuery(lockLimitMs: number): string {
  const wanted: readonly (readonly [name: string, value: string])[] = [
    ['client_encoding', 'UTF8'], ['datestyle', 'ISO, YMD'], ['intervalstyle', 'postgres'], ['extra_float_digits', '3'],
    ['array_nulls', 'on'], ['timezone', 'UTC'], ['bytea_output', 'hex'], ['xmloption', 'content'], ['standard_conforming_strings', 'on'],
    ['statement_timeout', '0'], ['transaction_timeout', '0'], ['idle_in_transaction_session_timeout', '0'], ['idle_session_timeout', '0'],
    ['lock_timeout', String(lockLimitMs)], ['client_connection_check_interval', '2000'],
    ['tcp_keepalives_idle', '10'], ['tcp_keepalives_interval', '5'], ['tcp_keepalives_count', '3'],
  ];
  const values = wanted.map(([name, value]) => `('${name}', '${value}')`).join(', ');
  // Only Linux can watch the socket while a statement runs; elsewhere the setting is refused.
  return `SELECT set_config(s.name, w.value, false) FROM (VALUES ${values}) AS w(name, value) JOIN pg_catalog.pg_settings s `
    + `ON lower(s.name) = w.name WHERE s.name <> 'client_connection_check_interval' OR version() LIKE '%linux%'`;
}
