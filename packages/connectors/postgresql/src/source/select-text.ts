import { quoteIdentifier, quoteTableName } from '../table-name.ts';
import type { CopyForm } from './copy-format.ts';
import { readExpression } from './interim-types.ts';
import { conditionOf, pagesCondition, type PartitionAddress } from './partition-address.ts';
import type { SourceColumn } from './source-columns.ts';
import { queryWithCondition, type SourceSettings } from './source-settings.ts';

/** All columns of all rows, by which the server describes the source. */
export function wholeSelect(settings: Pick<SourceSettings, 'query' | 'table'>): string {
  if (settings.query !== undefined) return queryWithCondition(settings.query, undefined);
  return `SELECT * FROM ${fromOf(settings)}`;
}

/** The source after FROM: the table, or the query in brackets. */
export function fromOf(settings: Pick<SourceSettings, 'query' | 'table'>): string {
  if (settings.query !== undefined) return `(\n${queryWithCondition(settings.query, undefined)}\n)`;
  if (settings.table === undefined) throw new Error('a source is a table or a query');
  return quoteTableName(settings.table);
}

export interface PartitionSelect {
  readonly address: PartitionAddress;
  /** All columns of the source. */
  readonly columns: readonly SourceColumn[];
  /** Indexes of those that are read, in order; undefined: all. */
  readonly chosen: readonly number[] | undefined;
  readonly values: CopyForm['values'];
}

/** The rows and columns of one partition. */
export function partitionSelect(settings: Pick<SourceSettings, 'query' | 'table'>, wish: PartitionSelect): string {
  const { address, columns, chosen, values } = wish;
  const condition = address.range !== undefined ? conditionOf(address.range)
    : address.pages === undefined ? undefined : pagesCondition(address.pages);
  const read = (chosen ?? columns.map((_column, index) => index)).map((index) => {
    const column = columns[index];
    if (column === undefined) throw new Error(`the source has no column ${index}`);
    return { column, index };
  });
  if (settings.query === undefined) {
    const list = read.map(({ column }) => readExpression(quoteIdentifier(column.name), column.typeName, values)).join(', ');
    return `SELECT ${list} FROM ${address.leaf ?? fromOf(settings)}${condition === undefined ? '' : ` WHERE ${condition}`}`;
  }
  const query = queryWithCondition(settings.query, condition);
  if (chosen === undefined && columns.every((column) => readExpression('', column.typeName, values) === '')) return query;
  // Two columns of a query may have the same name, so they are read by names of our own.
  const names = columns.map((_column, index) => `dmg_${index}`).join(', ');
  const list = read.map(({ column, index }) => readExpression(`dmg_${index}`, column.typeName, values)).join(', ');
  return `SELECT ${list} FROM (\n${query}\n) AS dmg_source (${names})`;
}
