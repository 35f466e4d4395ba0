import { connectorErrors } from '@dmg/connector-api';
import type { Session } from '../client.ts';
import { sqlStateOf } from '../errors.ts';
import { quoteIdentifier } from '../table-name.ts';
import type { SourceColumn } from './source-columns.ts';

export interface BoundsWish {
  /** What the rows come from, for FROM: a name, or a query in brackets. */
  readonly from: string;
  readonly column: SourceColumn;
  /** Ranges that are wanted; one fewer bounds, or less where there are not so many values. */
  readonly count: number;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Pages of which rows are looked at, for each range; and at least. */
const pagesPerRange = 30;
const pagesMin = 300;
const pageBytes = 8192;

/**
 * Bounds of ranges that hold about as many rows each, from a sample of the table's pages: it costs the same for skewed values, and
 * nothing that grows with the table. In order, distinct, as text.
 */
export async function sampledBounds(session: Session, wish: BoundsWish, heapBytes: number): Promise<string[]> {
  const pages = Math.max(1, heapBytes / pageBytes);
  const percent = 100 * Math.max(pagesMin, wish.count * pagesPerRange) / pages;
  if (percent > 50) return await quantiles(session, wish, '');
  const call = { what: 'sample', path: wish.path, signal: wish.signal };
  await session.query(call, 'SAVEPOINT dmg_sample');
  try {
    const bounds = await quantiles(session, wish, ` TABLESAMPLE SYSTEM (${percent.toPrecision(6)})`);
    // A snapshot is not exported from a subtransaction.
    await session.query(call, 'RELEASE SAVEPOINT dmg_sample');
    // A table that is mostly empty pages gives too small a sample.
    return bounds.length >= wish.count / 2 ? bounds : await quantiles(session, wish, '');
  } catch (error) {
    // A partition of another kind, a foreign table say, has no pages: 42809 wrong object type, 0A000 not supported.
    if (!['42809', '0A000'].includes(sqlStateOf(error))) throw error;
    await session.query(call, 'ROLLBACK TO SAVEPOINT dmg_sample; RELEASE SAVEPOINT dmg_sample');
    return await quantiles(session, wish, '');
  }
}

/** The same from all rows: for views and queries. The server sorts the values of the column. */
export function countedBounds(session: Session, wish: BoundsWish): Promise<string[]> {
  return quantiles(session, wish, '');
}

async function quantiles(session: Session, wish: BoundsWish, sample: string): Promise<string[]> {
  const { from, column, count, path, signal } = wish;
  const name = quoteIdentifier(column.name);
  const sql = `
SELECT k::text AS bound FROM (
  SELECT DISTINCT k FROM (
    SELECT k, row_number() OVER (ORDER BY k) AS place, count(*) OVER () AS total
    FROM (SELECT ${name} AS k FROM ${from} AS dmg_source${sample} WHERE ${name} IS NOT NULL) AS dmg_values
  ) AS dmg_places WHERE place < total AND place * ${count} / total > (place - 1) * ${count} / total
) AS dmg_bounds ORDER BY k`;
  const keep = (error: unknown): boolean => sample !== '' && ['42809', '0A000'].includes(sqlStateOf(error));
  const call = { what: 'sample', path, signal, limitMs: session.statementLimitMs, keep };
  return boundsOf(await session.query(call, sql));
}

type Stride = (low: string, high: string, share: string, type: string) => string;

const wholeStride: Stride = (low, high, share, type) => `floor(${low}::numeric + (${high}::numeric - ${low}::numeric) * ${share})::${type}`;
const numberStride: Stride = (low, high, share, type) => `(${low}::numeric + (${high}::numeric - ${low}::numeric) * ${share})::${type}`;
const dateStride: Stride = (low, high, share) => `${low} + floor((${high} - ${low})::numeric * ${share})::int4`;
const timeStride: Stride = (low, high, share) => `${low} + (${high} - ${low}) * ${share}::float8`;

const strides: Readonly<Record<string, Stride>> = {
  int2: wholeStride, int4: wholeStride, int8: wholeStride, oid: wholeStride, numeric: numberStride,
  float4: numberStride, float8: numberStride,
  date: dateStride, timestamp: timeStride, timestamptz: timeStride,
};

/**
 * Bounds in equal steps from `lower` to `upper`; where one of them is missing, the smallest or largest value stands for it. No row is
 * left out by them: the first range is open below, the last above.
 */
export async function steppedBounds(
  session: Session, wish: BoundsWish, limits: { readonly lower: string | undefined; readonly upper: string | undefined },
): Promise<string[]> {
  const { from, column, count, path, signal } = wish;
  const stride = strides[column.typeName];
  if (stride === undefined) {
    throw connectorErrors.BAD_SETTING.create({
      name: 'partitionColumnName', reason: `between values of ${column.name}, of type ${column.type}, no steps can be made`,
      remedy: 'Choose a column of numbers or times, or leave the bounds out: then ranges of equal size are chosen.',
    });
  }
  const name = quoteIdentifier(column.name);
  const limit = (value: string, fallback: string): string =>
    `coalesce(${value}::${column.castType}, (SELECT ${fallback}(${name}) FROM ${from} AS dmg_source))`;
  const steps = Math.max(1, count - 2);
  const sql = `
SELECT k::text AS bound FROM (
  SELECT DISTINCT ${stride('low', 'high', `(step::numeric / ${steps})`, column.castType)} AS k
  FROM (SELECT ${limit('$1::text', 'min')} AS low, ${limit('$2::text', 'max')} AS high) AS dmg_limits, generate_series(0, ${steps}) AS step
) AS dmg_bounds WHERE k IS NOT NULL ORDER BY k`;
  const call = { what: 'sample', path, signal, limitMs: session.statementLimitMs };
  return boundsOf(await session.query(call, sql, [limits.lower ?? null, limits.upper ?? null]));
}

function boundsOf(rows: readonly Readonly<Record<string, string | null>>[]): string[] {
  return rows.map((row) => row['bound'] ?? '');
}

/** The planner's guess at the size of the rows of a query. */
export async function estimatedBytes(session: Session, select: string, path: string, signal: AbortSignal): Promise<number> {
  const [row] = await session.query({ what: 'estimate', path, signal }, `EXPLAIN (FORMAT JSON)\n${select}`);
  const plans = JSON.parse(row?.['QUERY PLAN'] ?? '[]') as { Plan?: Record<string, unknown> }[];
  const plan = plans[0]?.Plan ?? {};
  const bytes = Number(plan['Plan Rows']) * Number(plan['Plan Width']);
  return Number.isFinite(bytes) ? bytes : 0;
}
