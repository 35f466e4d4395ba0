import {
  type ColumnMapping, type ColumnRef, type InterimType, interimTypes, type JsonObject, type JsonValue, type Translator,
  type TypeConversionSettings,
} from '@dmg/model';
import { shown } from './findings.ts';
import { propertyOfPath } from './json-format.ts';
import { isObject, kindOf, type ObjectReader, propertyOf, type Taken, valueOr } from './object-reader.ts';
import { hint } from './suggestion.ts';

/** Older spellings of interim types. */
const typeAliases: Readonly<Record<string, InterimType>> = {
  bool: 'Boolean', bytearray: 'Byte[]', float: 'Double', int: 'Int32', long: 'Int64', short: 'Int16',
};

/** A translator as given. */
export interface TranslatorProperties {
  readonly translator: Translator;
  /** Path of an array in JSON objects of which each element is a row. */
  readonly collectionReference: string | undefined;
  /** Where paths were given, which only JSON has. */
  readonly pathsOf: { readonly source: boolean; readonly sink: boolean };
}

/** Reads a `TabularTranslator` with `mappings`, or the older `columnMappings` and `schemaMapping`. */
export function readTranslator(reader: ObjectReader): TranslatorProperties | undefined {
  if (reader.type(['TabularTranslator']) === undefined) return undefined;
  const explicit = readMappings(reader);
  const byColumn = readColumnMappings(reader);
  const bySchema = readSchemaMapping(reader);
  const given = [explicit, byColumn, bySchema].filter((mappings) => mappings !== undefined);
  if (given.length > 1) reader.findings.problem(reader.path, 'gives more than one of mappings, columnMappings and schemaMapping');
  const collection = reader.string('collectionReference');
  // Nested values are written as their JSON text in any case.
  reader.allow('mapComplexValuesToString');
  const typeConversion = valueOr(reader.boolean('typeConversion'), false);
  const typeConversionSettings = readSettings(reader.object('typeConversionSettings'));
  reader.finish();
  const mappings = given[0] ?? [];
  checkMappings(mappings, reader);
  return {
    translator: { mappings, typeConversion, typeConversionSettings },
    collectionReference: collection.state === 'given' && collection.value !== '' ? collection.value : undefined,
    pathsOf: { source: hasPaths(reader, 'source'), sink: hasPaths(reader, 'sink') },
  };
}

function hasPaths(reader: ObjectReader, side: 'source' | 'sink'): boolean {
  const mappings = reader.raw('mappings');
  const inMappings = Array.isArray(mappings) && (mappings as readonly JsonValue[]).some((mapping) => {
    const column = isObject(mapping) ? propertyOf(mapping, side) : undefined;
    return isObject(column) && propertyOf(column, 'path') !== undefined;
  });
  const schema = reader.raw('schemaMapping');
  return inMappings || (side === 'source' && isObject(schema) && Object.keys(schema).some((key) => key.trim().startsWith('$')));
}

function readMappings(reader: ObjectReader): ColumnMapping[] | undefined {
  if (reader.raw('mappings') === undefined) return undefined;
  return reader.objects('mappings').map((mapping) => {
    const source = readColumn(mapping.object('source', true), 'source');
    const sink = readColumn(mapping.object('sink', true), 'sink');
    mapping.finish();
    return { source, sink };
  });
}

function readColumn(reader: ObjectReader | undefined, side: 'source' | 'sink'): ColumnRef {
  if (reader === undefined) return {};
  const name = readName(reader, side);
  const ordinal = reader.integer('ordinal', { minimum: 1 });
  const format = reader.string('format');
  const culture = reader.string('culture');
  reader.allow('physicalType', 'scale', 'precision', 'length');
  const type = readType(reader);
  reader.finish();
  if (name.state === 'absent' && ordinal.state === 'absent') reader.findings.problem(reader.path, 'gives none of name, path and ordinal');
  return {
    ...(name.state === 'given' ? { name: name.value } : {}),
    ...(ordinal.state === 'given' ? { ordinal: ordinal.value } : {}),
    ...(type === undefined ? {} : { type }),
    ...(format.state === 'given' && format.value !== '' ? { format: format.value } : {}),
    ...(culture.state === 'given' && culture.value !== '' ? { culture: culture.value } : {}),
  };
}

/** A column by its name, or by its path in a JSON object: names of sources may be paths, those of sinks are properties. */
function readName(reader: ObjectReader, side: 'source' | 'sink'): Taken<string> {
  const name = reader.string('name');
  const path = reader.string('path');
  if (path.state === 'absent' || (path.state === 'given' && path.value === '')) return name;
  if (name.state !== 'absent') reader.findings.problem(reader.at('path'), 'cannot stand beside name; give one of the two');
  if (path.state !== 'given' || side === 'source') return path;
  const property = propertyOfPath(path.value);
  if (property !== undefined) return { state: 'given', value: property };
  reader.findings.problem(reader.at('path'), `is ${shown(path.value)}, and no nested objects are written; name a property, such as $['a']`);
  return { state: 'bad' };
}

function readType(reader: ObjectReader): InterimType | undefined {
  const taken = reader.string('type');
  if (taken.state !== 'given' || taken.value === '') return undefined;
  const folded = taken.value.trim().toLowerCase();
  const found = interimTypes.find((type) => type.toLowerCase() === folded) ?? (
    Object.hasOwn(typeAliases, folded) ? typeAliases[folded] : undefined
  );
  if (found === undefined) {
    reader.findings.problem(
      reader.at('type'), `is "${shown(taken.value)}"; allowed are ${interimTypes.join(', ')}${hint(taken.value, interimTypes)}`,
    );
  }
  return found;
}

/** `"A: X, B: Y"`, or `{ "A": "X" }`. */
function readColumnMappings(reader: ObjectReader): ColumnMapping[] | undefined {
  const raw = reader.raw('columnMappings');
  const path = reader.at('columnMappings');
  if (raw === undefined || raw === '') return undefined;
  if (isObject(raw)) return readNamePairs(raw, path, reader);
  if (typeof raw !== 'string') {
    reader.findings.problem(path, `must be a string such as "A: X, B: Y" or an object, not ${kindOf(raw)}`);
    return [];
  }
  return raw.split(',').filter((part) => part.trim() !== '').flatMap((part) => {
    const [source = '', sink = '', ...rest] = part.split(':').map((name) => name.trim());
    if (source !== '' && sink !== '' && rest.length === 0) return [{ source: { name: source }, sink: { name: sink } }];
    reader.findings.problem(path, `holds "${shown(part.trim())}", which is not of the form source: sink`);
    return [];
  });
}

function readSchemaMapping(reader: ObjectReader): ColumnMapping[] | undefined {
  const raw = reader.raw('schemaMapping');
  if (reader.object('schemaMapping') === undefined || !isObject(raw)) return undefined;
  return readNamePairs(raw, reader.at('schemaMapping'), reader);
}

function readNamePairs(pairs: JsonObject, path: string, reader: ObjectReader): ColumnMapping[] {
  return Object.entries(pairs).flatMap(([source, sink]) => {
    if (typeof sink === 'string' && sink !== '') return [{ source: { name: source }, sink: { name: sink } }];
    reader.findings.problem(`${path}.${shown(source)}`, `must be the name of a sink column, not ${sink === '' ? 'empty' : kindOf(sink)}`);
    return [];
  });
}

/** Truncation is allowed by default, as in the product; it applies only with `typeConversion: true`. */
function readSettings(reader: ObjectReader | undefined): TypeConversionSettings {
  if (reader === undefined) return { allowDataTruncation: true, treatBooleanAsNumber: false };
  const text = (name: 'dateTimeFormat' | 'dateTimeOffsetFormat' | 'timeSpanFormat' | 'culture'): object => {
    const taken = reader.string(name);
    return taken.state === 'given' && taken.value !== '' ? { [name]: taken.value } : {};
  };
  const settings = {
    allowDataTruncation: valueOr(reader.boolean('allowDataTruncation'), true),
    treatBooleanAsNumber: valueOr(reader.boolean('treatBooleanAsNumber'), false),
    ...text('dateTimeFormat'), ...text('dateTimeOffsetFormat'), ...text('timeSpanFormat'), ...text('culture'),
  };
  reader.allow('dateFormat', 'timeFormat');
  reader.finish();
  return settings;
}

function checkMappings(mappings: readonly ColumnMapping[], reader: ObjectReader): void {
  const path = reader.at('mappings');
  const sinkNames = mappings.flatMap(({ sink }) => sink.name ?? []);
  const repeated = sinkNames.find((name, index) => sinkNames.indexOf(name) !== index);
  if (repeated !== undefined) reader.findings.problem(path, `map two columns to the sink's ${shown(repeated)}`);
  const ordinals = mappings.flatMap(({ sink }) => sink.ordinal ?? []);
  if (ordinals.length === 0) return;
  const complete = ordinals.length === mappings.length && ordinals.toSorted((a, b) => a - b).every(
    (ordinal, index) => ordinal === index + 1,
  );
  if (!complete) reader.findings.problem(path, `must give the sink's ordinals 1 to ${mappings.length}, each once, or none at all`);
}
