import type { DmgError } from '@dmg/base';
import type { InterimType, RowFormat, Translator } from '@dmg/model';
import type { AddedColumn } from './added-columns.ts';

export interface TranscoderOptions {
  readonly source: RowFormat;
  readonly sink: RowFormat;
  readonly translator?: Translator;
  /** For error messages. */
  readonly fileName: string;
  /**
   * Names of the source's columns as a `HeaderReader` gave them. Needed when `startPosition` is over 0 and the source has a header;
   * otherwise the transcoder reads them itself.
   */
  readonly header?: readonly string[];
  /** The same for files without a header, so that a chunk with another number of columns is noticed. */
  readonly columnCount?: number;
  /**
   * Names of the columns of a text that holds nothing but rows: no byte order mark, no lines to skip, no header. A server writes such
   * text, and its first value may begin with any character.
   */
  readonly bareColumns?: readonly string[];
  /** Their types, in the same order, where they are known. */
  readonly bareTypes?: readonly InterimType[];
  /** JSON from a position over 0: whether the file is one array, as a `HeaderReader` found it. */
  readonly inArray?: boolean;
  /** Columns that stand behind those of the source. */
  readonly added?: readonly AddedColumn[];
  /** Source position of the first byte that will be pushed: 0, or a record boundary that an earlier transcoder reported. */
  readonly startPosition?: number;
  /** Records before `startPosition`, so that errors name the file's row. */
  readonly startRow?: number;
  /** Ends at the first record boundary at or after this source position. Default: at the end of the source. */
  readonly limitPosition?: number;
  /** Rows of the target before those of this transcoder: JSON arrays have commas between them. Default 0. */
  readonly rowsBefore?: number;
  /**
   * Source position at which the target ends; `Infinity`: where the source ends. Absent: something else follows. A JSON array is closed
   * there.
   */
  readonly endsAt?: number;
  /** Writes the sink's header, or opens its array, before the first record. Only chunk 0 of a target does so. Default false. */
  readonly writeHeader?: boolean;
  /** Size limit of one record, so that memory stays bounded. Default 48 MiB. */
  readonly recordBytesMax?: number;
  /** Refuses values with bytes that are not UTF-8, for sinks that do not take them. Default false: they are copied as they are. */
  readonly validText?: boolean;
  /** Takes rows that cannot be read, converted or written; they are left out. Absent: the first one is thrown. */
  readonly onSkippedRow?: (row: SkippedRow) => void;
  /** Rows, from 0 among those that could be written, which the sink has refused before: they are skipped with its error. */
  readonly refusedRows?: ReadonlyMap<number, DmgError>;
}

export interface SkippedRow {
  /** Its `params` name file, row and column, as far as they are known. */
  readonly error: DmgError;
  /** Number of the row in its file, from 1. */
  readonly row: number;
  /** The row as it stands in the source, in UTF-8 and without its line end; of a long one the first megabyte. */
  readonly text: Uint8Array;
}

/** How far the output goes: all records up to `sourcePosition` and none after it. */
export interface RecordBoundary {
  /** A record boundary of the source: a new transcoder may start here. */
  readonly sourcePosition: number;
  /** Records written by this transcoder, headers not counted. */
  readonly rows: number;
  /** Records that were given to `onSkippedRow`. Absent: none. */
  readonly rowsSkipped?: number;
  /** Sum of the rows' hashes modulo 2^64, 16 hex digits. */
  readonly hash: string;
}

/**
 * Reads rows of one text and writes them as another. The caller's duties:
 *
 * 1. Create it with `startPosition` 0, or at a boundary that another transcoder of the same options reported.
 * 2. `push` the source's bytes from there on, in order, blocks of any size (1 MiB is good). Push the last block of the source
 *    with `atEnd` true; an empty block will do. The block may be reused as soon as `push` returns.
 * 3. After each `push`, drain: call `drainInto` until `pendingBytes` is 0. What is not drained is kept in memory.
 * 4. Stop when `finished` is true: the limit was reached, or the end of the source was pushed.
 * 5. When finished and drained, `boundary` describes exactly the bytes that were drained. The next chunk starts at its
 *    `sourcePosition`, which may lie in any of the blocks that were pushed: the end of a long record is not looked for in every block.
 * 6. Throw it away after an error: every method may throw a DmgError (`DMG_FORMATS_…`), and its state is then undefined.
 */
export interface Transcoder {
  /** Takes the next bytes; does nothing when `finished`. */
  push(block: Uint8Array, atEnd: boolean): void;
  /** Moves output into `target` from `offset` on; returns how many bytes were moved. */
  drainInto(target: Uint8Array, offset: number): number;
  /** Output that waits to be drained. */
  readonly pendingBytes: number;
  readonly finished: boolean;
  readonly boundary: RecordBoundary;
}

export interface HeaderReader {
  /** Takes the file's first bytes in order; true when `header` is known. Push the end of the file with `atEnd`. */
  push(block: Uint8Array, atEnd: boolean): boolean;
  /** Column names, or undefined when the file has no header row (`firstRowAsHeader` false, or the file is empty). */
  readonly header: readonly string[] | undefined;
  /** 0 when the file is empty. */
  readonly columnCount: number;
  /** JSON: whether the file is one array. */
  readonly inArray: boolean | undefined;
  /** Source position after the header, or after the first record where there is no header. */
  readonly position: number;
}
