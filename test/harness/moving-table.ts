import { type Random, sleep, systemClock } from '@dmg/base';
import type { PostgresServer } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { waitFor } from './wait-for.ts';

/** SQL of what one transaction does to the table; `k` is its number, from 1. */
export interface Movement {
  /** Which rows are changed, and the SET list; columns of the key stay as they are. */
  readonly update: { readonly where: string; readonly set: string };
  /** Which rows are deleted: none that is updated in the same transaction, and none that a transaction has inserted. */
  readonly remove: string;
  /** A query for new rows, at least one, whose keys nobody has had. */
  readonly insert: string;
}

export interface MovingTableOptions {
  readonly server: PostgresServer;
  /** Both with their schemas; the history is made here. */
  readonly table: string;
  readonly history: string;
  readonly keys: readonly string[];
  readonly random: Random;
  readonly movement: (k: number, random: Random) => Movement;
  /** Between two transactions. */
  readonly pauseMs: number;
}

const vacuumEvery = 6;

/**
 * A table that one session changes, vacuums and extends all the time, transaction after transaction, and which knows what it was after
 * each of them: a copy of it is right if it is the table as it was after one transaction.
 */
export class MovingTable {
  readonly #options: MovingTableOptions;
  readonly #stop = new AbortController();
  #moving: Promise<void> | undefined;
  #moves = 0;
  #columns: readonly string[] = [];

  private constructor(options: MovingTableOptions) {
    this.#options = options;
  }

  /** Makes the history of a table that nobody has changed since. It does not move before `start`. */
  static async open(options: MovingTableOptions): Promise<MovingTable> {
    const { server, table, history, keys } = options;
    const key = keys.join(', ');
    await server.query(`CREATE TABLE ${history} AS SELECT 0::bigint AS k, ''::text AS kind, t.* FROM ${table} t WITH NO DATA;
      CREATE INDEX ON ${history} (${key}, k); CREATE INDEX ON ${history} (k)`);
    const moving = new MovingTable(options);
    const columns = await server.query<{ name: string }>(
      'SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum',
      [table],
    );
    moving.#columns = columns.map(({ name }) => name);
    return moving;
  }

  /** Transactions so far. */
  get moves(): number {
    return this.#moves;
  }

  start(): void {
    this.#moving ??= this.#move();
  }

  /** Resolves when its last transaction is over; throws what went wrong. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#moving;
  }

  /** The next transaction. Only while it does not move by itself. */
  async step(): Promise<void> {
    await this.#step((sql) => this.#options.server.query(sql));
  }

  /** A query for the table as it was after transaction `k`. Only once it has stopped. */
  after(k: number): string {
    const { table, history, keys } = this.#options;
    const columns = this.#columns.join(', ');
    const same = keys.map((key) => `h.${key} = t.${key}`).join(' AND ');
    return `(SELECT ${columns} FROM ${table} t WHERE NOT EXISTS (SELECT FROM ${history} h WHERE h.k > ${k} AND ${same})
      UNION ALL SELECT ${columns} FROM (
        SELECT DISTINCT ON (${keys.join(', ')}) * FROM ${history} WHERE k > ${k} ORDER BY ${keys.join(', ')}, k) AS first
      WHERE kind <> 'insert')`;
  }

  /** After which transaction a copy must have been made, by the newest of its rows; `copy` is a table. */
  async momentOf(copy: string): Promise<number> {
    const { server, history, keys } = this.#options;
    const [row] = await server.query<{ k: string }>(`SELECT coalesce(max(k), 0)::text AS k FROM ${history}
      WHERE kind = 'insert' AND (${keys.join(', ')}) IN (SELECT ${keys.join(', ')} FROM ${copy})`);
    return Number(row?.k ?? 0);
  }

  /**
   * Judges a copy whose chunks are of several moments: each row must be as it was at one moment, none may be there twice, and none may
   * be missing that was there all the time.
   */
  async judgeLoose(copy: string): Promise<{ lost: number; doubled: number; changed: number }> {
    const { server, table, history, keys } = this.#options;
    const [columns, key] = [this.#columns.join(', '), keys.join(', ')];
    const [row] = await server.query<{ lost: number; doubled: number; changed: number }>(`
      WITH versions AS (
        SELECT ${columns} FROM ${table} UNION ALL SELECT ${columns} FROM ${history} WHERE kind <> 'insert'
        UNION ALL SELECT ${columns} FROM ${history} WHERE kind = 'insert')
      SELECT
        (SELECT count(*)::int FROM ${table} WHERE (${key}) NOT IN (SELECT ${key} FROM ${history} WHERE kind = 'insert')
          AND (${key}) NOT IN (SELECT ${key} FROM ${copy})) AS lost,
        (SELECT count(*)::int - count(DISTINCT (${key}))::int FROM ${copy}) AS doubled,
        (SELECT count(*)::int FROM (SELECT ${columns} FROM ${copy} EXCEPT SELECT ${columns} FROM versions) AS c) AS changed`);
    return row ?? { lost: -1, doubled: -1, changed: -1 };
  }

  /** Until it is told to stop. A server that goes away is waited for: a transaction is then in the history, or it was not. */
  async #move(): Promise<void> {
    const { server, pauseMs, table } = this.#options;
    const { signal } = this.#stop;
    let client: Awaited<ReturnType<PostgresServer['client']>> | undefined;
    const isDown = { since: 0 };
    while (!signal.aborted) {
      try {
        client ??= await this.#reconnect();
        const session = client;
        if (this.#moves % vacuumEvery === vacuumEvery - 1) await session.query(`VACUUM ${table}`);
        await this.#step(async (sql) => void (await session.query(sql)));
        isDown.since = 0;
        await sleep(systemClock, pauseMs, signal).catch(() => undefined); // Told to stop meanwhile.
      } catch (error) {
        isDown.since ||= systemClock.monotonicMs();
        if (systemClock.monotonicMs() - isDown.since > 20_000 || isMistake(error)) throw error;
        await client?.end().catch(() => undefined);
        client = undefined;
        if (!server.running) await sleep(systemClock, 20);
      }
    }
    await client?.end();
  }

  async #reconnect(): Promise<Awaited<ReturnType<PostgresServer['client']>>> {
    const { server, history } = this.#options;
    const client = await waitFor('the server to take the mover', () => server.client().catch(() => undefined), { withinMs: 20_000 });
    const { rows } = await client.query<{ k: string }>(`SELECT coalesce(max(k), 0)::text AS k FROM ${history}`);
    this.#moves = Number(rows[0]?.k ?? 0);
    return client;
  }

  async #step(run: (sql: string) => Promise<unknown>): Promise<void> {
    const { table, history, random, movement } = this.#options;
    const k = this.#moves + 1;
    const { update, remove, insert } = movement(k, random);
    await run(`BEGIN;
      INSERT INTO ${history} SELECT ${k}, 'update', t.* FROM ${table} t WHERE ${update.where};
      UPDATE ${table} SET ${update.set} WHERE ${update.where};
      WITH gone AS (DELETE FROM ${table} WHERE ${remove} RETURNING *) INSERT INTO ${history} SELECT ${k}, 'delete', gone.* FROM gone;
      WITH made AS (INSERT INTO ${table} ${insert} RETURNING *) INSERT INTO ${history} SELECT ${k}, 'insert', made.* FROM made;
      COMMIT`);
    this.#moves = k;
  }
}

/** SQL that is wrong does not become right by being said again: classes 22, 23 and 42. */
function isMistake(error: unknown): boolean {
  return /^(?:22|23|42)/.test((error as { code?: string }).code ?? '');
}
