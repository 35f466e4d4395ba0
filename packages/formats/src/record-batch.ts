/** Flags of a field. */
export const fieldQuoted = 1;
/** The field holds doubled quotes or escapes; `unescapeField` removes them. */
export const fieldEscaped = 2;
export const fieldNull = 4;
/** The field is JSON other than a string: a number, `true`, `false`, an object or an array. */
export const fieldLiteral = 8;

/** Room for a row whose number of columns is not known yet; `makeRoom` is for those that need more. */
const firstRoom = 256;

/** Most columns that a row may have. */
export const columnsMax = 65_536;

export type ScanProblem = 'columnCount' | 'unclosedQuote' | 'textAfterQuote' | 'recordTooLarge' | 'tooManyColumns';

/** Why scanning stopped: the record after the last one of the batch is wrong. */
export interface ScanFault {
  readonly problem: ScanProblem;
  /** Offset in the scanned bytes. */
  readonly offset: number;
  /** From 0. */
  readonly column: number;
  /** Columns found, where that is the problem. */
  readonly found: number;
  /** Offset after the record, where it could be read to its end. */
  readonly next?: number;
}

/**
 * Where the fields of some records lie in the scanned bytes: no string, no object per cell. The fields of record r stand at
 * `r * columns` and after. Reused from scan to scan.
 */
export class RecordBatch {
  records = 0;
  columns = 0;
  /** Offset of a field's first byte, without its quote. */
  starts = new Uint32Array(0);
  /** One after a field's last byte, without its quote. */
  ends = new Uint32Array(0);
  flags = new Uint8Array(0);
  /** Offset after each record's row delimiter. */
  recordEnds = new Uint32Array(0);
  /** Offset of each record, where it does not begin with its first field. */
  recordStarts = new Uint32Array(0);
  fault: ScanFault | undefined;
  /** The field in which the bytes end where a record is incomplete, or too large: its column, from 0, and its first byte. */
  openColumn = 0;
  openOffset = 0;

  /** Sets the room for rows of `columns` columns (0: not known yet, room for one row) and empties the batch. */
  reset(columns: number): void {
    const records = columns === 0 ? 1 : Math.max(1, Math.floor(16_384 / columns));
    this.makeRoom(columns === 0 ? firstRoom : records * columns);
    if (this.recordEnds.length !== records) this.recordEnds = new Uint32Array(records);
    this.records = 0;
    this.columns = columns;
    this.fault = undefined;
    this.openColumn = 0;
    this.openOffset = 0;
  }

  /** Room for so many fields; what the batch holds is lost when there was less. */
  makeRoom(fields: number): void {
    if (this.starts.length >= fields) return;
    this.starts = new Uint32Array(fields);
    this.ends = new Uint32Array(fields);
    this.flags = new Uint8Array(fields);
  }
}
