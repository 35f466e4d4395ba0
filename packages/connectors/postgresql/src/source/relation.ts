import { createHash } from 'node:crypto';
import type { Session } from '../client.ts';
import { quoteTableName, type TableName } from '../table-name.ts';

/** What the catalogue says of a table or view. */
export interface Relation {
  /** Ordinary, partitioned, materialized: rows can be sampled by pages. */
  readonly sampled: boolean;
  /** Size of the rows of the table and its partitions, as they lie on disk. */
  readonly heapBytes: number;
  readonly notNull: ReadonlySet<string>;
  /** The best unique column by which the table can be cut. */
  readonly keyColumn: string | undefined;
}

/** A physical partition. */
export interface Leaf {
  readonly name: TableName;
  readonly heapBytes: number;
}

/** The table and everything that inherits from it. */
const tree = `
WITH RECURSIVE tree AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
  UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid
)`;

const sizeQuery = `${tree}
SELECT coalesce(sum(CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END), 0)::text AS bytes,
  max(CASE WHEN n.nspname = $1 AND c.relname = $2 THEN c.relkind::text END) AS kind
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;

const leavesQuery = `${tree}
SELECT n.nspname AS schema, c.relname AS name, pg_catalog.pg_table_size(c.oid)::text AS bytes
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relispartition AND c.relkind <> 'p' ORDER BY 1, 2`;

const table = `(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2)`;

/**
 * Columns that are never null in the table and in everything that inherits from it: an heir may have dropped the constraint, a foreign
 * table only claims it, and from PostgreSQL 18 on one may not have been validated.
 */
const notNullQuery = `${tree}
SELECT a.attname AS name FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY a.attname HAVING bool_and(a.attnotnull AND c.relkind <> 'f' AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_constraint k
  WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated AND a.attnum = ANY (k.conkey)))`;

/**
 * Unique, valid, whole-table B-tree indexes on one column that is not null, in the default order of its type and its collation: then
 * comparisons of values use the index. The primary key first, then whole numbers.
 */
const keyQuery = `SELECT a.attname AS name FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[0] AND o.opcdefault
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = ${table} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 1
  AND a.attnotnull AND i.indcollation[0] = a.attcollation
ORDER BY i.indisprimary DESC, a.atttypid IN (20, 21, 23) DESC, i.indexrelid LIMIT 1`;

const correlationQuery = `SELECT max(abs(correlation))::text AS correlation FROM pg_catalog.pg_stats
WHERE schemaname = $1 AND tablename = $2 AND attname = $3`;

/** Ordinary tables without children, of the server's own kind of storage, whose pages it can read by number. */
const pagesQuery = `SELECT (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8)::text AS pages
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'heap'
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'm') AND pg_catalog.current_setting('server_version_num')::int4 >= 140000
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)`;

/** How many pages the rows of a table lie in; undefined where they cannot be read by ranges of pages. */
export async function readPages(session: Session, name: TableName, path: string, signal: AbortSignal): Promise<number | undefined> {
  const [row] = await session.query({ what: 'look up', path, signal }, pagesQuery, [name.schema, name.table]);
  return row === undefined ? undefined : Number(row['pages']);
}

/** Undefined when the catalogue does not know the name. */
export async function readRelation(session: Session, name: TableName, path: string, signal: AbortSignal): Promise<Relation | undefined> {
  const call = { what: 'look up', path, signal };
  const values = [name.schema, name.table];
  const [size] = await session.query(call, sizeQuery, values);
  const kind = size?.['kind'];
  if (kind === undefined || kind === null) return undefined;
  const notNull = await session.query(call, notNullQuery, values);
  const [key] = await session.query(call, keyQuery, values);
  return {
    sampled: ['r', 'p', 'm'].includes(kind),
    heapBytes: Number(size?.['bytes']),
    notNull: new Set(notNull.map((row) => row['name'] ?? '')),
    keyColumn: key?.['name'] ?? undefined,
  };
}

/**
 * Digest of the physical tables that rows of the table come from, as the server plans it now. The catalogue would show those of the
 * transaction's snapshot, but which tables belong to another one is no matter of snapshots: one that is attached shows its rows at once.
 */
export async function readParts(session: Session, name: TableName, path: string, signal: AbortSignal): Promise<string> {
  const call = { what: 'look up', path, signal };
  const [row] = await session.query(call, `EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT * FROM ${quoteTableName(name)}`);
  const found: string[] = [];
  JSON.parse(row?.['QUERY PLAN'] ?? '[]', (_key, value: unknown) => {
    const { 'Relation Name': relation, Schema: schema } = isRecord(value) ? value : {};
    if (typeof relation === 'string') found.push(JSON.stringify([schema, relation]));
    return value;
  });
  return createHash('sha256').update(found.sort().join()).digest('hex').slice(0, 16);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Physical partitions, at all levels, in order of name. Empty for a table that is not partitioned. */
export async function readLeaves(session: Session, name: TableName, path: string, signal: AbortSignal): Promise<Leaf[]> {
  const rows = await session.query({ what: 'look up', path, signal }, leavesQuery, [name.schema, name.table]);
  return rows.map((row) => ({ name: { schema: row['schema'] ?? '', table: row['name'] ?? '' }, heapBytes: Number(row['bytes']) }));
}

/** True when `leaf`, a name in SQL, is one of its physical partitions now. */
export async function isLeafOf(session: Session, name: TableName, leaf: string, path: string, signal: AbortSignal): Promise<boolean> {
  const leaves = await readLeaves(session, name, path, signal);
  return leaves.some((other) => quoteTableName(other.name) === leaf);
}

/** How much the rows lie in the order of the column, from 0 to 1; undefined where the table was never analysed. */
export async function readCorrelation(
  session: Session, name: TableName, column: string, path: string, signal: AbortSignal,
): Promise<number | undefined> {
  const [row] = await session.query({ what: 'look up', path, signal }, correlationQuery, [name.schema, name.table, column]);
  const text = row?.['correlation'];
  return text === undefined || text === null ? undefined : Number(text);
}
