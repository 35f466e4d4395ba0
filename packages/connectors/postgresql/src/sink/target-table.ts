import { connectorErrors } from '@dmg/connector-api';
import type { Plan, TableColumn } from '@dmg/model';
import type { Row, Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, quoteIdentifier, quoteTableName, type TableName } from '../table-name.ts';
import { toInterimType } from '../source/interim-types.ts';
import { lockClass } from './advisory-lock.ts';
import { createdType, isPlainType } from './column-type.ts';

/** A column as the catalogue has it; `numbered` is one that the server numbers always: a value can be inserted, but not set. */
export interface CatalogueColumn extends TableColumn {
  /** Why it takes no values; undefined when it does. */
  readonly refusal: string | undefined;
  /** True when a row that leaves it out gets a value all the same. */
  readonly filled: boolean;
}

export interface CatalogueTable {
  readonly oid: string;
  readonly columns: readonly CatalogueColumn[];
}

/** `attgenerated` is not there before PostgreSQL 12, so it is read by its name. */
const columnsSql = `
SELECT c.oid::text AS oid, c.relkind::text AS kind, a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
  CASE WHEN coalesce(b.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace THEN coalesce(b.typname, t.typname)::text END AS base,
  (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull))::text AS required,
  a.attidentity::text AS identity, coalesce(to_jsonb(a) ->> 'attgenerated', '') AS generated,
  (d.adbin IS NOT NULL OR t.typdefault IS NOT NULL)::text AS has_default,
  CASE WHEN coalesce(b.oid, t.oid) = 'money'::regtype THEN ('1.50'::text::money::numeric = 1.5)::text END AS reads_amounts
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
WHERE n.nspname = $1 AND c.relname = $2
ORDER BY a.attnum`;

/** Tables, partitioned and foreign ones, and views, which take rows when they have a trigger for it. */
const writableKinds = new Set(['r', 'p', 'f', 'v']);

/** The table, or undefined when there is none of this name. Throws `TARGET_BLOCKED` when the name is that of something else. */
export async function readTable(session: Session, name: TableName, signal: AbortSignal): Promise<CatalogueTable | undefined> {
  const path = formatTableName(name);
  const rows = await session.query({ what: 'read the columns of', path, signal }, columnsSql, [name.schema, name.table]);
  const [first] = rows;
  if (first === undefined) return undefined;
  if (!writableKinds.has(first.kind ?? '')) {
    throw connectorErrors.TARGET_BLOCKED.create({
      path, reason: 'it is an index, a sequence, a type or a materialised view', remedy: 'Name a table in the dataset of the sink.',
    });
  }
  return { oid: first.oid ?? '', columns: rows.flatMap(columnOf) };
}

function columnOf(row: Row): CatalogueColumn[] {
  if (row.name === null || row.name === undefined) return [];
  const identity = row.identity ?? '';
  return [{
    name: row.name,
    type: toInterimType(row.base ?? ''),
    nativeType: row.type ?? '',
    nullable: row.required !== 'true',
    refusal: refusalOf(row),
    filled: row.required !== 'true' || row.has_default === 'true' || identity !== '',
    ...(identity === 'a' ? { numbered: true } : {}),
  }];
}

function refusalOf(row: Row): string | undefined {
  if (row.generated !== '') return 'it is generated from other columns';
  // In another locale a point may stand between thousands, and is skipped without a word.
  return row.reads_amounts === 'false' ? 'lc_monetary of this role has no amounts with a point and two digits' : undefined;
}

/** Columns that take values, in the table's order, as `TableIntake.columns` gives them. */
export function writableColumns(table: CatalogueTable): TableColumn[] {
  return table.columns.filter((column) => column.refusal === undefined)
    .map(({ refusal: _refusal, filled: _filled, ...column }) => column);
}

/** Why rows with these columns cannot be written into the table at all, and what to do; undefined when they can. */
export function columnProblem(table: CatalogueTable, wanted: readonly TableColumn[]): { reason: string; remedy: string } | undefined {
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const names = new Set(wanted.map((column) => column.name));
  const missing = wanted.filter((column) => !byName.has(column.name));
  if (missing.length > 0) {
    return { reason: `it has no ${listed(missing)}`, remedy: 'Add it to the table, or map the source column to one that is there.' };
  }
  if (names.size < wanted.length) {
    const twice = wanted.filter((column, index) => wanted.findIndex((other) => other.name === column.name) < index);
    return { reason: `${listed(twice)} would be written twice`, remedy: 'Map each column of the table at most once.' };
  }
  for (const column of table.columns) {
    if (names.has(column.name) && column.refusal !== undefined) {
      return { reason: `${listed([column])} takes no values: ${column.refusal}`, remedy: 'Leave this column out of the mapping.' };
    }
  }
  const left = table.columns.filter((column) => !names.has(column.name) && !column.filled);
  if (left.length === 0) return undefined;
  return {
    reason: `no source column fills ${listed(left)}, which must not be null and has no default`,
    remedy: 'Map a source column to it, or give it a default in the table.',
  };
}

function listed(columns: readonly { readonly name: string }[]): string {
  const shown = columns.slice(0, 10).map((column) => quoteIdentifier(column.name)).join(', ');
  return `${columns.length === 1 ? 'column' : 'columns'} ${shown}${columns.length > 10 ? ' …' : ''}`;
}

function checkColumns(name: TableName, table: CatalogueTable, wanted: readonly TableColumn[]): void {
  const problem = columnProblem(table, wanted);
  if (problem !== undefined) throw connectorErrors.TARGET_BLOCKED.create({ path: formatTableName(name), ...problem });
}

/** Throws where the table cannot take the columns of every target. */
export function checkPlanColumns(name: TableName, table: CatalogueTable, plan: Plan): void {
  const checked = new Set<string>();
  for (const { columns = [] } of plan.targets) {
    const key = JSON.stringify(columns.map((column) => column.name));
    if (columns.length > 0 && !checked.has(key)) checkColumns(name, table, columns);
    checked.add(key);
  }
}

/**
 * True when rows of an unlogged table, or of an unlogged partition of it, may be gone while their marks are not: the server empties
 * such tables when it recovers from a crash, and forgets its statistics at the same time.
 * https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-UNLOGGED
 */
export async function isEmptied(
  session: Session, job: { path: string; oid: string; jobs: TableName; jobId: string }, signal: AbortSignal,
): Promise<boolean> {
  const rows = await session.query({ what: 'look up', path: job.path, signal }, `
    WITH RECURSIVE part(oid) AS (
      SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part p ON p.oid = i.inhparent)
    SELECT FROM ${quoteTableName(job.jobs)} j, pg_catalog.pg_stat_bgwriter s
    WHERE j.job_id = $2 AND s.stats_reset >= j.created_at
    AND EXISTS (SELECT FROM part p JOIN pg_catalog.pg_class c ON c.oid = p.oid WHERE c.relpersistence = 'u')`, [job.oid, job.jobId]);
  return rows.length > 0;
}

export interface NewTable {
  readonly name: TableName;
  readonly columns: readonly TableColumn[];
  /** Columns that together are different in every row. */
  readonly unique?: readonly string[];
}

/** Makes the table with these columns. A type of the source's that this server does not have becomes a plain one. */
export async function createTable(session: Session, { name, columns, unique }: NewTable, signal: AbortSignal): Promise<void> {
  const path = formatTableName(name);
  if (columns.length === 0) {
    throw postgresqlErrors.COLUMN_MISSING.create({ path, reason: 'it cannot be created, since no source has any column' });
  }
  const types = await columnTypes(session, columns, signal);
  const parts = types.map((column) => `${quoteIdentifier(column.name)} ${column.type}${column.required ? ' NOT NULL' : ''}`);
  if (unique !== undefined) parts.push(`UNIQUE (${unique.map(quoteIdentifier).join(', ')})`);
  const table = quoteTableName(name);
  const call = { what: 'create', path, signal };
  // Two jobs that make the same table would otherwise meet at the keys of the catalogue.
  await session.query(call, 'SELECT pg_advisory_xact_lock($1, hashtext($2))', [lockClass, table]);
  await session.query(call, `CREATE TABLE IF NOT EXISTS ${table} (\n  ${parts.join(',\n  ')}\n)`);
}

/** A column as a statement that makes a table writes it. */
export interface StagedColumn {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
}

/** What the columns of a new table are. */
export async function columnTypes(session: Session, columns: readonly TableColumn[], signal: AbortSignal): Promise<StagedColumn[]> {
  const known = await knownTypes(session, columns, signal);
  return columns.map((column) => ({ name: column.name, type: createdType(column, known), required: !column.nullable }));
}

async function knownTypes(session: Session, columns: readonly TableColumn[], signal: AbortSignal): Promise<ReadonlySet<string>> {
  const natives = columns.flatMap(({ nativeType }) => (nativeType !== undefined && isPlainType(nativeType) ? [nativeType] : []));
  const wanted = [...new Set(natives)];
  if (wanted.length === 0) return new Set();
  const rows = await session.query(
    { what: 'look up types at', signal },
    `SELECT w.name FROM jsonb_array_elements_text($1::jsonb) AS w(name)
     JOIN pg_catalog.pg_type t ON t.oid = to_regtype(w.name) WHERE t.typtype <> 'p'`,
    [JSON.stringify(wanted)],
  );
  return new Set(rows.flatMap((row) => (row.name === null || row.name === undefined ? [] : [row.name])));
}
