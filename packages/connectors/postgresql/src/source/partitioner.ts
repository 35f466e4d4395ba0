import { connectorErrors } from '@dmg/connector-api';
import type { SourceKind } from '@dmg/model';
import type { Session } from '../client.ts';
import { quoteTableName, type TableName } from '../table-name.ts';
import { countedBounds, estimatedBytes, sampledBounds, steppedBounds } from './bounds.ts';
import {
  digestOfColumns, pageRanges, type PageRange, type PartitionAddress, partitionCount, rangesOf,
} from './partition-address.ts';
import { type Leaf, readCorrelation, readLeaves, readPages, type Relation } from './relation.ts';
import { fromOf, wholeSelect } from './select-text.ts';
import type { SourceColumn } from './source-columns.ts';
import type { SourceSettings } from './source-settings.ts';

export interface PartitionWish {
  /** In the transaction whose moment counts. */
  readonly session: Session;
  readonly settings: SourceSettings;
  readonly columns: readonly SourceColumn[];
  /** Undefined where the source is a query. */
  readonly relation: Relation | undefined;
  readonly partitionsMax: number;
  /** Name of the snapshot under which all partitions will be read, where they may be such as mean something under it only. */
  readonly snapshotKey: string | undefined;
  readonly signal: AbortSignal;
}

export interface Partitioning {
  readonly kind: SourceKind;
  readonly parts: readonly { readonly address: PartitionAddress; readonly bytes: number }[];
}

/** A user who asks for ranges gets some, also where the size of the rows is a guess. */
const askedRangesMin = 4;

/** Cuts the source so that each row is in exactly one part. */
export async function cutSource(wish: PartitionWish): Promise<Partitioning> {
  const { settings, relation, columns } = wish;
  const digest = digestOfColumns(columns);
  if (settings.partitionOption === 'PhysicalPartitionsOfTable') {
    const leaves = await chosenLeaves(wish);
    if (leaves.length > 0) {
      const parts = leaves.map((leaf) => ({ address: { columns: digest, leaf: quoteTableName(leaf.name) }, bytes: leaf.heapBytes }));
      return { kind: 'addressable', parts };
    }
  }
  const column = rangeColumn(wish);
  if (column === undefined) {
    const ranges = await rangesOfPages(wish);
    if (ranges.length > 1) {
      const bytes = Math.ceil((relation?.heapBytes ?? 0) / ranges.length);
      return { kind: 'snapshotBound', parts: ranges.map((pages) => ({ address: { columns: digest, pages }, bytes })) };
    }
    checkRangeColumn(wish);
  }
  if (column === undefined) return { kind: 'onePass', parts: [{ address: { columns: digest }, bytes: await wholeBytes(wish) }] };
  const { bounds, bytes } = await boundsOf(wish, column);
  const nullable = relation === undefined || !relation.notNull.has(column.name);
  const ranges = rangesOf({ column: column.name, type: column.castType, nullable }, bounds);
  const share = Math.ceil(bytes / ranges.length);
  return { kind: 'addressable', parts: ranges.map((range) => ({ address: { columns: digest, range }, bytes: share })) };
}

/** The column by whose values the source is cut; undefined: it is not cut. */
function rangeColumn({ settings, relation, columns }: PartitionWish): SourceColumn | undefined {
  const { partitionOption, columnName } = settings;
  if (partitionOption === 'None') return undefined;
  const name = columnName ?? (settings.query === undefined ? relation?.keyColumn : undefined);
  const found = columns.filter((column) => column.name === name);
  if (found.length === 1) return found[0];
  if (name === undefined || partitionOption !== 'DynamicRange') return undefined;
  const reason = `${settings.path} has ${found.length === 0 ? 'no column' : 'several columns'} ${name}`;
  throw badColumn(reason);
}

/** A table without a key, of which more than one range of pages is wanted and can be read. */
async function rangesOfPages({ session, settings, relation, snapshotKey, partitionsMax, signal }: PartitionWish): Promise<PageRange[]> {
  const { table, path, partitionOption } = settings;
  if (snapshotKey === undefined || relation === undefined || table === undefined || partitionOption === 'None') return [];
  const min = partitionOption === 'DynamicRange' ? askedRangesMin : 1;
  const count = partitionCount({ heapBytes: relation.heapBytes, correlation: undefined }, { min, max: partitionsMax });
  if (count === 1) return [];
  const pages = await readPages(session, table, path, signal);
  return pages === undefined || pages < count ? [] : pageRanges(pages, count, snapshotKey);
}

/** Who asks for ranges and cannot have any is told so. */
function checkRangeColumn({ settings }: PartitionWish): void {
  if (settings.partitionOption !== 'DynamicRange') return;
  throw badColumn('none is named, and the table has no unique column that is never null');
}

function badColumn(reason: string): Error {
  return connectorErrors.BAD_SETTING.create({
    name: 'partitionColumnName', reason, remedy: 'Name a column of the source, as it is spelled there.',
  });
}

async function wholeBytes({ session, settings, relation, signal }: PartitionWish): Promise<number> {
  if (relation !== undefined && relation.heapBytes > 0) return relation.heapBytes;
  return await estimatedBytes(session, wholeSelect(settings), settings.path, signal);
}

async function boundsOf(wish: PartitionWish, column: SourceColumn): Promise<{ bounds: string[]; bytes: number }> {
  const { session, settings, relation, signal, partitionsMax: max } = wish;
  const { path, table, lowerBound: lower, upperBound: upper } = settings;
  const bytes = await wholeBytes(wish);
  const isTable = settings.query === undefined && relation?.sampled === true;
  const correlation = isTable && table !== undefined ? await readCorrelation(session, table, column.name, path, signal) : undefined;
  const min = settings.partitionOption === 'DynamicRange' && (!isTable || settings.columnName !== undefined) ? askedRangesMin : 1;
  const count = partitionCount({ heapBytes: bytes, correlation }, { min, max });
  if (count === 1) return { bounds: [], bytes };
  const request = { from: fromOf(settings), column, count, path, signal };
  const bounds = lower !== undefined || upper !== undefined ? await steppedBounds(session, request, { lower, upper })
    : isTable ? await sampledBounds(session, request, bytes) : await countedBounds(session, request);
  return { bounds, bytes };
}

/** Physical partitions that are to be read; none when the table has none. */
async function chosenLeaves({ session, settings, signal }: PartitionWish): Promise<readonly Leaf[]> {
  const { table, path, partitionNames } = settings;
  if (table === undefined) return [];
  const leaves = await readLeaves(session, table, path, signal);
  if (partitionNames === undefined) return leaves;
  const isNamed = (leaf: TableName, name: string): boolean => name === leaf.table || name === `${leaf.schema}.${leaf.table}`;
  const unknown = partitionNames.find((name) => !leaves.some((leaf) => isNamed(leaf.name, name)));
  if (unknown !== undefined) {
    throw connectorErrors.BAD_SETTING.create({
      name: 'partitionNames', reason: `${path} has no partition ${unknown}`, remedy: 'Name partitions that hold rows, as they are spelled.',
    });
  }
  return leaves.filter((leaf) => partitionNames.some((name) => isNamed(leaf.name, name)));
}
