import { type Compression, compressionTypes, type DataFormat } from '@dmg/model';
import { type ObjectReader, valueOr } from './object-reader.ts';

const levels = ['Optimal', 'Fastest'] as const;

/** `compression` of a Binary dataset, and of files in the older JSON: `{ "type": "GZip", "level": "Optimal" }`. */
export function readCompression(reader: ObjectReader): Compression | undefined {
  const compression = reader.object('compression');
  if (compression === undefined) return undefined;
  const found = readCodec(compression, 'type', 'level');
  compression.finish();
  return found;
}

/** `compressionCodec` and `compressionLevel` of a DelimitedText dataset. */
export function readCompressionCodec(reader: ObjectReader): Compression | undefined {
  return readCodec(reader, 'compressionCodec', 'compressionLevel');
}

/** `compressionProperties` of a source's format settings: whether files of an archive keep its name as their folder. Default: they do. */
export function readArchiveFolders(settings: ObjectReader): boolean | undefined {
  const reader = settings.object('compressionProperties');
  if (reader === undefined) return undefined;
  const type = reader.type(['ZipDeflateReadSettings']);
  const keeps = type === undefined ? undefined : valueOr(reader.boolean('preserveZipFileNameAsFolder'), true);
  if (type !== undefined) reader.finish();
  return keeps;
}

/** The format of a source whose archives' names are kept or not. */
export function withArchiveFolders(format: DataFormat, archiveFolders: boolean | undefined): DataFormat {
  if (archiveFolders === undefined || !('compression' in format) || format.compression?.type !== 'zipDeflate') return format;
  return { ...format, compression: { ...format.compression, archiveFolders } };
}

function readCodec(reader: ObjectReader, codecName: string, levelName: string): Compression | undefined {
  const codec = reader.string(codecName);
  const level = valueOr(reader.string(levelName, { values: ['', ...levels] }), '');
  if (codec.state !== 'given' || /^\s*(none)?\s*$/i.test(codec.value)) return undefined;
  const wanted = codec.value.trim().toLowerCase();
  const type = compressionTypes.find((known) => known.toLowerCase() === wanted);
  if (type !== undefined) return { type, level: levels.find((known) => known === level) ?? 'Optimal' };
  const why = wanted === 'tar' || wanted === 'targzip' ? 'tar archives are not unpacked' : 'it is not known here';
  reader.findings.problem(
    reader.at(codecName),
    `is ${JSON.stringify(codec.value)}, and ${why}; allowed are None, GZip, Deflate, ZipDeflate and, where files are read, BZip2`,
  );
  return undefined;
}
