import type { InterimType } from '@dmg/model';
import type { CopyForm } from './copy-format.ts';

/**
 * What PostgreSQL's types become on their way to another kind of store, by the names of `pg_type` (the table of types of Data
 * Factory's PostgreSQL connector). Types that are not listed travel as String in the server's own text; so does `interval`, which
 * may have months and years and is then no span of time.
 */
const interimTypes: Readonly<Record<string, InterimType>> = {
  bool: 'Boolean',
  int2: 'Int16', int4: 'Int32', int8: 'Int64', oid: 'Int64',
  float4: 'Single', float8: 'Double', numeric: 'Decimal', money: 'Decimal',
  date: 'DateTime', timestamp: 'DateTime', timestamptz: 'DateTimeOffset', time: 'TimeSpan',
  uuid: 'Guid', bytea: 'Byte[]',
};

/** `typeName` is the name of a type of the schema `pg_catalog`; a domain goes by the type below it. */
export function toInterimType(typeName: string): InterimType {
  return interimTypes[typeName] ?? 'String';
}

/**
 * How a column is read so that its text means the same everywhere: booleans as words for other stores, amounts of money without
 * the currency of the server's locale, documents with the declarations that the server's own output leaves out.
 */
export function readExpression(column: string, typeName: string, values: CopyForm['values']): string {
  if (typeName === 'money') return `${column}::pg_catalog.numeric`;
  if (typeName === 'xml') return `${column}::pg_catalog.text`;
  if (typeName === 'bool' && values === 'common') return `${column}::pg_catalog.text`;
  return column;
}
