import type { InterimType, TableColumn } from '@dmg/model';

/** Types of a table that is made for a source whose own types this server does not have. Every value of the type fits. */
const createdAs: Readonly<Record<InterimType, string>> = {
  String: 'text',
  Boolean: 'boolean',
  Byte: 'smallint',
  SByte: 'smallint',
  Int16: 'smallint',
  UInt16: 'integer',
  Int32: 'integer',
  UInt32: 'bigint',
  Int64: 'bigint',
  UInt64: 'numeric(20,0)',
  Single: 'real',
  Double: 'double precision',
  Decimal: 'numeric',
  DateTime: 'timestamp(6)',
  DateTimeOffset: 'timestamp(6) with time zone',
  TimeSpan: 'interval',
  Guid: 'uuid',
  'Byte[]': 'bytea',
};

/** The type with which a column is created. `known`: the source's own types that this server has. */
export function createdType(column: TableColumn, known: ReadonlySet<string>): string {
  const { nativeType, type } = column;
  return nativeType !== undefined && isPlainType(nativeType) && known.has(nativeType) ? nativeType : createdAs[type];
}

/**
 * True for a type as `format_type` of a server writes it: names, modifiers, array brackets. Others are not put into a statement,
 * whatever the catalogue of the source says.
 */
export function isPlainType(nativeType: string): boolean {
  return plainType.test(nativeType);
}

const name = String.raw`(?:[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"\0]|"")+")`;
/** `schema.name`, further words (`double precision`), modifiers, more words (`without time zone`), brackets. */
const plainType = new RegExp(String.raw`^${name}(?:\.${name})?[\p{L} ]*(?:\(\d+(?:,-?\d+)?\))?[\p{L} ]*(?:\[\])*$`, 'u');
