import type { DelimitedTextFormat } from '@dmg/model';
import { createTranscoder, type RecordBoundary, type TranscoderOptions } from '../index.ts';

/** A cell of a test matrix: its text, or null. */
export type Cell = string | null;

/** The defaults of Data Factory v2. */
export const defaults: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '\\', firstRowAsHeader: false,
  nullValue: '', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

/**
 * The reference: reads delimited text character by character, as plainly as can be and without any of the product's code.
 * Handles what the product writes and what the tests make; it is no validator.
 */
export function readNaively(text: string, format: DelimitedTextFormat): Cell[][] {
  const rows: Cell[][] = [];
  let row: Cell[] = [];
  let at = 0;
  const rowEnd = (): number => {
    if (format.rowDelimiter !== '') return text.startsWith(format.rowDelimiter, at) ? format.rowDelimiter.length : 0;
    if (text.startsWith('\r\n', at)) return 2;
    return text[at] === '\r' || text[at] === '\n' ? 1 : 0;
  };
  while (at < text.length) {
    if (row.length === 0 && rowEnd() > 0 && (rows[0]?.length ?? 0) > 1) {
      // A line without any character is no row where rows have several columns.
      at += rowEnd();
      continue;
    }
    let cell = '';
    let raw = '';
    let quoted = false;
    if (format.quoteChar !== '' && text[at] === format.quoteChar) {
      quoted = true;
      for (at++; ; at++) {
        const [here, next] = [text[at], text[at + 1]];
        if (here === undefined) throw new Error('unclosed quote');
        const escapes = here === format.quoteChar ? next === format.quoteChar : here === format.escapeChar && (
          next === format.quoteChar || next === format.escapeChar
        );
        if (escapes) {
          cell += next;
          at++;
        } else if (here === format.quoteChar) {
          at++;
          break;
        } else {
          cell += here;
        }
      }
    } else {
      while (at < text.length && rowEnd() === 0 && !text.startsWith(format.columnDelimiter, at)) {
        raw += text[at];
        if (format.quoteChar === '' && text[at] === format.escapeChar && at + 1 < text.length) {
          at++;
          raw += text[at];
        }
        cell += text[at];
        at++;
      }
    }
    row.push(!quoted && raw === format.nullValue ? null : cell);
    const end = rowEnd();
    if (end > 0 || at >= text.length) {
      rows.push(row);
      row = [];
      at += end;
    } else if (text.startsWith(format.columnDelimiter, at)) {
      at += format.columnDelimiter.length;
      if (at >= text.length) {
        row.push(format.nullValue === '' ? null : '');
        rows.push(row);
        row = [];
      }
    } else {
      throw new Error('text after a quote');
    }
  }
  return rows;
}

export interface Outcome {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly boundary: RecordBoundary;
}

/** Feeds `input` in blocks of the given sizes (repeated), draining into small buffers in between. */
export function transcode(
  input: Uint8Array, options: Partial<TranscoderOptions>, blockSizes: readonly number[] = [input.length + 1],
): Outcome {
  const transcoder = createTranscoder({ source: defaults, sink: defaults, fileName: 'a.csv', ...options });
  const output: Buffer[] = [];
  const drain = (): void => {
    const target = new Uint8Array(61);
    while (transcoder.pendingBytes > 0) {
      const moved = transcoder.drainInto(target, 3);
      output.push(Buffer.from(target.subarray(3, 3 + moved)));
    }
  };
  let pushed = 0;
  for (let index = 0; !transcoder.finished; index++) {
    const size = Math.max(1, blockSizes[index % blockSizes.length] ?? 1);
    const block = Uint8Array.from(input.subarray(pushed, pushed + size));
    transcoder.push(block, pushed + size >= input.length);
    // The transcoder must have copied what it needs.
    block.fill(0xff);
    pushed += size;
    drain();
  }
  drain();
  const bytes = Buffer.concat(output);
  return { text: bytes.toString('utf8'), bytes, boundary: transcoder.boundary };
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
