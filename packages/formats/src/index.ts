export { formatErrors } from './errors.ts';
export { type CompiledColumn, compileMapping, defaultColumnName, type SourceColumns } from './mapping.ts';
export { RowEndWriter, writesRowEnds } from './row-end-writer.ts';
export { sumHashes } from './row-hash.ts';
export { encodeHeader } from './row-writer.ts';
export { isWritableEncoding, readableEncodings, textEncodingOf, type TextEncoding } from './text-encoding.ts';
export { copiesBytes, createHeaderReader, createTranscoder } from './transcoder.ts';
export type { HeaderReader, RecordBoundary, SkippedRow, Transcoder, TranscoderOptions } from './transcoder-types.ts';
