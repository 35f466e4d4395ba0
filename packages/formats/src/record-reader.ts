import type { RecordBatch } from './record-batch.ts';

/** Records of a text with the places of their fields: what a transcoder reads from, whatever the format is. */
export interface RecordReader {
  /** Columns of a record; 0 until it is known. */
  readonly columns: number;
  readonly names: readonly string[] | undefined;
  /** Records given out so far, counted from the start of the file. */
  readonly row: number;
  /** Source position up to which records have been given out. */
  readonly position: number;
  /** The limit was reached, or the end of the source. */
  readonly finished: boolean;
  /** The bytes in which the batch's offsets count. */
  readonly bytes: Uint8Array;
  /** Bytes of an ASCII character of the source. */
  readonly unitBytes: number;
  /** True where several records may hold the same field, so that nothing may be changed in place. */
  readonly sharesFields: boolean;
  append(block: Uint8Array, atEnd: boolean): void;
  /** The next records; undefined when more bytes are needed or when finished. The batch is reused by the following call. */
  next(): RecordBatch | undefined;
  /** Text of a field of the batch, for error messages. */
  fieldText(batch: RecordBatch, field: number): string;
  /** Writes an escaped field without its escapes into `target`, which may be where the field stands; returns how many bytes those are. */
  unescape(batch: RecordBatch, field: number, target: Uint8Array): number;
  /** Source position of a byte of the batch. */
  positionOf(offset: number): number;
}
