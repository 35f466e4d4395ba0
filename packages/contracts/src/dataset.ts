import {
  type BinaryFormat, type ConnectorSpec, type DataFormat, type DelimitedTextFormat, type JsonObject, type JsonValue, textEncodingNames,
} from '@dmg/model';
import { readCompression, readCompressionCodec } from './compression.ts';
import { openDefinition, readParameters, readReference, unboundParameters } from './definition.ts';
import { isExpression, type Scope } from './expression.ts';
import { Findings } from './findings.ts';
import { readJson } from './json-format.ts';
import { isObject, ObjectReader, propertyOf, valueOr } from './object-reader.ts';
import { findSpec, readSpecProperties, readSpecType, type SpecMatch, specTypes } from './spec-object.ts';
import type { Dataset, Parsed } from './types.ts';

/** Datasets of files. Those of tables come with the connectors' specs. */
const fileDatasetTypes = ['Binary', 'DelimitedText', 'Json'] as const;

/** What a dataset's `typeProperties` say once expressions are evaluated. */
export interface DatasetContent {
  /** `ConnectorSpec.name` of the location. */
  readonly connector: string;
  /** Type of the location, or of the dataset itself where it is a table. */
  readonly locationType: string;
  readonly location: JsonObject;
  readonly format: DataFormat;
}

/** Reads a dataset. Expressions are checked and kept. Throws one `DMG_CONTRACTS_INVALID_DEFINITION` that names all that is wrong. */
export function parseDataset(name: string, json: JsonValue, specs: readonly ConnectorSpec[]): Parsed<Dataset> {
  const findings = new Findings();
  const definition = openDefinition(name, json, findings);
  const value = definition === undefined ? undefined : readDataset(name, definition.json, definition.properties, specs);
  findings.throwIfFailed('dataset', name);
  if (value === undefined) throw new TypeError('a definition without problems has a value');
  return { value, warnings: findings.warnings };
}

function readDataset(name: string, json: JsonObject, properties: ObjectReader, specs: readonly ConnectorSpec[]): Dataset | undefined {
  const type = properties.type([...fileDatasetTypes, ...specTypes(specs, 'datasets')]);
  const linkedServiceReader = properties.object('linkedServiceName', true);
  linkedServiceReader?.refuse(['parameters'], 'linked services take no parameters here');
  const linkedService = readReference(linkedServiceReader, 'LinkedServiceReference');
  const parameters = readParameters(properties);
  properties.allow('description', 'annotations', 'folder', 'schema', 'structure');
  const typeProperties = properties.raw('typeProperties');
  const present = properties.object('typeProperties', true);
  properties.finish();
  if (type === undefined || linkedService === undefined || present === undefined || !isObject(typeProperties)) return undefined;
  const scope: Scope = { kind: 'dataset', parameters: unboundParameters(parameters), facts: {} };
  readDatasetContent(type, new ObjectReader(typeProperties, 'properties.typeProperties', properties.findings, scope), specs);
  return { name, type, linkedServiceName: linkedService.referenceName, parameters, json };
}

/** Reads `typeProperties`. With expressions still in them the result is incomplete and serves the checks only. */
export function readDatasetContent(type: string, reader: ObjectReader, specs: readonly ConnectorSpec[]): DatasetContent | undefined {
  const table = findSpec(specs, 'datasets', type);
  if (table !== undefined) return readTable(reader, table);
  const format = type === 'Binary' ? readBinary(reader) : type === 'Json' ? readJson(reader) : readDelimitedText(reader);
  const location = reader.object('location', true);
  reader.finish();
  const match = location === undefined ? undefined : readSpecType(location, specs, 'locations');
  if (location === undefined || match === undefined) return undefined;
  const values = readSpecProperties(location, match.object);
  location.finish();
  checkPath(location, values);
  return { connector: match.connector.name, locationType: match.object.type, location: values, format };
}

function readTable(reader: ObjectReader, { connector, object }: SpecMatch): DatasetContent {
  const { tableName, ...named } = readSpecProperties(reader, object);
  reader.finish();
  const given = (name: string): boolean => reader.raw(name) !== undefined && reader.raw(name) !== '';
  if (given('table') && given('tableName')) reader.findings.warn(reader.at('tableName'), 'has no effect: table is given');
  if (given('schema') && !given('table') && typeof tableName === 'string' && tableName.includes('.')) {
    reader.findings.problem(reader.at('schema'), 'stands beside a tableName that holds a schema itself; give schema and table');
  }
  for (const name of ['schema', 'table', 'tableName']) {
    const value = reader.raw(name);
    if (typeof value === 'string' && value.includes('\0')) reader.findings.problem(reader.at(name), 'holds a zero character');
  }
  const location = tableName === undefined || given('table') ? named : { ...named, tableName };
  return { connector: connector.name, locationType: object.type, location, format: { type: 'Table' } };
}

/** The user's `typeProperties` of a dataset that was parsed before. */
export function typePropertiesOf(json: JsonObject): JsonObject {
  const properties = propertyOf(json, 'properties');
  const typeProperties = isObject(properties) ? propertyOf(properties, 'typeProperties') : undefined;
  return isObject(typeProperties) ? typeProperties : {};
}

function checkPath(reader: ObjectReader, location: JsonObject): void {
  for (const name of ['folderPath', 'fileName']) {
    const value = location[name];
    if (typeof value !== 'string') continue;
    if (value.split(/[/\\]/).includes('..')) {
      reader.findings.problem(
        reader.at(name), 'holds a .. part; paths stay below the linked service',
      );
    }
    if (value.includes('\0')) reader.findings.problem(reader.at(name), 'holds a zero character');
  }
  const fileName = location.fileName;
  if (typeof fileName === 'string' && fileName.includes('/')) {
    reader.findings.problem(reader.at('fileName'), 'holds a slash; folders belong into folderPath');
  }
}

function readBinary(reader: ObjectReader): BinaryFormat {
  const compression = readCompression(reader);
  return { type: 'Binary', ...(compression === undefined ? {} : { compression }) };
}

function readDelimitedText(reader: ObjectReader): DelimitedTextFormat {
  const compression = readCompressionCodec(reader);
  const columnDelimiter = valueOr(reader.string('columnDelimiter'), ',');
  const rowDelimiter = valueOr(reader.string('rowDelimiter'), '');
  const quoteChar = readCharacter(reader, 'quoteChar', '"');
  const escapeChar = readCharacter(reader, 'escapeChar', '\\');
  if (columnDelimiter === '') reader.findings.problem(reader.at('columnDelimiter'), 'is empty; it must be one character or more');
  const encodingName = reader.string('encodingName', { values: ['', ...textEncodingNames] });
  const isMultiline = valueOr(reader.boolean('multilineRows'), true);
  const deferred = ['columnDelimiter', 'rowDelimiter', 'quoteChar', 'escapeChar'].some((name) => isExpression(reader.raw(name) ?? null));
  if (reader.scope === undefined || !deferred) checkDelimiters(reader, { columnDelimiter, rowDelimiter, quoteChar, escapeChar });
  return {
    type: 'DelimitedText',
    columnDelimiter, rowDelimiter, quoteChar, escapeChar,
    firstRowAsHeader: valueOr(reader.boolean('firstRowAsHeader'), false),
    nullValue: valueOr(reader.string('nullValue'), ''),
    encodingName: valueOr(encodingName, '') || 'UTF-8',
    skipLineCount: 0,
    quoteAllText: false,
    ...(isMultiline ? {} : { multilineRows: false }),
    ...(compression === undefined ? {} : { compression }),
  };
}

function readCharacter(reader: ObjectReader, name: string, otherwise: string): string {
  const taken = reader.string(name);
  if (taken.state !== 'given' || taken.value === '') return valueOr(taken, otherwise);
  if (taken.value.length === 1 && taken.value.charCodeAt(0) <= 0x7f) return taken.value;
  reader.findings.problem(reader.at(name), 'must be one ASCII character, or empty for none');
  return otherwise;
}

type Characters = Pick<DelimitedTextFormat, 'columnDelimiter' | 'rowDelimiter' | 'quoteChar' | 'escapeChar'>;

function checkDelimiters(reader: ObjectReader, format: Characters): void {
  for (const delimiter of ['columnDelimiter', 'rowDelimiter'] as const) {
    for (const special of ['quoteChar', 'escapeChar'] as const) {
      if (format[special] !== '' && format[delimiter].includes(format[special])) {
        reader.findings.problem(reader.at(delimiter), `holds the ${special} ${JSON.stringify(format[special])}; they must differ`);
      }
    }
  }
  const rows = format.rowDelimiter === '' ? ['\r', '\n'] : [format.rowDelimiter];
  if (
    format.columnDelimiter !== '' && rows.some((row) => row.startsWith(format.columnDelimiter) || format.columnDelimiter.startsWith(row))
  ) {
    reader.findings.problem(reader.at('columnDelimiter'), 'begins like the rowDelimiter; they must differ');
  }
}
