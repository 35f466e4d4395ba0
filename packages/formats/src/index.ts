import type { DelimitedTextFormat } from '@dmg/model';
import type { HeaderReader, Transcoder, TranscoderOptions } from './transcoder-types.ts';

export type { HeaderReader, RecordBoundary, Transcoder, TranscoderOptions } from './transcoder-types.ts';

export const createTranscoder: (options: TranscoderOptions) => Transcoder = pending;
/** For chunks that do not start at 0: feed it the file's first bytes until it returns true. */
export const createHeaderReader: (format: DelimitedTextFormat, fileName: string) => HeaderReader = pending;
/** Sum modulo 2^64 of hashes of 16 hex digits. */
export const sumHashes: (hashes: Iterable<string>) => string = pending;

function pending(): never {
  throw new Error('formats are being written');
}
