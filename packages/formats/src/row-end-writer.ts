import type { DelimitedTextFormat } from '@dmg/model';
import { ByteBuffer } from './byte-buffer.ts';
import { compileDialect } from './dialect.ts';

const lineFeed = 10;
const encoder = new TextEncoder();

/**
 * True for formats into which `RowEndWriter` can turn text that differs only in its row ends, which are `\n`: the new row end must be
 * one that every writer quotes inside values, so that nothing else needs to change.
 */
export function writesRowEnds(format: DelimitedTextFormat): boolean {
  return format.quoteChar !== '' && ['', '\n', '\r', '\r\n'].includes(format.rowDelimiter);
}

/**
 * Replaces the row ends of delimited text, `\n`, by those of `format`, in one pass over its bytes: line feeds between quotes are part
 * of a value and stay. The text is well formed: quotes stand only around values and, doubled or escaped, between such quotes.
 */
export class RowEndWriter {
  readonly #output = new ByteBuffer(64 * 1024);
  readonly #rowEnd: Uint8Array;
  readonly #quote: number;
  readonly #escape: number;
  #quoted = false;
  /** The byte before was an escape character inside quotes. */
  #escaping = false;

  constructor(format: DelimitedTextFormat) {
    if (!writesRowEnds(format)) throw new TypeError('row ends of this format cannot be replaced');
    const dialect = compileDialect(format);
    this.#rowEnd = dialect.rowDelimiter.length === 0 ? encoder.encode('\r\n') : dialect.rowDelimiter;
    this.#quote = dialect.quote;
    this.#escape = dialect.escape;
  }

  /** Text that waits to be drained. */
  get pendingBytes(): number {
    return this.#output.length;
  }

  push(block: Uint8Array): void {
    const output = this.#output;
    const rowEnd = this.#rowEnd;
    output.reserve(block.length * rowEnd.length);
    const target = output.bytes;
    const first = rowEnd[0] as number;
    const second = rowEnd[1];
    const quote = this.#quote;
    const escape = this.#escape;
    let at = output.end;
    let quoted = this.#quoted;
    let escaping = this.#escaping;
    for (let index = 0; index < block.length; index++) {
      const byte = block[index] as number;
      if (byte === lineFeed && !quoted) {
        target[at++] = first;
        if (second !== undefined) target[at++] = second;
        continue;
      }
      // A doubled quote leaves the value and enters it again, with nothing in between.
      if (escaping) escaping = false;
      else if (byte === quote) quoted = !quoted;
      else if (quoted && byte === escape) escaping = true;
      target[at++] = byte;
    }
    this.#quoted = quoted;
    this.#escaping = escaping;
    output.end = at;
  }

  /** Moves text into `target` from `offset` on; returns how many bytes were moved. */
  drainInto(target: Uint8Array, offset: number): number {
    return this.#output.moveInto(target, offset);
  }
}
