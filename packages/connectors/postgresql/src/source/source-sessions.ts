import { type Clock, firstLine, hasCode, type Logger } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { Session } from '../client.ts';
import type { ConnectionSettings } from '../connection-settings.ts';
import { sqlStateOf } from '../errors.ts';
import { exportSnapshot, findHolders, type HeldSnapshot, importSnapshot, isGone, isStillHeld } from './held-snapshot.ts';

export interface SourceSessionsOptions {
  readonly connection: ConnectionSettings;
  /** The table, for messages. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly callLimitMs: number;
  /** Takes the locks that keep the tables of the source from being rewritten, to the end of the session's transaction. */
  readonly lock: (session: Session, signal: AbortSignal) => Promise<void>;
}

/** A source does not know its job. */
const sourceTag = 'dmg:source';
/** How often a reader looks for another holder of its snapshot. */
const importsMax = 3;

/**
 * The sessions of one source. Those that are free are kept: outside of a transaction, or, while a snapshot is held, inside of one that
 * sees it. One session, the holder, keeps the snapshot open, with the locks that keep the tables from being rewritten. Holders of other
 * attempts, on other nodes, may hold the same: when ours is lost, readers go on under theirs.
 */
export class SourceSessions {
  readonly #options: SourceSessionsOptions;
  readonly #all = new Set<Session>();
  #plain: Session[] = [];
  #readers: Session[] = [];
  /** The snapshot that the transaction of a reader sees. */
  readonly #sees = new WeakMap<Session, string>();
  #holder: HeldSnapshot | undefined;
  #joining: Promise<boolean> | undefined;
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

  /** Name of the snapshot that is held, or was until its holder was lost. */
  get snapshotKey(): string | undefined {
    return this.#holder?.key;
  }

  /**
   * A session in a transaction in which a partition can be read: under the snapshot, if one is held. Throws SNAPSHOT_LOST when its
   * holder is gone and nobody else holds it.
   */
  async reader(signal: AbortSignal): Promise<Session> {
    const key = this.#holder?.key;
    if (key === undefined) return await this.begin(signal);
    for (let attempt = 0; attempt < importsMax; attempt++) {
      const free = takeLiving(this.#readers);
      if (free !== undefined) return free;
      const holder = await this.#rejoined(key, signal) ? this.#holder : undefined;
      if (holder === undefined) break;
      const session = await this.#take(signal);
      if (await this.#imports(session, holder.snapshotId, signal)) {
        this.#sees.set(session, key);
        return session;
      }
      await this.discard(holder.session);
    }
    throw connectorErrors.SNAPSHOT_LOST.create({
      path: this.#options.path, reason: 'the session that held it has ended, and no other holds it',
    });
  }

  /** Exports the snapshot of the session's transaction under a name; from now on readers import it. */
  async hold(session: Session, key: string, signal: AbortSignal): Promise<void> {
    const snapshotId = await exportSnapshot(session, key, { ...this.#call('export a snapshot of'), signal });
    this.#holder = { session, snapshotId, key };
  }

  /**
   * Holds the snapshot of this name, which another session holds, ours or another node's. True at once while we do. False when nobody
   * holds it, as far as this server shows.
   */
  async join(key: string, signal: AbortSignal): Promise<boolean> {
    if (this.#holder?.key === key && !this.#holder.session.lost) return true;
    const call = { ...this.#call('look for the snapshot of'), signal };
    const finder = await this.begin(signal);
    const found = await this.#orDiscard(finder, () => findHolders(finder, key, call));
    await this.end(finder);
    for (const other of found) {
      const session = await this.#take(signal);
      if (!await this.#imports(session, other.snapshotId, signal)) continue;
      const held = await this.#orDiscard(session, async () => {
        await this.#options.lock(session, signal);
        // Only if the other has held its locks until we had ours can no table have been rewritten in between.
        return await isStillHeld(session, other, call) ? await exportSnapshot(session, key, call) : undefined;
      });
      if (held === undefined) {
        await this.discard(session);
        continue;
      }
      if (this.#holder?.key !== key) await this.release();
      this.#holder = { session, snapshotId: held, key };
      return true;
    }
    return false;
  }

  /** Ends the transaction of a session that `begin` gave and that holds no snapshot. Never throws. */
  async end(session: Session): Promise<void> {
    if (session === this.#holder?.session) return;
    this.#sees.delete(session);
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
    // It may have been lent before another snapshot was held, or none.
    else if (this.#closed || this.#holder === undefined || this.#sees.get(session) !== this.#holder.key) await this.end(session);
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

  /** Whoever finds the holder lost looks for another; those who do so at once look once. */
  async #rejoined(key: string, signal: AbortSignal): Promise<boolean> {
    if (this.#holder?.session.lost === false) return true;
    this.#joining ??= this.join(key, signal).finally(() => {
      this.#joining = undefined;
    });
    return await this.#joining;
  }

  /** Begins a transaction under a snapshot; false when that is gone, and so is the session then. */
  async #imports(session: Session, snapshotId: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#orDiscard(session, () => importSnapshot(session, snapshotId, { ...this.#call('read under the snapshot of'), signal }));
      return true;
    } catch (error) {
      if (!isGone(error)) throw error;
      this.#options.logger.debug({ reason: firstLine(error), sqlState: sqlStateOf(error) }, 'a snapshot is gone');
      return false;
    }
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
}

/** The last one that is not lost, taken from the list; those that are lost are dropped. */
function takeLiving(sessions: Session[]): Session | undefined {
  for (;;) {
    const session = sessions.pop();
    if (session === undefined || !session.lost) return session;
  }
}
