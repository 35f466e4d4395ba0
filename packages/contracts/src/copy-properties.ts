import type { AdditionalColumn, ConnectorSpec, DataFormat, JsonFormat, JsonObject } from '@dmg/model';
import { readAdditionalColumns } from './additional-columns.ts';
import { readArchiveFolders } from './compression.ts';
import { readFilePattern } from './json-format.ts';
import { type LogProperties, readLogProperties } from './log-properties.ts';
import { type ObjectReader, valueOr } from './object-reader.ts';
import { readSkipFiles, type SkipFilesProperties } from './skip-files.ts';
import {
  findSpec, readSpecProperties, readSpecType, type SpecMatch, specObjects, type SpecPart, specTypes,
} from './spec-object.ts';
import { readTranslator, type TranslatorProperties } from './translator.ts';

/** Settings of one end as given: `storeSettings`, or those of a table source or sink itself. */
export interface StoreSettings {
  readonly connector: string;
  readonly type: string;
  readonly values: JsonObject;
  readonly path: string;
}

type FormatName = DataFormat['type'];

export interface SourceProperties {
  /** In the spelling of the spec: `DelimitedTextSource`, `PostgreSqlSource`. */
  readonly type: string;
  readonly format: FormatName;
  /** Undefined where the user gave no store settings. */
  readonly store: StoreSettings | undefined;
  readonly skipLineCount: number;
  readonly additionalColumns: readonly AdditionalColumn[];
  /** Files of an archive keep its name as their folder; undefined: nothing was said of it. */
  readonly archiveFolders: boolean | undefined;
}

export interface SinkProperties {
  readonly type: string;
  readonly format: FormatName;
  readonly store: StoreSettings | undefined;
  readonly quoteAllText: boolean;
  /** With its dot; undefined: none given. */
  readonly fileExtension: string | undefined;
  /** How objects of JSON are written. */
  readonly filePattern: JsonFormat['filePattern'];
}

/** `typeProperties` of a Copy activity. */
export interface CopyProperties {
  readonly source: SourceProperties | undefined;
  readonly sink: SinkProperties | undefined;
  readonly translator: TranslatorProperties | undefined;
  readonly parallelCopies: number;
  readonly validateDataConsistency: boolean;
  readonly skipIncompatibleRows: boolean;
  readonly skipFiles: SkipFilesProperties | undefined;
  readonly log: LogProperties | undefined;
}

export function readCopyProperties(reader: ObjectReader, specs: readonly ConnectorSpec[]): CopyProperties {
  const source = readSource(reader.object('source', true), specs);
  const sink = readSink(reader.object('sink', true), specs);
  const translatorReader = reader.object('translator');
  const translator = translatorReader === undefined ? undefined : readTranslator(translatorReader);
  const parallelCopies = valueOr(reader.integer('parallelCopies', { minimum: 1, maximum: 1024 }), 0);
  const validateDataConsistency = valueOr(reader.boolean('validateDataConsistency'), false);
  reader.ignore(['dataIntegrationUnits', 'cloudDataMovementUnits'], 'the gateway works with its own nodes');
  if (valueOr(reader.boolean('enableStaging'), false)) {
    reader.findings.problem(
      reader.at('enableStaging'), 'is not supported: staged copies are not built; leave it out',
    );
  }
  const skips = reader.boolean('enableSkipIncompatibleRow');
  const skipIncompatibleRows = valueOr(skips, false);
  if (skipIncompatibleRows && sink?.format === 'Binary') {
    reader.findings.warn(reader.at('enableSkipIncompatibleRow'), 'has no effect: Binary data has no rows');
  }
  reader.allow('stagingSettings');
  const skipFiles = readSkipFiles(reader);
  const log = readLogProperties(reader, skipIncompatibleRows || skips.state === 'deferred');
  reader.refuse(['preserve', 'preserveRules'], 'attributes and permissions are not carried over');
  reader.finish();
  if (translator !== undefined && translator.translator.mappings.length > 0 && sink?.format === 'Binary') {
    reader.findings.problem(reader.at('translator'), 'maps columns, but Binary data has none; use DelimitedText datasets');
  }
  return { source, sink, translator, parallelCopies, validateDataConsistency, skipIncompatibleRows, skipFiles, log };
}

const noRetryHere = 'transient errors of a store are always tried again; the policy of the activity counts further tries';

const sourceFormats: Readonly<Record<string, FormatName>> = {
  BinarySource: 'Binary', DelimitedTextSource: 'DelimitedText', JsonSource: 'Json',
};
const sinkFormats: Readonly<Record<string, FormatName>> = { BinarySink: 'Binary', DelimitedTextSink: 'DelimitedText', JsonSink: 'Json' };

function readSource(reader: ObjectReader | undefined, specs: readonly ConnectorSpec[]): SourceProperties | undefined {
  const type = reader?.type([...Object.keys(sourceFormats), ...specTypes(specs, 'sources')]);
  if (reader === undefined || type === undefined) return undefined;
  const additionalColumns = readAdded(reader, type, findSpec(specs, 'sources', type) !== undefined);
  reader.ignore(['sourceRetryCount', 'sourceRetryWait'], noRetryHere);
  reader.allow('disableMetricsCollection');
  const table = findSpec(specs, 'sources', type);
  if (table !== undefined) {
    const store = readTableEnd(reader, table);
    return { type, format: 'Table', store, skipLineCount: 0, additionalColumns, archiveFolders: undefined };
  }
  const format = sourceFormats[type] ?? 'DelimitedText';
  const store = readStore(reader, 'readSettings', specs);
  const settings = reader.object('formatSettings');
  let skipLineCount = 0;
  let archiveFolders: boolean | undefined;
  if (settings !== undefined) {
    settings.type([`${format}ReadSettings`]);
    archiveFolders = readArchiveFolders(settings);
    if (format === 'DelimitedText') skipLineCount = valueOr(settings.integer('skipLineCount', { minimum: 0 }), 0);
    settings.finish();
  }
  reader.ignore(['maxConcurrentConnections', 'recursive'], 'it belongs into storeSettings');
  reader.finish();
  return { type, format, store, skipLineCount, additionalColumns, archiveFolders };
}

function readAdded(reader: ObjectReader, type: string, isTable: boolean): readonly AdditionalColumn[] {
  if (type !== 'BinarySource') return readAdditionalColumns(reader, isTable ? 'table' : 'files');
  reader.refuse(['additionalColumns'], 'Binary data has no columns; use DelimitedText datasets');
  return [];
}

/** A source or sink of a table, which has its settings itself. */
function readTableEnd(reader: ObjectReader, { connector, object }: SpecMatch): StoreSettings {
  const values = readSpecProperties(reader, object);
  reader.ignore(['maxConcurrentConnections'], 'parallelCopies limits the connections of a copy');
  reader.finish();
  return { connector: connector.name, type: object.type, values, path: reader.path };
}

function readSink(reader: ObjectReader | undefined, specs: readonly ConnectorSpec[]): SinkProperties | undefined {
  const type = reader?.type([...Object.keys(sinkFormats), ...specTypes(specs, 'sinks')]);
  if (reader === undefined || type === undefined) return undefined;
  reader.ignore(['sinkRetryCount', 'sinkRetryWait'], noRetryHere);
  reader.allow('disableMetricsCollection');
  const table = findSpec(specs, 'sinks', type);
  if (table !== undefined) {
    const store = readTableEnd(reader, table);
    return { type, format: 'Table', store, quoteAllText: false, fileExtension: undefined, filePattern: undefined };
  }
  const format = sinkFormats[type] ?? 'DelimitedText';
  const store = readStore(reader, 'writeSettings', specs);
  const settings = format === 'Binary' ? undefined : reader.object('formatSettings');
  let quoteAllText = false;
  let filePattern: JsonFormat['filePattern'];
  let fileExtension: string | undefined;
  if (settings !== undefined) {
    settings.type([`${format}WriteSettings`]);
    if (format === 'DelimitedText') quoteAllText = valueOr(settings.boolean('quoteAllText'), false);
    else filePattern = readFilePattern(settings);
    fileExtension = readExtension(settings);
    settings.refuse(['maxRowsPerFile', 'fileNamePrefix'], 'a target file is not cut into several');
    settings.finish();
  }
  reader.ignore(
    ['writeBatchSize', 'writeBatchTimeout', 'maxConcurrentConnections', 'copyBehavior'],
    'files are written in parts of their own size; copyBehavior belongs into storeSettings',
  );
  reader.finish();
  return { type, format, store, quoteAllText, fileExtension, filePattern };
}

function readExtension(reader: ObjectReader): string | undefined {
  const taken = reader.string('fileExtension');
  if (taken.state !== 'given' || taken.value === '') return undefined;
  const extension = taken.value.startsWith('.') ? taken.value : `.${taken.value}`;
  if (!/[/\\\p{Cc}]/u.test(extension) && extension.length <= 60) return extension;
  reader.findings.problem(reader.at('fileExtension'), 'must be a file extension such as .csv');
  return undefined;
}

function readStore(reader: ObjectReader, part: SpecPart, specs: readonly ConnectorSpec[]): StoreSettings | undefined {
  const settings = reader.object('storeSettings');
  if (settings === undefined) return undefined;
  const match = readSpecType(settings, specs, part);
  if (match === undefined) return undefined;
  const values = readSpecProperties(settings, match.object);
  settings.finish();
  return { connector: match.connector.name, type: match.object.type, values, path: settings.path };
}

/** Settings with which a store works when the user gives none. */
export function defaultSettings(spec: ConnectorSpec, part: SpecPart): JsonObject {
  const defaults = (specObjects(spec, part)[0]?.properties ?? []).flatMap((property) =>
    property.default === undefined || property.ignored !== undefined || property.refused !== undefined ? [] : [
      [property.name, property.default] as const,
    ],
  );
  return Object.fromEntries(defaults);
}
