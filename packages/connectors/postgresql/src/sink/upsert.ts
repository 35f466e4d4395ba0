import { connectorErrors } from '@dmg/connector-api';
import type { TableColumn } from '@dmg/model';
import type { Call, Session } from '../client.ts';
import { postgresqlErrors, sqlStateOf } from '../errors.ts';
import { formatTableName, quoteIdentifier, quoteTableName, type TableName } from '../table-name.ts';
import type { CatalogueTable } from './target-table.ts';
import type { UpsertMode } from './write-mode.ts';

const noUniqueIndex = '42P10';
const keyTwice = '21000';

/**
 * Columns by which rows replace others: those of the settings, else the primary key. `table`: undefined where it is to be made.
 * Throws `BAD_SETTING` where there are none, or one is not written.
 */
export async function upsertKeys(
  session: Session, request: { name: TableName; table: CatalogueTable | undefined; mode: UpsertMode; written: readonly TableColumn[] },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { name, table, mode, written } = request;
  const path = formatTableName(name);
  const keys = mode.keys ?? (table === undefined ? [] : await primaryKey(session, { path, oid: table.oid }, signal));
  if (keys.length === 0) {
    throw connectorErrors.BAD_SETTING.create({
      name: 'upsertSettings.keys', reason: `it is missing, and ${path} has no primary key`,
      remedy: 'Name the columns of a unique index of the table in upsertSettings.keys.',
    });
  }
  const missing = keys.find((key) => !written.some((column) => column.name === key));
  if (missing === undefined) return keys;
  throw connectorErrors.BAD_SETTING.create({
    name: 'upsertSettings.keys', reason: `no source column is mapped to ${quoteIdentifier(missing)} of ${path}`,
    remedy: 'Map a source column to every key column; names are case-sensitive.',
  });
}

async function primaryKey(session: Session, table: { path: string; oid: string }, signal: AbortSignal): Promise<string[]> {
  const rows = await session.query({ what: 'read the primary key of', path: table.path, signal }, `
    SELECT a.attname AS name FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = $1::oid AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place`, [table.oid]);
  return rows.map((row) => row.name ?? '');
}

export interface Move {
  readonly from: TableName;
  readonly into: TableName;
  readonly table: CatalogueTable;
  /** In order, by name. */
  readonly columns: readonly TableColumn[];
  /** Undefined: rows are added. */
  readonly keys: readonly string[] | undefined;
}

/** `INSERT … SELECT` that adds or replaces the rows of a staging table. */
export function moveText({ from, into, table, columns, keys }: Move): string {
  const always = new Set(table.columns.filter((column) => column.numbered === true).map((column) => column.name));
  const names = columns.map((column) => quoteIdentifier(column.name)).join(', ');
  const overriding = columns.some((column) => always.has(column.name)) ? ' OVERRIDING SYSTEM VALUE' : '';
  const insert = `INSERT INTO ${quoteTableName(into)} (${names})${overriding} SELECT ${names} FROM ${quoteTableName(from)}`;
  if (keys === undefined) return insert;
  // A column that the server numbers by itself can be inserted but not set.
  const set = columns.filter((column) => !keys.includes(column.name) && !always.has(column.name))
    .map((column) => `${quoteIdentifier(column.name)} = EXCLUDED.${quoteIdentifier(column.name)}`);
  const action = set.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${set.join(', ')}`;
  return `${insert} ON CONFLICT (${keys.map(quoteIdentifier).join(', ')}) ${action}`;
}

/** True when every row of the staging table is counted by the statement. */
export function countsAll(move: Move): boolean {
  return move.keys === undefined || moveText(move).includes(' DO UPDATE ');
}

/** Has the server plan the move without carrying it out: so rights, types and the unique index are checked before a row is copied. */
export async function checkMove(session: Session, move: Move, signal: AbortSignal): Promise<void> {
  await run(session, move, { text: `EXPLAIN ${moveText(move)}`, limitMs: undefined }, signal);
}

/** The number of rows that were added or replaced. */
export async function runMove(session: Session, move: Move, signal: AbortSignal): Promise<number> {
  return run(session, move, { text: moveText(move), limitMs: session.statementLimitMs }, signal);
}

async function run(
  session: Session, move: Move, statement: { text: string; limitMs: number | undefined }, signal: AbortSignal,
): Promise<number> {
  const path = formatTableName(move.into);
  const keys = (move.keys ?? []).map(quoteIdentifier).join(', ');
  let refusal: Error | undefined;
  const keep = (error: unknown): boolean => {
    const state = sqlStateOf(error);
    const table = quoteTableName(move.into);
    if (state === noUniqueIndex) refusal = postgresqlErrors.KEY_NOT_UNIQUE.create({ path, keys, table });
    if (state === keyTwice && move.keys !== undefined) refusal = postgresqlErrors.KEY_TWICE.create({ path, keys });
    return false;
  };
  const call: Call = {
    what: 'move rows into', path, doing: 'write', signal, keep, ...(statement.limitMs === undefined ? {} : { limitMs: statement.limitMs }),
  };
  try {
    return await session.execute(call, statement.text);
  } catch (error) {
    throw refusal ?? error;
  }
}
