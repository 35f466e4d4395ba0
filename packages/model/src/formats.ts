/** How the bytes of a file are to be understood. `Binary` means: not at all. */
export type DataFormat = BinaryFormat | DelimitedTextFormat | TableFormat;

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
  readonly compression?: Compression;
}

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

export interface ColumnRef {
  readonly name?: string;
  /** From 1. */
  readonly ordinal?: number;
  readonly type?: InterimType;
  readonly format?: string;
  readonly culture?: string;
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
