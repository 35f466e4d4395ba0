import {
  type ColumnMapping, type ColumnRef, type InterimType, interimTypes, type JsonObject, type Translator, type TypeConversionSettings,
} from '@dmg/model';
import { shown } from './findings.ts';
import { isObject, kindOf, type ObjectReader, valueOr } from './object-reader.ts';
import { hint } from './suggestion.ts';

/** Older spellings of interim types. */
const typeAliases: Readonly<Record<string, InterimType>> = {
  bool: 'Boolean', bytearray: 'Byte[]', float: 'Double', int: 'Int32', long: 'Int64', short: 'Int16',
};

/** Reads a `TabularTranslator` with `mappings`, or the older `columnMappings` and `schemaMapping`. */
export function readTranslator(reader: ObjectReader): Translator | undefined {
  if (reader.type(['TabularTranslator']) === undefined) return undefined;
  const explicit = readMappings(reader);
  const byColumn = readColumnMappings(reader);
  const bySchema = readSchemaMapping(reader);
  const given = [explicit, byColumn, bySchema].filter((mappings) => mappings !== undefined);
  if (given.length > 1) reader.findings.problem(reader.path, 'gives more than one of mappings, columnMappings and schemaMapping');
  reader.refuse(['collectionReference', 'mapComplexValuesToString'], 'nested data is not supported');
  const typeConversion = valueOr(reader.boolean('typeConversion'), false);
  const typeConversionSettings = readSettings(reader.object('typeConversionSettings'));
  reader.finish();
  const mappings = given[0] ?? [];
  checkMappings(mappings, reader);
  return { mappings, typeConversion, typeConversionSettings };
}

function readMappings(reader: ObjectReader): ColumnMapping[] | undefined {
  if (reader.raw('mappings') === undefined) return undefined;
  return reader.objects('mappings').map((mapping) => {
    const source = readColumn(mapping.object('source', true));
    const sink = readColumn(mapping.object('sink', true));
    mapping.finish();
    return { source, sink };
  });
}

function readColumn(reader: ObjectReader | undefined): ColumnRef {
  if (reader === undefined) return {};
  const name = reader.string('name');
  const ordinal = reader.integer('ordinal', { minimum: 1 });
  const format = reader.string('format');
  const culture = reader.string('culture');
  reader.refuse(['path'], 'paths belong to nested data; give name or ordinal');
  reader.allow('physicalType', 'scale', 'precision', 'length');
  const type = readType(reader);
  reader.finish();
  if (name.state === 'absent' && ordinal.state === 'absent') reader.findings.problem(reader.path, 'gives neither name nor ordinal');
  return {
    ...(name.state === 'given' ? { name: name.value } : {}),
    ...(ordinal.state === 'given' ? { ordinal: ordinal.value } : {}),
    ...(type === undefined ? {} : { type }),
    ...(format.state === 'given' && format.value !== '' ? { format: format.value } : {}),
    ...(culture.state === 'given' && culture.value !== '' ? { culture: culture.value } : {}),
  };
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
  if (Object.keys(raw).some((key) => key.trim().startsWith('$'))) {
    reader.findings.problem(reader.at('schemaMapping'), 'holds a JSON path, and nested data is not supported; give column names');
    return [];
  }
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
