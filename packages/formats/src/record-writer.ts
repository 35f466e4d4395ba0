import type { ByteBuffer } from './byte-buffer.ts';
import type { RowHashSum } from './row-hash.ts';

export interface WrittenColumn {
  readonly name: string;
  /** Its interim type; `String` where nothing is known of it. */
  readonly type: string;
}

/** Rows as text: what a transcoder writes to, whatever the format is. */
export interface RecordWriter {
  readonly output: ByteBuffer;
  readonly hashes: RowHashSum;
  /** Before the first row. `header`: the file begins here, and what stands before its rows is written. */
  begin(columns: readonly WrittenColumn[], header: boolean): void;
  beginRow(): void;
  endRow(): void;
  /** Takes back what was written since `beginRow`. */
  dropRow(): void;
  writeNull(): void;
  /**
   * Writes the value `bytes[start, end)`; false where it would be read back as another one. `literal`: it is JSON and no string, such as
   * a number or an object.
   */
  writeValue(bytes: Uint8Array, start: number, end: number, literal: boolean): boolean;
  /** After the last row of a source. `closes`: the file ends here. */
  end(closes: boolean): void;
}
