import { connectorErrors, textOf } from '@dmg/connector-api';
import type { Consistency, CopyEnd, JsonObject } from '@dmg/model';
import { formatTableName, tableOf, type TableName } from '../table-name.ts';

export const partitionOptions = ['None', 'PhysicalPartitionsOfTable', 'DynamicRange'] as const;
export type PartitionOption = (typeof partitionOptions)[number];

/** What a copy reads and how it wants it cut. */
export interface SourceSettings {
  /** Instead of the table. Without a semicolon at its end. */
  readonly query: string | undefined;
  readonly table: TableName | undefined;
  /** The table or `query`, for people and for the name of a file. */
  readonly path: string;
  /** Undefined: as it is best. */
  readonly partitionOption: PartitionOption | undefined;
  readonly columnName: string | undefined;
  readonly lowerBound: string | undefined;
  readonly upperBound: string | undefined;
  /** The only physical partitions that are read. */
  readonly partitionNames: readonly string[] | undefined;
  readonly consistency: Consistency;
}

/** Where a query says `?AdfDynamicRangePartitionCondition`, the range of a partition is put. */
const conditionHook = '?AdfDynamicRangePartitionCondition';

export function sourceSettingsOf(end: CopyEnd): SourceSettings {
  const { settings } = end;
  const query = textOf(settings, 'query')?.replace(/[\s;]+$/, '');
  const table = tableOf(end.location);
  if (table === undefined && query === undefined) {
    throw badSetting('table', 'neither a table nor a query is named', 'Name a table in the dataset, or give the source a query.');
  }
  const wish = wishOf(settings);
  if (query !== undefined) refuseForQuery(query, wish);
  const consistency = textOf(settings, 'consistency');
  return {
    query, table, ...wish,
    path: table === undefined ? 'query' : formatTableName(table),
    consistency: consistency?.toLowerCase() === 'perchunk' ? 'perChunk' : 'snapshot',
  };
}

/** The query under a condition on its rows; undefined: all of them. */
export function queryWithCondition(query: string, condition: string | undefined): string {
  if (query.includes(conditionHook)) return query.replaceAll(conditionHook, () => `(${condition ?? 'TRUE'})`);
  if (condition === undefined) return query;
  return `SELECT * FROM (\n${query}\n) AS dmg_source WHERE ${condition}`;
}

type Wish = Pick<SourceSettings, 'partitionOption' | 'columnName' | 'lowerBound' | 'upperBound' | 'partitionNames'>;

function wishOf(settings: JsonObject): Wish {
  const given = textOf(settings, 'partitionOption');
  const partitionOption = partitionOptions.find((option) => option.toLowerCase() === given?.toLowerCase());
  if (given !== undefined && partitionOption === undefined) {
    throw badSetting('partitionOption', `${given} is not known`, `Use one of ${partitionOptions.join(', ')}.`);
  }
  const details = settings['partitionSettings'] ?? {};
  if (typeof details !== 'object' || details === null || Array.isArray(details)) {
    throw badSetting('partitionSettings', 'it is not an object', 'Give an object with partitionColumnName and bounds.');
  }
  const dynamic = partitionOption === 'DynamicRange';
  const physical = partitionOption === 'PhysicalPartitionsOfTable';
  const object = details as JsonObject;
  return {
    partitionOption,
    columnName: dynamic ? textOf(object, 'partitionColumnName') : undefined,
    lowerBound: dynamic ? boundOf(object, 'partitionLowerBound') : undefined,
    upperBound: dynamic ? boundOf(object, 'partitionUpperBound') : undefined,
    partitionNames: physical ? namesOf(object) : undefined,
  };
}

function refuseForQuery(query: string, wish: Wish): void {
  const hooked = query.includes(conditionHook);
  if (wish.partitionOption === 'PhysicalPartitionsOfTable') {
    throw badSetting(
      'partitionOption', 'a query has no physical partitions', 'Name the table instead of the query, or use DynamicRange with a column.',
    );
  }
  if (wish.partitionOption === 'DynamicRange' && wish.columnName === undefined) {
    throw badSetting('partitionColumnName', 'DynamicRange of a query needs a column', 'Name a column of the query in partitionSettings.');
  }
  if (hooked && wish.partitionOption !== 'DynamicRange') {
    throw badSetting(
      'query', 'it has a place for ranges, but partitionOption is not DynamicRange',
      'Set partitionOption to DynamicRange, or remove ?AdfDynamicRangePartitionCondition from the query.',
    );
  }
}

function boundOf(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === 'number' ? String(value) : textOf(object, name);
}

/** A list, or one name. */
function namesOf(object: JsonObject): readonly string[] | undefined {
  const value = object['partitionNames'];
  const names = typeof value === 'string' ? [value] : value;
  if (names === undefined || names === null) return undefined;
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names.length === 0 ? undefined : names;
  throw badSetting('partitionNames', 'it is not a list of names', 'Give the names of partitions as a list of strings.');
}

function badSetting(name: string, reason: string, remedy: string): Error {
  return connectorErrors.BAD_SETTING.create({ name, reason, remedy });
}
