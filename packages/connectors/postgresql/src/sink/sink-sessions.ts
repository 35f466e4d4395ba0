import { type Clock, firstLine, type Logger, type Timer } from '@dmg/base';
import type { Session } from '../client.ts';

export interface SinkSessionsOptions {
  /** Opens a session that carries the tag of this attempt. */
  readonly open: (signal: AbortSignal) => Promise<Session>;
  /** What the tags of all attempts of this job begin with. */
  readonly tagPrefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Sessions that are kept for the next chunk. */
  readonly idleMax: number;
}

/**
 * Ends a session of this job ($1: prefix of the tag) that is not one of ours ($2: process ids). A CASE, since the parts of a condition
 * may be evaluated in any order. Tags of other users' sessions are null.
 */
const endUnlessOurs = (also = ''): string => `CASE WHEN left(a.application_name, length($1)) = $1 AND a.pid <> ALL ($2::int[])${also}
  THEN pg_terminate_backend(a.pid) END`;

/** The server does something for it that is not waiting for its client, or did so a moment ago: it may be frozen only later. */
const atWork = ` AND NOT (a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client')
  AND a.state_change < clock_timestamp() - interval '100 milliseconds'`;

export interface Patience {
  readonly patienceMs: number;
  /** Sessions for which the server is at work are left alone: it ends by itself, or their client is told that it is gone. */
  readonly sparing?: 'atWork';
}

/** A writer is looked at so often within the patience: it gets on when it has more rows than at the look before. */
const looksAtWriter = 2;

/** The sessions of one sink: opened when needed, lent to one task at a time, kept for the next one, and all ended by `close`. */
export class SinkSessions {
  readonly #options: SinkSessionsOptions;
  readonly #all = new Set<Session>();
  #idle: Session[] = [];
  #closed = false;
  readonly #searches = new Set<Promise<void>>();

  constructor(options: SinkSessionsOptions) {
    this.#options = options;
  }

  async take(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (!session.lost) return session;
      this.#all.delete(session);
    }
    const session = await this.#options.open(signal);
    this.#all.add(session);
    if (!this.#closed) return session;
    await this.drop(session);
    throw new Error('the sink is closed');
  }

  /** Gives a session back that is in no transaction; one that is lost is forgotten. */
  give(session: Session): void {
    if (session.lost || this.#closed || this.#idle.length >= this.#options.idleMax) {
      void this.drop(session);
      return;
    }
    this.#idle.push(session);
  }

  /** Ends a session, whatever it is doing: its transaction is rolled back unless its COMMIT is on the way already. Never throws. */
  async drop(session: Session): Promise<void> {
    await session.close();
    this.#all.delete(session);
  }

  /** Runs a task that leaves no transaction open, also when it throws. */
  async use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.take(signal);
    try {
      return await work(session);
    } finally {
      this.give(session);
    }
  }

  /**
   * Runs `work`, during which `session` may wait for a lock. When it takes longer than the patience, sessions of this job that hold
   * the lock and are not ours are ended: a frozen attempt, or one of ours whose connection has been lost, does so for good
   * (DESIGN-RULES 14).
   */
  async endingBlockers<T>(session: Session, patience: Patience, work: () => Promise<T>): Promise<T> {
    return this.#looking(patience.patienceMs, () => this.#endBlockers(session, patience), work);
  }

  async #looking<T>(everyMs: number, look: () => Promise<void>, work: () => Promise<T>): Promise<T> {
    let timer: Timer | undefined;
    let over = false;
    const arm = (): void => {
      timer = this.#options.clock.after(everyMs, () => {
        const search = look().finally(() => {
          this.#searches.delete(search);
          if (!over) arm();
        });
        this.#searches.add(search);
      });
    };
    arm();
    try {
      return await work();
    } finally {
      over = true;
      timer?.cancel();
    }
  }

  /**
   * Runs `work`, which waits for a chunk that another attempt may be writing. A writer whose rows get on is left alone: `session` is
   * abandoned after the patience, and `busy` says what is thrown. Any other is ended.
   */
  async awaitingWriter<T>(session: Session, options: { patienceMs: number; busy: () => Error }, work: () => Promise<T>): Promise<T> {
    const seen = new Map<string, string>();
    let isBusy = false;
    let looks = 0;
    const look = async (): Promise<void> => {
      isBusy = await this.#getsOn(session, seen);
      if (isBusy) await session.abandon();
      else if (++looks >= looksAtWriter) await this.#endBlockers(session, {});
    };
    try {
      return await this.#looking(Math.ceil(options.patienceMs / looksAtWriter), look, work);
    } catch (error) {
      throw isBusy ? options.busy() : error;
    }
  }

  /** Ends the sessions of this job that are not ours. */
  async endOthers(signal: AbortSignal): Promise<void> {
    const ended = await this.use(signal, (session) => session.query(
      { what: 'end sessions of an earlier attempt at', signal },
      `SELECT pid FROM (SELECT a.pid::text AS pid, ${endUnlessOurs()} AS ended FROM pg_catalog.pg_stat_activity a) s WHERE ended`,
      [this.#options.tagPrefix, this.#ownPids()],
    ));
    if (ended.length > 0) this.#options.logger.info({ sessions: ended.length }, 'sessions of other attempts of this job were ended');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#idle = [];
    await Promise.all([...this.#all].map((session) => this.drop(session)));
    await Promise.all(this.#searches);
    await Promise.all([...this.#all].map((session) => this.drop(session)));
  }

  #ownPids(): string {
    return `{${[...this.#all].map((session) => session.processId).join(',')}}`;
  }

  /**
   * True when a session that `waiting` waits for has taken rows since it was `seen` last; false also where that cannot be known, as
   * before PostgreSQL 14. Never throws.
   */
  async #getsOn(waiting: Session, seen: Map<string, string>): Promise<boolean> {
    const { signal } = new AbortController();
    try {
      const writers = await this.use(signal, (session) => session.query(
        { what: 'look for the writer of a chunk at', signal },
        `SELECT p.pid::text AS pid, p.bytes_processed::text AS bytes FROM pg_catalog.pg_stat_progress_copy p
         WHERE p.pid = ANY (pg_blocking_pids($1::int))`, [waiting.processId],
      ));
      const getsOn = writers.some(({ pid, bytes }) => seen.has(pid ?? '') && seen.get(pid ?? '') !== bytes);
      for (const { pid, bytes } of writers) seen.set(pid ?? '', bytes ?? '');
      return getsOn;
    } catch (error) {
      this.#options.logger.debug({ reason: firstLine(error) }, 'the writer of a chunk could not be looked at');
      return false;
    }
  }

  /** Never throws: whoever waits goes on waiting, up to its own limits. */
  async #endBlockers(waiting: Session, { sparing }: Pick<Patience, 'sparing'>): Promise<void> {
    const { logger, tagPrefix } = this.#options;
    const { signal } = new AbortController();
    try {
      const found = await this.use(signal, (session) => session.query(
        { what: 'look for the holders of a lock at', signal },
        `SELECT a.pid::text AS pid, a.application_name AS name, (${endUnlessOurs(sparing === undefined ? '' : atWork)})::text AS ended
         FROM unnest(pg_blocking_pids($3::int)) AS b(pid) JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid`,
        [tagPrefix, this.#ownPids(), waiting.processId],
      ));
      for (const { pid, name, ended } of found) {
        if (ended === 'true') logger.warn({ pid, name }, 'a session of another attempt of this job held a lock and was ended');
        else logger.warn({ pid, name }, 'another session holds a lock that this copy waits for');
      }
    } catch (error) {
      logger.debug({ reason: firstLine(error) }, 'the holder of a lock could not be found');
    }
  }
}
