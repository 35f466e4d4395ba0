import type { ColumnMapping, ColumnRef, HeldDigits, Translator } from '@dmg/model';
import { compileConverter, type Converter } from './conversion/converter.ts';
import { formatErrors } from './errors.ts';

/** What is known of the source's columns. */
export interface SourceColumns {
  readonly count: number;
  /** Undefined: the file has no header. */
  readonly names: readonly string[] | undefined;
  /** Names of the last ones of these columns, which the activity has added and which have names in any case. */
  readonly added?: readonly string[];
}

export interface CompiledColumn {
  /** From 0. */
  readonly sourceIndex: number;
  readonly sourceName: string;
  readonly sinkName: string;
  readonly sourceType: string;
  readonly sinkType: string;
  /** Undefined: bytes are copied unchanged. */
  readonly converter: Converter | undefined;
  /** Bytes that are copied unchanged must not have more digits. */
  readonly held?: HeldDigits;
  /** Value of a column that is the same in every row, converted. */
  readonly constant?: Uint8Array;
}

/** Name of a column (from 0) where the file has no header, as Data Factory makes it. */
function defaultColumnName(index: number): string {
  return `Prop_${index}`;
}

/**
 * Decides which source column goes where, once per file. Without mappings: all columns in their order. Names are compared with
 * case, as Data Factory v2 does; source columns that no mapping names are dropped. Sink columns stand in order of their ordinals
 * where these are given, else in order of the mappings.
 */
export function compileMapping(translator: Translator | undefined, source: SourceColumns, fileName: string): readonly CompiledColumn[] {
  const mappings = translator?.mappings ?? [];
  if (translator === undefined || mappings.length === 0) {
    return Array.from({ length: source.count }, (_, index) => {
      const name = sourceColumnName(source, index);
      return { sourceIndex: index, sourceName: name, sinkName: name, sourceType: 'String', sinkType: 'String', converter: undefined };
    });
  }
  const columns = inSinkOrder(mappings).map((mapping): CompiledColumn => {
    const sourceIndex = findColumn(mapping.source, source, fileName);
    const sourceName = sourceColumnName(source, sourceIndex);
    const sourceType = mapping.source.type ?? 'String';
    const { held } = mapping.sink;
    return {
      sourceIndex, sourceName, sourceType,
      sinkName: mapping.sink.name ?? sourceName,
      sinkType: mapping.sink.type ?? sourceType,
      converter: converterOf(mapping, translator),
      ...(held === undefined ? {} : { held }),
    };
  });
  const names = columns.map((column) => column.sinkName);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) throw formatErrors.BAD_MAPPING.create({ reason: `two columns of the sink are called ${repeated}` });
  return columns;
}

/** Refuses what no file could be mapped with: types, formats and ordinals that do not work together. */
export function checkTranslator(translator: Translator | undefined): void {
  if (translator === undefined) return;
  for (const mapping of inSinkOrder(translator.mappings)) converterOf(mapping, translator);
}

/** Without the typeConversion switch no settings apply and nothing may be cut off. */
function converterOf(mapping: ColumnMapping, translator: Translator): Converter | undefined {
  const settings = translator.typeConversion ? translator.typeConversionSettings : {
    allowDataTruncation: false, treatBooleanAsNumber: false,
  };
  return compileConverter({ source: mapping.source, sink: mapping.sink, settings });
}

/** Name of a column (from 0), as mappings may call it. */
export function sourceColumnName(source: SourceColumns, index: number): string {
  const { names, added = [], count } = source;
  return names?.[index] ?? added[index - count + added.length] ?? defaultColumnName(index);
}

function inSinkOrder(mappings: readonly ColumnMapping[]): readonly ColumnMapping[] {
  const ordinals = mappings.map((mapping) => mapping.sink.ordinal);
  if (ordinals.every((ordinal) => ordinal === undefined)) return mappings;
  const sorted = mappings.toSorted((a, b) => (a.sink.ordinal ?? 0) - (b.sink.ordinal ?? 0));
  if (sorted.every((mapping, index) => mapping.sink.ordinal === index + 1)) return sorted;
  throw formatErrors.BAD_MAPPING.create({
    reason: `the sink's ordinals must be 1 to ${mappings.length}, each once; they are ${ordinals.map((found) => found ?? '?').join(', ')}`,
  });
}

function findColumn(ref: ColumnRef, source: SourceColumns, fileName: string): number {
  if (ref.name !== undefined && (source.names !== undefined || ref.ordinal === undefined)) {
    return findSourceColumn(ref.name, source, fileName);
  }
  const ordinal = ref.ordinal ?? 0;
  if (ordinal >= 1 && ordinal <= source.count) return ordinal - 1;
  throw formatErrors.COLUMN_NOT_FOUND.create({
    column: `number ${ordinal}`, file: fileName, reason: `the file has ${source.count} columns`, hint: 'Ordinals count from 1.',
  });
}

/** Index of the column of this name; throws `COLUMN_NOT_FOUND`. */
export function findSourceColumn(name: string, source: SourceColumns, fileName: string): number {
  if (source.names === undefined) {
    const { added = [], count } = source;
    if (added.includes(name)) return count - added.length + added.indexOf(name);
    const index = Number(/^Prop_(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (index < source.count) return index;
    throw formatErrors.COLUMN_NOT_FOUND.create({
      column: name, file: fileName, reason: 'the source dataset has no header',
      hint: 'Give the ordinal of the source column (from 1), or set firstRowAsHeader.',
    });
  }
  const index = source.names.indexOf(name);
  if (index >= 0 && source.names.indexOf(name, index + 1) < 0) return index;
  if (index >= 0) {
    throw formatErrors.COLUMN_NOT_FOUND.create({
      column: name, file: fileName, reason: 'its header names this column twice', hint: 'Give the ordinal instead of the name.',
    });
  }
  const near = source.names.find((other) => other.trim().toLowerCase() === name.trim().toLowerCase());
  const listed = source.names.slice(0, 20).map((other) => JSON.stringify(other.slice(0, 60))).join(', ');
  throw formatErrors.COLUMN_NOT_FOUND.create({
    column: name, file: fileName, reason: 'its header has no such column',
    hint: near === undefined
      ? `The columns are ${listed}${source.names.length > 20 ? ' …' : ''}.`
      : `Did you mean ${JSON.stringify(near.slice(0, 60))}? Names are compared with case and spaces.`,
  });
}
