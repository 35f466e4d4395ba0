import { type Clock, hasCode, type Logger } from '@dmg/base';
import { Session } from '../client.ts';
import type { ConnectionSettings } from '../connection-settings.ts';
import { postgresqlErrors, serverFault, sqlStateOf } from '../errors.ts';
import { quoteLiteral } from '../table-name.ts';

export interface SourceSessionsOptions {
  readonly connection: ConnectionSettings;
  /** The table, for messages. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly callLimitMs: number;
}

/** A source does not know its job. */
const sourceTag = 'dmg:source';

/** Answers to the import of a snapshot whose transaction has ended: invalid identifier, source transaction not running. */
const goneStates = ['22023', '55000'];

/**
 * The sessions of one source. Those that are free are kept: outside of a transaction, or, while a snapshot is held, inside of one that
 * sees it. The session that exported the snapshot holds it open, with the locks that keep the tables from being rewritten.
 */
export class SourceSessions {
  readonly #options: SourceSessionsOptions;
  readonly #all = new Set<Session>();
  #plain: Session[] = [];
  #readers: Session[] = [];
  #holder: { readonly session: Session; readonly snapshotId: string } | undefined;
  #closed = false;

  constructor(options: SourceSessionsOptions) {
    this.#options = options;
  }

  /** A session in a new transaction, each statement of which sees its own moment. */
  async begin(signal: AbortSignal): Promise<Session> {
    const session = await this.#take(signal);
    const sql = 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY';
    await this.#orDiscard(session, () => session.query({ ...this.#call('begin to read'), signal }, sql));
    return session;
  }

  /** A session in a transaction in which a partition can be read: under the snapshot, if one is held. */
  async reader(signal: AbortSignal): Promise<Session> {
    const holder = this.#holder;
    if (holder === undefined) return await this.begin(signal);
    const free = takeLiving(this.#readers);
    if (free !== undefined) return free;
    if (holder.session.lost) throw this.#snapshotLost('the session that held it has ended');
    const session = await this.#take(signal);
    const keep = (error: unknown): boolean => goneStates.includes(sqlStateOf(error));
    const sql = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(holder.snapshotId)}`;
    try {
      await this.#orDiscard(session, () => session.query({ ...this.#call('read under the snapshot of'), signal, keep }, sql));
    } catch (error) {
      throw keep(error) ? this.#snapshotLost(serverFault(error).message) : error;
    }
    return session;
  }

  /** Exports the snapshot of the session's transaction; from now on readers import it. */
  async hold(session: Session, signal: AbortSignal): Promise<void> {
    const [row] = await session.query({ ...this.#call('export a snapshot of'), signal }, 'SELECT pg_catalog.pg_export_snapshot() AS id');
    this.#holder = { session, snapshotId: row?.['id'] ?? '' };
  }

  /** Ends the transaction of a session that `begin` gave and that holds no snapshot. Never throws. */
  async end(session: Session): Promise<void> {
    if (session === this.#holder?.session) return;
    try {
      await session.query(this.#call('end reading'), 'COMMIT');
    } catch (error) {
      // The rows have all come; what is lost is a session that could have been used again.
      this.#options.logger.debug({ reason: error instanceof Error ? error.message : String(error) }, 'a session is given up');
      await this.discard(session);
      return;
    }
    if (this.#closed) await this.#close(session);
    else this.#plain.push(session);
  }

  /** Takes a session back from `reader`: `complete` when its statement has ended. Never throws. */
  async giveBack(session: Session, complete: boolean): Promise<void> {
    if (!complete) await this.discard(session);
    else if (this.#holder === undefined || this.#closed) await this.end(session);
    else this.#readers.push(session);
  }

  /** Ends what the server does for the session. Never throws. */
  async discard(session: Session): Promise<void> {
    this.#all.delete(session);
    await session.abandon();
  }

  /** Gives the snapshot up, with the transactions that see it. Never throws. */
  async release(): Promise<void> {
    const ended = [...this.#readers];
    if (this.#holder !== undefined) ended.push(this.#holder.session);
    this.#readers = [];
    this.#holder = undefined;
    await Promise.all(ended.map((session) => this.#close(session)));
  }

  /** Never throws. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#plain = [];
    this.#readers = [];
    this.#holder = undefined;
    await Promise.all([...this.#all].map((session) => this.#close(session)));
  }

  /** Logs in and out again. Throws when the server gives no answer; any answer is a sign of life. */
  async probe(signal: AbortSignal): Promise<void> {
    try {
      const session = await Session.open({ ...this.#sessionOptions(), tag: sourceTag }, signal);
      await session.close();
    } catch (error) {
      if (signal.aborted || hasCode(error, 'DMG_CONNECTOR_UNREACHABLE') || hasCode(error, 'DMG_BASE_DEADLINE')) throw error;
    }
  }

  async #take(signal: AbortSignal): Promise<Session> {
    const free = takeLiving(this.#plain);
    if (free !== undefined) return free;
    const session = await Session.open(this.#sessionOptions(), signal);
    this.#all.add(session);
    if (!this.#closed) return session;
    await this.#close(session);
    throw new Error('the source was closed');
  }

  #sessionOptions() {
    const { connection, clock, logger, callLimitMs } = this.#options;
    // A statement that rewrites a table waits for our locks, and our readers for it: they give up before their deadline, and say why.
    return { settings: connection, clock, logger, callLimitMs, tag: sourceTag, lockLimitMs: Math.ceil(callLimitMs * 0.8) };
  }

  async #orDiscard<T>(session: Session, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.discard(session);
      throw error;
    }
  }

  async #close(session: Session): Promise<void> {
    this.#all.delete(session);
    await session.close();
  }

  #call(what: string): { what: string; path: string } {
    return { what, path: this.#options.path };
  }

  #snapshotLost(reason: string): Error {
    return postgresqlErrors.SNAPSHOT_LOST.create({ path: this.#options.path, reason });
  }
}

/** The last one that is not lost, taken from the list; those that are lost are dropped. */
function takeLiving(sessions: Session[]): Session | undefined {
  for (;;) {
    const session = sessions.pop();
    if (session === undefined || !session.lost) return session;
  }
}
