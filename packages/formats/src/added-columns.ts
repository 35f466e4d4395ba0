import { formatErrors } from './errors.ts';
import { type CompiledColumn, findSourceColumn, type SourceColumns } from './mapping.ts';
import type { Converter } from './conversion/converter.ts';
import { ByteBuffer } from './byte-buffer.ts';

/** A column that stands behind those of the source: the same text in every row, or one of the source's columns once more. */
export type AddedColumn =
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly column: string };

/** What a mapping may name: the source's own columns and those that are added. An empty file has none. */
export function withAddedColumns(source: SourceColumns, added: readonly AddedColumn[], fileName: string): SourceColumns {
  if (added.length === 0 || source.count === 0) return source;
  const names = added.map((column) => column.name);
  const repeated = names.find((name, index) => source.names?.includes(name) === true || names.indexOf(name) !== index);
  if (repeated !== undefined) {
    throw formatErrors.ADDED_COLUMN.create({ column: repeated, file: fileName, reason: 'there is a column of this name already' });
  }
  for (const column of added) if ('column' in column) findSourceColumn(column.column, source, fileName);
  return {
    count: source.count + added.length, names: source.names === undefined ? undefined : [...source.names, ...names], added: names,
  };
}

/** The column as it is carried out: an added one is the column that it repeats, or bytes that are known already. */
export function resolveAddedColumn(
  column: CompiledColumn, added: readonly AddedColumn[], source: SourceColumns, fileName: string,
): CompiledColumn {
  const found = added[column.sourceIndex - source.count];
  if (found === undefined) return column;
  if ('column' in found) return { ...column, sourceIndex: findSourceColumn(found.column, source, fileName) };
  const bytes = Buffer.from(found.text);
  const constant = column.converter === undefined ? bytes : converted(bytes, column.converter, column, fileName);
  return { ...column, sourceIndex: 0, constant };
}

function converted(bytes: Uint8Array, converter: Converter, column: CompiledColumn, fileName: string): Uint8Array {
  const target = new ByteBuffer(64);
  const problem = converter.convert(bytes, 0, bytes.length, target);
  if (problem === undefined) return target.bytes.slice(target.start, target.end);
  const reason = `its value cannot be converted from ${column.sourceType} to ${column.sinkType}: ${problem.reason}`;
  throw formatErrors.ADDED_COLUMN.create({ column: column.sourceName, file: fileName, reason });
}
