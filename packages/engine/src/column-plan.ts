import { compileMapping, isConvertible, type SourceColumns, sourceColumnName } from '@dmg/formats';
import type { ColumnMapping, ColumnRef, HeldDigits, InterimType, TableColumn, Translator, TypeConversionSettings } from '@dmg/model';
import { columnScale, readsServerText } from './column-scale.ts';
import { engineErrors } from './errors.ts';

/** What is known of the columns of one source. */
export interface SourceShape extends SourceColumns {
  /** For errors. */
  readonly path: string;
  /** Where the source is a table: its columns. */
  readonly columns?: readonly TableColumn[];
}

export interface TargetShape {
  /** Name of the table. */
  readonly path: string;
  /** Its columns, in its order; undefined: there is no such table, and it is to be created. */
  readonly columns: readonly TableColumn[] | undefined;
}

/**
 * Which columns of a table the text carries, in order: what a plan keeps. With mappings, in their order, by name or ordinal of the
 * table; without, every source column by its name (the same name, else the only one that differs in case alone), or by position
 * where the source has no names. Whoever resumes needs nothing but this and the activity: column k belongs to mapping k, or to
 * source column k.
 */
export function planColumns(translator: Translator | undefined, source: SourceShape, target: TargetShape): readonly TableColumn[] {
  const mappings = translator?.mappings ?? [];
  const columns = mappings.length === 0 ? unmapped(source, target) : mappings.map((mapping) => mapped(mapping, source, target));
  const repeated = columns.find((column, index) => columns.some((other, at) => at < index && other.name === column.name));
  if (repeated !== undefined) {
    throw engineErrors.COLUMN_MAPPED_TWICE.create({ column: repeated.name, table: target.path, source: source.path });
  }
  // Finds the source's columns, or says which one is not there. An empty file has none to find.
  if (source.count > 0) compileMapping(tableTranslator(translator, { source: source.columns, sink: columns }), source, source.path);
  return columns;
}

function unmapped(source: SourceShape, target: TargetShape): readonly TableColumn[] {
  // Nothing will be copied: any columns that the table has will do.
  if (source.count === 0) return counted(target.columns ?? []);
  if (target.columns === undefined) return Array.from({ length: source.count }, (_, index) => createdFrom(source, index));
  const { columns: all } = target;
  if (source.names !== undefined) return source.names.map((name) => findSink({ name }, source, target, all));
  const columns = counted(all);
  if (source.count === columns.length) return columns;
  throw engineErrors.COLUMN_COUNTS_DIFFER.create({
    source: source.path, found: source.count, table: target.path, expected: columns.length, tableColumns: listed(columns),
  });
}

/** Columns that have a place of their own; the others are meant by name only. */
function counted(columns: readonly TableColumn[]): readonly TableColumn[] {
  return columns.filter((column) => column.numbered !== true);
}

function mapped(mapping: ColumnMapping, source: SourceShape, target: TargetShape): TableColumn {
  const { sink } = mapping;
  const sourceIndex = source.count === 0 ? -1 : indexOf(mapping.source, source);
  const ref = sink.name === undefined && sink.ordinal === undefined ? { name: sourceName(mapping.source, source) } : sink;
  if (target.columns !== undefined) return findSink(ref, source, target, target.columns);
  const created = sourceIndex < 0 ? undefined : createdFrom(source, sourceIndex);
  const name = ref.name ?? sourceName(mapping.source, source);
  if (sink.type === undefined || sink.type === created?.type) return { ...(created ?? textColumn(name)), name };
  return { name, type: sink.type, nullable: true };
}

/** A column of a table that is to be created: as the source has it, text where the source is a file. */
function createdFrom(source: SourceShape, index: number): TableColumn {
  const name = sourceColumnName(source, index);
  if (name === '') throw engineErrors.COLUMN_UNNAMED.create({ source: source.path, ordinal: index + 1 });
  return source.columns?.[index] ?? textColumn(name);
}

function textColumn(name: string): TableColumn {
  return { name, type: 'String', nullable: true };
}

function sourceName(ref: ColumnRef, source: SourceShape): string {
  const index = (ref.ordinal ?? 1) - 1;
  return ref.name ?? sourceColumnName(source, index);
}

/** Index of a source column that a mapping names; -1 where only `compileMapping` can say what is wrong with it. */
function indexOf(ref: ColumnRef, source: SourceShape): number {
  if (ref.name !== undefined && source.names !== undefined) return source.names.indexOf(ref.name);
  const added = ref.name === undefined ? -1 : (source.added ?? []).indexOf(ref.name);
  if (added >= 0) return source.count - (source.added ?? []).length + added;
  return (ref.ordinal ?? 0) - 1 < source.count ? (ref.ordinal ?? 0) - 1 : -1;
}

function findSink(ref: ColumnRef, source: SourceShape, target: TargetShape, columns: readonly TableColumn[]): TableColumn {
  const fail = (column: string, reason: string): Error => engineErrors.COLUMN_NOT_IN_TABLE.create({
    column, source: source.path, table: target.path, reason, tableColumns: listed(columns), sourceColumns: sourceListed(source),
  });
  const { name } = ref;
  if (name === undefined) {
    const found = counted(columns)[(ref.ordinal ?? 0) - 1];
    if (found === undefined) throw fail(`number ${ref.ordinal ?? '?'}`, `the table has ${counted(columns).length} columns`);
    return found;
  }
  const exact = columns.find((column) => column.name === name);
  if (exact !== undefined) return exact;
  const near = columns.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  const [only] = near;
  if (only === undefined) throw fail(name, 'the table has no such column that can be written');
  if (near.length > 1) throw fail(name, `the names ${listed(near)} differ from it in case only`);
  return only;
}

const shownColumns = 20;

function listed(columns: readonly { readonly name: string }[]): string {
  const names = columns.slice(0, shownColumns).map((column) => column.name.slice(0, 60));
  return names.join(', ') + (columns.length > shownColumns ? ' …' : '');
}

function sourceListed(source: SourceShape): string {
  return source.names === undefined ? `${source.count} without names` : listed(source.names.map((name) => ({ name })));
}

/** Types whose text is the same in every store, so that nothing is converted where both ends have one of them. */
const wholeTypes: readonly InterimType[] = ['Byte', 'SByte', 'Int16', 'UInt16', 'Int32', 'UInt32', 'Int64', 'UInt64'];
const plainTypes: readonly InterimType[] = ['String', 'Guid', ...wholeTypes];

/**
 * The mapping as a transcoder or a server carries it out, where one end is a table or both. A value is converted only where the
 * activity says how (a type or a format in the mapping, or a format in the conversion settings): a server reads and writes the
 * text of its own types better than anybody else. `sink`: the columns of the plan. Undefined: all columns in their order, unchanged.
 */
export function tableTranslator(
  translator: Translator | undefined,
  ends: { source: readonly TableColumn[] | undefined; sink: readonly TableColumn[] | undefined },
): Translator | undefined {
  const settings = translator?.typeConversion === true ? translator.typeConversionSettings : undefined;
  const explicit = translator?.mappings ?? [];
  const mappings: readonly ColumnMapping[] = explicit.length > 0 ? explicit
    : (ends.sink ?? ends.source ?? []).map((_, index) => ({ source: { ordinal: index + 1 }, sink: {} }));
  const names = ends.source?.map((column) => column.name);
  const effective = mappings.map((mapping, index): ColumnMapping => {
    const { name, ordinal } = mapping.source;
    const sourceColumn = ends.source?.[names === undefined || name === undefined ? (ordinal ?? 0) - 1 : names.indexOf(name)];
    const sinkColumn = ends.sink?.[index];
    const typed = withTypes(mapping, { sourceColumn, sinkColumn, settings });
    if (sinkColumn === undefined) return typed;
    return { source: typed.source, sink: { ...withoutOrdinal(typed.sink), name: sinkColumn.name } };
  });
  const converts = effective.some(({ source, sink }) => [source.type, sink.type, sink.held].some((asked) => asked !== undefined));
  if (explicit.length === 0 && !converts) return undefined;
  const { allowDataTruncation, treatBooleanAsNumber, culture } = translator?.typeConversionSettings ?? noSettings;
  return {
    mappings: effective,
    typeConversion: translator?.typeConversion ?? false,
    typeConversionSettings: { allowDataTruncation, treatBooleanAsNumber, ...(culture === undefined ? {} : { culture }) },
  };
}

/** Ordinals of a table count its columns, those of a mapping what it writes. */
function withoutOrdinal({ type, format, culture, text, scale, held }: ColumnRef): ColumnRef {
  return {
    ...(type === undefined ? {} : { type }),
    ...(format === undefined ? {} : { format }),
    ...(culture === undefined ? {} : { culture }),
    ...(text === undefined ? {} : { text }),
    ...(scale === undefined ? {} : { scale }),
    ...(held === undefined ? {} : { held }),
  };
}

const noSettings: TypeConversionSettings = { allowDataTruncation: false, treatBooleanAsNumber: false };

interface Ends {
  readonly sourceColumn: TableColumn | undefined;
  readonly sinkColumn: TableColumn | undefined;
  readonly settings: TypeConversionSettings | undefined;
}

/** The references of one mapping with the types and formats that hold for it. */
function withTypes(mapping: ColumnMapping, ends: Ends): ColumnMapping {
  const { sourceColumn, sinkColumn } = ends;
  const { type: sourceType, ...source } = mapping.source;
  const { type: sinkType, ...sink } = mapping.sink;
  const given = { source: sourceType, sink: sinkType };
  const scale = strictScale(ends);
  const held = heldDigits(ends);
  const checked = held === undefined ? sink : { ...sink, held };
  if (scale === undefined && isCarried(mapping, ends)) return { source, sink: checked };
  // Formats of the settings are for the text of a file: a table's end writes and reads its own.
  const read = sourceColumn === undefined ? source.format ?? formatFor(ends.settings, sinkType ?? sinkColumn?.type) : source.format;
  const write = sinkColumn === undefined ? sink.format ?? formatFor(ends.settings, sourceType ?? sourceColumn?.type) : sink.format;
  const asNumber = sourceColumn?.type === 'Boolean' && sinkColumn === undefined && ends.settings?.treatBooleanAsNumber === true;
  if (read !== undefined || write !== undefined || asNumber || scale !== undefined) {
    given.source ??= sourceColumn?.type;
    given.sink ??= sinkColumn?.type;
  }
  // A server's text is that of its column's type; as String it may stay what it is.
  if (given.sink !== undefined && given.sink !== 'String') given.source ??= sourceColumn?.type;
  const typed = given.source !== undefined || given.sink !== undefined;
  if (!typed && read === undefined && write === undefined) return { source, sink: checked };
  return {
    source: {
      ...source, ...(given.source === undefined ? {} : { type: given.source }), ...(read === undefined ? {} : { format: read }),
      ...(typed && sourceColumn?.type === 'Byte[]' ? { text: 'server' } : {}),
    },
    sink: {
      ...sink, ...(given.sink === undefined ? {} : { type: given.sink }), ...(write === undefined ? {} : { format: write }),
      ...(typed && readsServerText(sinkColumn) ? { text: 'server' } : {}), ...(scale === undefined ? {} : { scale }),
    },
  };
}

/**
 * Digits that text may have which goes to the sink's server as it stands: without conversion settings nothing may be cut off either. A
 * source column that holds no more needs no look at its text.
 */
function heldDigits({ sourceColumn, sinkColumn, settings }: Ends): HeldDigits | undefined {
  if (settings !== undefined || sinkColumn === undefined) return undefined;
  const scale = columnScale(sinkColumn);
  if (scale === undefined) return undefined;
  if (sourceColumn !== undefined) {
    if (wholeTypes.includes(sourceColumn.type) && scale >= 0) return undefined;
    const most = sourceColumn.type === 'String' ? Infinity : columnScale(sourceColumn) ?? Infinity;
    if (sourceColumn.nativeType === sinkColumn.nativeType || most <= scale) return undefined;
  }
  return { of: sinkColumn.type === 'Decimal' ? 'number' : 'time', scale };
}

/** Scale that values are held to: where nothing may be cut off, and the sink's server would do it without a word. */
function strictScale({ sourceColumn, sinkColumn, settings }: Ends): number | undefined {
  if (settings === undefined || settings.allowDataTruncation || sinkColumn === undefined) return undefined;
  if (sourceColumn?.nativeType !== undefined && sourceColumn.nativeType === sinkColumn.nativeType) return undefined;
  if (sourceColumn !== undefined && !isConvertible(sourceColumn.type, sinkColumn.type)) return undefined;
  return columnScale(sinkColumn);
}

/** True where the types that a mapping names ask for nothing: they are those of the columns, whose text both ends understand. */
function isCarried({ source, sink }: ColumnMapping, { sourceColumn, sinkColumn }: Ends): boolean {
  if ((source.type === undefined && sink.type === undefined) || source.format !== undefined || sink.format !== undefined) return false;
  if (sourceColumn === undefined || (source.type ?? sourceColumn.type) !== sourceColumn.type) return false;
  if (sinkColumn !== undefined) {
    const alike = sinkColumn.type === sourceColumn.type || [sinkColumn, sourceColumn].every(({ type }) => plainTypes.includes(type));
    return alike && (sink.type ?? sinkColumn.type) === sinkColumn.type;
  }
  return plainTypes.includes(sourceColumn.type) && [sourceColumn.type, 'String', undefined].includes(sink.type);
}

function formatFor(settings: TypeConversionSettings | undefined, type: InterimType | undefined): string | undefined {
  switch (type) {
    case 'DateTime': return settings?.dateTimeFormat;
    case 'DateTimeOffset': return settings?.dateTimeOffsetFormat;
    case 'TimeSpan': return settings?.timeSpanFormat;
    default: return undefined;
  }
}
