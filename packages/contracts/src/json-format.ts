import { type JsonFormat, jsonFilePatterns, textEncodingNames } from '@dmg/model';
import { readCompression } from './compression.ts';
import { type ObjectReader, valueOr } from './object-reader.ts';

/** `typeProperties` of a Json dataset, but for its location. */
export function readJson(reader: ObjectReader): JsonFormat {
  const compression = readCompression(reader);
  const encodingName = valueOr(reader.string('encodingName', { values: ['', ...textEncodingNames] }), '') || 'UTF-8';
  return { type: 'Json', encodingName, ...(compression === undefined ? {} : { compression }) };
}

/** `formatSettings` of a JsonSink. */
export function readFilePattern(settings: ObjectReader): JsonFormat['filePattern'] {
  const pattern = settings.string('filePattern', { values: jsonFilePatterns });
  return pattern.state === 'given' ? jsonFilePatterns.find((known) => known === pattern.value) : undefined;
}

/** The property that a path of a sink names: `$.a`, `$['a']`, `['a']` or `a`; undefined where it leads into an object or an array. */
export function propertyOfPath(path: string): string | undefined {
  const found = /^(?:\$?\.([^.[\]'"]+)|\$?\[\s*'([^'\\]+)'\s*\]|\$?\[\s*"([^"\\]+)"\s*\]|([^$.[\]'"][^.[\]'"]*))$/u.exec(path);
  return found?.slice(1).find((name) => name !== undefined);
}
