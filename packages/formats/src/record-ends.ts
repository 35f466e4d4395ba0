import type { DmgError } from '@dmg/base';
import type { DelimitedTextFormat, RowFormat, Translator } from '@dmg/model';
import { compileDialect } from './dialect.ts';
import { wantedColumns, wholeObject, type JsonColumn } from './json/json-columns.ts';
import { JsonReader } from './json/json-reader.ts';
import { JsonWriter } from './json/json-writer.ts';
import type { RecordReader } from './record-reader.ts';
import type { RecordWriter } from './record-writer.ts';
import { RowWriter } from './row-writer.ts';
import { SourceReader } from './source-reader.ts';
import { textEncodingOf } from './text-encoding.ts';
import type { HeaderReader, TranscoderOptions } from './transcoder-types.ts';

/** What a transcoder reads from. `onFaultyRecord` is used where rows are skipped. */
export function openReader(
  options: TranscoderOptions, onFaultyRecord: (error: DmgError, start: number, end: number) => void,
): RecordReader {
  const { source, sink, fileName } = options;
  const range = {
    fileName,
    startPosition: options.startPosition ?? 0,
    startRow: options.startRow ?? 0,
    limitPosition: options.limitPosition ?? Infinity,
    recordBytesMax: options.recordBytesMax,
  };
  if (source.type === 'Json') {
    const wanted = jsonColumns({ source, sink, translator: options.translator, added: options.added });
    return new JsonReader({ ...range, format: source, wanted, names: options.header, inArray: options.inArray });
  }
  return new SourceReader({
    ...range, format: source, names: options.header, columnCount: options.columnCount, bareColumns: options.bareColumns,
    ...(options.onSkippedRow === undefined ? {} : { onFaultyRecord }),
  });
}

export function openWriter({ sink, rowsBefore }: TranscoderOptions): RecordWriter {
  if (sink.type === 'Json') return new JsonWriter({ isArray: sink.filePattern === 'arrayOfObjects', rowsBefore: rowsBefore ?? 0 });
  return new RowWriter(compileDialect(sink), { quoteAllText: sink.quoteAllText });
}

interface Ends {
  readonly source: RowFormat;
  readonly sink: RowFormat | undefined;
  readonly translator: Translator | undefined;
  readonly added: TranscoderOptions['added'];
}

/** Objects that become objects keep what they hold, whichever properties that is. */
function jsonColumns({ source, sink, translator, added = [] }: Ends): readonly JsonColumn[] | undefined {
  if (source.type !== 'Json') return undefined;
  const isPlain = isUnmapped(translator) && added.length === 0 && source.columns === undefined && source.collectionReference === undefined;
  return isPlain && sink?.type === 'Json' ? wholeObject : wantedColumns(source, translator, added.map((column) => column.name));
}

function isUnmapped(translator: Translator | undefined): boolean {
  return (translator?.mappings.length ?? 0) === 0;
}

/**
 * For chunks that do not start at 0: reads the names and the number of columns from the beginning of the file. `ends`: what the
 * columns of JSON depend on besides the file.
 */
export function createHeaderReader(
  format: RowFormat, fileName: string, ends: { sink?: RowFormat; translator?: Translator; added?: TranscoderOptions['added'] } = {},
): HeaderReader {
  const range = { fileName, startPosition: 0, startRow: 0, limitPosition: 1, recordBytesMax: undefined, names: undefined };
  const json = format.type !== 'Json' ? undefined : new JsonReader({
    ...range, format, inArray: undefined,
    wanted: jsonColumns({ source: format, sink: ends.sink, translator: ends.translator, added: ends.added }),
  });
  const reader: RecordReader = json ?? new SourceReader({
    ...range, format: format as DelimitedTextFormat, columnCount: undefined, bareColumns: undefined,
  });
  return {
    push(block, atEnd) {
      reader.append(block, atEnd);
      reader.next();
      return reader.finished || (reader.columns > 0 && (json === undefined || json.inArray !== undefined));
    },
    get header() {
      return reader.names;
    },
    get columnCount() {
      return reader.columns;
    },
    get inArray() {
      return json?.inArray;
    },
    get position() {
      return reader.position;
    },
  };
}

/**
 * True when source bytes are sink bytes already: same dialect, encoding and header, nothing to skip, map, convert or re-quote.
 * Such a copy needs no transcoder (which would still write line ends, quotes and nulls in its own way).
 */
export function copiesBytes(options: { source: RowFormat; sink: RowFormat; translator?: Translator }): boolean {
  const { source, sink, translator } = options;
  if (!isUnmapped(translator) || textEncodingOf(source.encodingName) !== textEncodingOf(sink.encodingName)) return false;
  if (source.type === 'Json' && sink.type === 'Json') {
    const keepsPattern = sink.filePattern === undefined || sink.filePattern === source.filePattern;
    return keepsPattern && source.columns === undefined && source.collectionReference === undefined;
  }
  if (source.type === 'Json' || sink.type === 'Json') return false;
  return source.columnDelimiter === sink.columnDelimiter
    && source.rowDelimiter === sink.rowDelimiter
    && source.quoteChar === sink.quoteChar
    && source.escapeChar === sink.escapeChar
    && source.nullValue === sink.nullValue
    && source.firstRowAsHeader === sink.firstRowAsHeader
    && source.skipLineCount === 0
    && !sink.quoteAllText;
}
