import { createHash } from 'node:crypto';
import { connectorErrors } from '@dmg/connector-api';
import { quoteIdentifier, quoteLiteral } from '../table-name.ts';

/** Rows of which the key lies in `[from, to)`; values are the server's text of the key's type. */
export interface KeyRange {
  /** Name of the column. */
  readonly column: string;
  /** Type of the column as SQL, without modifiers, so that a cast changes no value. */
  readonly type: string;
  /** Absent: open. */
  readonly from?: string;
  /** Absent: open. */
  readonly to?: string;
  /** The column may be null, and rows where it is belong to this range. */
  readonly withNulls?: true;
}

/** Which rows a partition is, as `SourceObject.identity` keeps it. */
export interface PartitionAddress {
  /** Digest of the columns of the whole table or query. */
  readonly columns: string;
  readonly range?: KeyRange;
  /** A physical partition, in SQL, instead of the whole table. */
  readonly leaf?: string;
  readonly pages?: PageRange;
  /** Under a snapshot: digest of the physical tables that the rows come from (`readParts`). */
  readonly parts?: string;
}

/** Rows that lie in the pages `[from, to)` of the table: which rows these are is true under one snapshot only. */
export interface PageRange {
  /** Of the snapshot. */
  readonly snapshotKey: string;
  readonly from: number;
  /** Absent: open. */
  readonly to?: number;
}

const formatVersion = 1;

export function formatAddress(address: PartitionAddress): string {
  return JSON.stringify({ v: formatVersion, ...address });
}

/** Throws SOURCE_CHANGED for an address that this version did not make. */
export function parseAddress(identity: string, path: string): PartitionAddress {
  try {
    const value = JSON.parse(identity) as (PartitionAddress & { v?: unknown }) | null;
    const { v, ...address } = value ?? { columns: undefined };
    if (v === formatVersion && typeof address.columns === 'string') return { ...address, columns: address.columns };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw connectorErrors.SOURCE_CHANGED.create({ path }, { detail: 'the partition was made by another version of this gateway' });
}

/** Two lists of columns have the same digest if names, types and order are the same. */
export function digestOfColumns(columns: readonly { readonly name: string; readonly type: string }[]): string {
  const hash = createHash('sha256').update(JSON.stringify(columns.map(({ name, type }) => [name, type])));
  return hash.digest('hex').slice(0, 32);
}

/** The range as SQL. It compares as the key's index does, so the ranges of one list of bounds hold each row exactly once. */
export function conditionOf(range: KeyRange): string {
  const column = quoteIdentifier(range.column);
  const parts: string[] = [];
  if (range.from !== undefined) parts.push(`${column} >= ${quoteLiteral(range.from)}::${range.type}`);
  if (range.to !== undefined) parts.push(`${column} < ${quoteLiteral(range.to)}::${range.type}`);
  if (parts.length === 0) return 'TRUE';
  const inside = parts.join(' AND ');
  return range.withNulls === true ? `(${inside}) OR ${column} IS NULL` : inside;
}

/** The pages as SQL. From PostgreSQL 14 on the server reads no others. */
export function pagesCondition({ from, to }: PageRange): string {
  const end = to === undefined ? '' : ` AND ctid < '(${to},0)'::pg_catalog.tid`;
  return `ctid >= '(${from},0)'::pg_catalog.tid${end}`;
}

/** So many ranges of about as many pages; the last is open above. */
export function pageRanges(pages: number, count: number, snapshotKey: string): PageRange[] {
  const each = Math.ceil(pages / count);
  const ranges = Math.max(1, Math.ceil(pages / each));
  return Array.from({ length: ranges }, (_none, index) => (
    { snapshotKey, from: index * each, ...(index === ranges - 1 ? {} : { to: (index + 1) * each }) }
  ));
}

/** The ranges between bounds, which are in order and distinct: one more than bounds. The first is open below, the last above. */
export function rangesOf(key: { column: string; type: string; nullable: boolean }, bounds: readonly string[]): KeyRange[] {
  const { column, type, nullable } = key;
  return Array.from({ length: bounds.length + 1 }, (_none, index) => {
    const from = bounds[index - 1];
    const to = bounds[index];
    return {
      column, type,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(index === 0 && nullable && to !== undefined ? { withNulls: true as const } : {}),
    };
  });
}

const megabyte = 1024 * 1024;
/** A range takes about so long to read that losing one does not hurt, and so many rows that asking for it costs nothing. */
const partitionBytes = 64 * megabyte;
/** Where rows do not lie in the order of the key, each range reads much of the whole table. */
const scatteredMax = 8;

/** How many ranges a table of this size is cut into. `correlation` is the planner's, from -1 to 1; undefined where nobody knows. */
export function partitionCount(
  table: { readonly heapBytes: number; readonly correlation: number | undefined }, wish: { readonly min?: number; readonly max: number },
): number {
  const scattered = table.correlation !== undefined && Math.abs(table.correlation) < 0.5;
  const wanted = Math.max(wish.min ?? 1, Math.ceil(table.heapBytes / partitionBytes));
  return Math.max(1, Math.min(wanted, wish.max, scattered ? scatteredMax : wanted));
}
