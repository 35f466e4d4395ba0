/** How the bytes of a file are to be understood. `Binary` means: not at all. */
export type DataFormat = BinaryFormat | DelimitedTextFormat | JsonFormat | TableFormat;

/** Text of which rows can be read and written. */
export type RowFormat = DelimitedTextFormat | JsonFormat;

export interface BinaryFormat {
  readonly type: 'Binary';
  /** Absent: files as they are, whatever they hold. */
  readonly compression?: Compression;
}

export const compressionTypes = ['gzip', 'deflate', 'bzip2', 'zipDeflate'] as const;

/** How the files of an end are compressed. */
export interface Compression {
  readonly type: (typeof compressionTypes)[number];
  /** Sinks only. */
  readonly level: 'Optimal' | 'Fastest';
  /** ZipDeflate sources: the files of an archive are read as if they lay in a folder with the archive's name. */
  readonly archiveFolders?: boolean;
}

/** A table of a database: its connector names the text in which rows are exchanged. */
export interface TableFormat {
  readonly type: 'Table';
}

/** `DelimitedText` of Data Factory v2, all properties resolved to their defaults. */
export interface DelimitedTextFormat {
  readonly type: 'DelimitedText';
  readonly columnDelimiter: string;
  /** Reading: empty means `\r\n`, `\r` or `\n`, whichever stands there. Writing: empty means `\r\n`. */
  readonly rowDelimiter: string;
  /** Empty: no quoting. */
  readonly quoteChar: string;
  /** Empty: no escaping. Equal to `quoteChar`: a quote is doubled. */
  readonly escapeChar: string;
  readonly firstRowAsHeader: boolean;
  readonly nullValue: string;
  readonly encodingName: string;
  readonly skipLineCount: number;
  /** Sink only: quote every field. */
  readonly quoteAllText: boolean;
  /**
   * Source only. False: no row delimiter stands between quotes (or behind an escape character), so that rows can be found from any
   * position on. Default: it may.
   */
  readonly multilineRows?: boolean;
  readonly compression?: Compression;
}

/** `Json` of Data Factory v2, and what of `JsonFormat` of v1 can be said of a copy. */
export interface JsonFormat {
  readonly type: 'Json';
  readonly encodingName: string;
  /**
   * Writing: one object a line, or one array. Default: as the source where bytes are copied as they are, else `setOfObjects`.
   * Reading: what stands in the file counts.
   */
  readonly filePattern?: (typeof jsonFilePatterns)[number];
  /** Source only: path of an array of which each element is a row. */
  readonly collectionReference?: string;
  /** Source only: the columns by their paths. */
  readonly columns?: readonly { readonly name: string; readonly path: string }[];
  readonly compression?: Compression;
}

export const jsonFilePatterns = ['setOfObjects', 'arrayOfObjects'] as const;

/** Values of `encodingName` that can be read, compared without case. Only the first two are written. */
export const textEncodingNames = [
  'UTF-8', 'UTF-8 without BOM', 'US-ASCII', 'ISO-8859-1', 'WINDOWS-1252', 'UTF-16', 'UTF-16LE', 'UTF-16BE',
] as const;

/** Interim types of Data Factory's two-step conversion. */
export const interimTypes = [
  'String', 'Boolean', 'Byte', 'SByte', 'Int16', 'UInt16', 'Int32', 'UInt32', 'Int64', 'UInt64', 'Single', 'Double',
  'Decimal', 'DateTime', 'DateTimeOffset', 'TimeSpan', 'Guid', 'Byte[]',
] as const;
export type InterimType = (typeof interimTypes)[number];

/** What a server's column holds; `scale`: digits behind the point, or of seconds; -1 for a date without time of day. */
export interface HeldDigits {
  readonly of: 'number' | 'time';
  readonly scale: number;
}

export interface ColumnRef {
  readonly name?: string;
  /** From 1. */
  readonly ordinal?: number;
  readonly type?: InterimType;
  readonly format?: string;
  readonly culture?: string;
  /** Set by the engine: the text of this end is a database server's, in which bytes are hexadecimal and spans of time have days apart. */
  readonly text?: 'server';
  /** Set by the engine, for a sink: digits behind the point that its column holds, -1 where it holds dates without a time of day. */
  readonly scale?: number;
  /** Set by the engine: digits that the column holds of text that is not converted. */
  readonly held?: HeldDigits;
}

export interface ColumnMapping {
  readonly source: ColumnRef;
  readonly sink: ColumnRef;
}

export interface TypeConversionSettings {
  readonly allowDataTruncation: boolean;
  readonly treatBooleanAsNumber: boolean;
  readonly dateTimeFormat?: string;
  readonly dateTimeOffsetFormat?: string;
  readonly timeSpanFormat?: string;
  readonly culture?: string;
}

/** `TabularTranslator`, resolved. No mappings: columns by name in source order. */
export interface Translator {
  readonly mappings: readonly ColumnMapping[];
  readonly typeConversion: boolean;
  readonly typeConversionSettings: TypeConversionSettings;
}
