import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isDmgError } from '@dmg/base';
import type { DelimitedTextFormat } from '@dmg/model';
import { createHeaderReader, sumHashes } from './index.ts';
import { bytesOf, type Cell, defaults, readNaively, transcode } from './testing/naive-text.ts';

const hostile = fc.constantFrom(
  '', ' ', '"', '""', '\\', '\\"', ',', ';', '||', '|', '\r', '\n', '\r\n', 'NULL', '\\N',
  'é', '☃', '😀', 'a', '\u0000', '\uFEFF', '<>',
  '<',
);
const cellText = fc.oneof(
  { weight: 3, arbitrary: fc.array(hostile, { maxLength: 4 }).map((parts) => parts.join('')) },
  fc.string({ unit: 'grapheme', maxLength: 8 }),
);
const cell: fc.Arbitrary<Cell> = fc.option(cellText, { nil: null, freq: 5 });
const matrix = fc.integer({ min: 1, max: 5 }).chain((columns) =>
  fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { maxLength: 12 }),
);
const blockSizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });

const dialect: fc.Arbitrary<DelimitedTextFormat> = fc.record({
  columnDelimiter: fc.constantFrom(',', ';', '||', '☃', '\t'),
  rowDelimiter: fc.constantFrom('', '\n', '\r\n', '<>'),
  escapeChar: fc.constantFrom('"', '\\', ''),
  nullValue: fc.constantFrom('', 'NULL', '\\N'),
  quoteAllText: fc.boolean(),
}).map((chosen) => ({ ...defaults, ...chosen }));

/** Every value in quotes, every null outside them: plain enough to need no product code. */
function writeNaively(rows: readonly (readonly Cell[])[], format: DelimitedTextFormat): string {
  const escape = format.escapeChar === '' ? '"' : format.escapeChar;
  const escaped = (found: string): string => (found === '"' || found === escape ? escape + found : found);
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, escaped)}"`;
  const end = format.rowDelimiter === '' ? '\n' : format.rowDelimiter;
  return rows.map(
    (row) => row.map((value) => (value === null ? format.nullValue : quoted(value))).join(format.columnDelimiter) + end,
  ).join('');
}

test('any matrix of cells comes out as it went in, in any dialect and any blocks', () => {
  fc.assert(fc.property(matrix, dialect, dialect, blockSizes, (rows, source, sink, sizes) => {
    const input = bytesOf(writeNaively(rows, source));
    const outcome = transcode(input, { source, sink }, sizes);
    assert.deepEqual(readNaively(outcome.text, sink), rows);
    assert.equal(outcome.boundary.rows, rows.length);
    assert.equal(outcome.boundary.sourcePosition, input.length);
    // What was written, read again, has the same hash.
    assert.equal(transcode(outcome.bytes, { source: sink, sink }, sizes).boundary.hash, outcome.boundary.hash);
  }), { numRuns: 400 });
});

test('the product reads what the reference reads, quoted or not', () => {
  const piece = fc.constantFrom('a', '"', '\\', ',', '\n', '\r', 'NULL', 'é', '""', '",', ',"', '\\"');
  const text = fc.array(piece, { maxLength: 25 }).map((parts) => parts.join(''));
  const formats = fc.constantFrom(
    defaults, { ...defaults, escapeChar: '"', nullValue: 'NULL' }, { ...defaults, quoteChar: '', escapeChar: '\\' },
  );
  fc.assert(fc.property(text, formats, blockSizes, (input, source, sizes) => {
    const sink = { ...defaults, escapeChar: '"', nullValue: '\\N' };
    let expected: Cell[][] | undefined;
    try {
      expected = readNaively(input, source);
    } catch {
      // The reference refuses unclosed quotes and text after quotes, as the product must.
    }
    const columns = expected?.[0]?.length ?? 0;
    const readable = expected !== undefined && expected.every((row) => row.length === columns);
    let outcome: string | undefined;
    try {
      outcome = transcode(bytesOf(input), { source, sink }, sizes).text;
    } catch (error) {
      assert.ok(isDmgError(error), String(error));
      assert.match(error.code, /^DMG_FORMATS_(COLUMN_COUNT|UNCLOSED_QUOTE|TEXT_AFTER_QUOTE)$/);
    }
    assert.equal(outcome !== undefined, readable, JSON.stringify(input));
    if (outcome !== undefined) assert.deepEqual(readNaively(outcome, sink), expected);
  }), { numRuns: 1500 });
});

test('chunks from reported boundaries make the same output as one pass', () => {
  const formats = fc.record(
    {
      firstRowAsHeader: fc.boolean(), skipLineCount: fc.constantFrom(0, 1), encodingName: fc.constantFrom('UTF-8', 'UTF-16', 'UTF-16BE'),
      marked: fc.boolean(),
    },
  );
  fc.assert(fc.property(matrix, formats, blockSizes, fc.integer({ min: 1, max: 60 }), (rows, chosen, sizes, chunkBytes) => {
    const { marked, ...more } = chosen;
    const source = { ...defaults, ...more };
    const sink = { ...defaults, columnDelimiter: ';', firstRowAsHeader: true };
    const text = (marked ? '\uFEFF' : '') + (source.skipLineCount > 0 ? 'skipped "line\n' : '') + writeNaively(rows, source);
    const wide = Buffer.from(text, 'utf16le');
    const input = source.encodingName === 'UTF-8' ? bytesOf(text) : source.encodingName === 'UTF-16' ? wide : wide.swap16();
    const whole = transcode(input, { source, sink, writeHeader: true });

    const reader = createHeaderReader(source, 'a.csv');
    reader.push(input, true);
    const { header, columnCount } = reader;
    const parts: string[] = [];
    const hashes: string[] = [];
    let position = 0;
    let count = 0;
    for (let chunk = 0; position < input.length; chunk++) {
      const part = transcode(input.subarray(position), {
        source, sink, startPosition: position, startRow: count, limitPosition: position + chunkBytes, writeHeader: chunk === 0,
        ...(header === undefined ? {} : { header }), columnCount,
      }, sizes);
      assert.ok(part.boundary.sourcePosition > position, 'a chunk must make progress');
      position = part.boundary.sourcePosition;
      count += part.boundary.rows;
      parts.push(part.text);
      hashes.push(part.boundary.hash);
    }
    assert.equal(parts.join(''), whole.text);
    assert.equal(count, whole.boundary.rows);
    assert.equal(sumHashes(hashes), whole.boundary.hash);
  }), { numRuns: 400 });
});

test('any bytes in any blocks end in output or a DmgError, the same for every cutting', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.array(
      fc.constantFrom(34, 44, 10, 13, 92, 97, 0xef, 0xbb, 0xbf, 0xff, 0xfe, 0), { maxLength: 200 },
    ).map((list) => Uint8Array.from(list)),
  );
  const formats = fc.record({
    quoteChar: fc.constantFrom('"', ''), escapeChar: fc.constantFrom('"', '\\', ''), firstRowAsHeader: fc.boolean(),
    skipLineCount: fc.constantFrom(0, 2),
    encodingName: fc.constantFrom('UTF-8', 'UTF-16', 'windows-1252'), rowDelimiter: fc.constantFrom('', '\n', '\n\n'),
  });
  const run = (input: Uint8Array, source: DelimitedTextFormat, sizes?: readonly number[]): string => {
    try {
      const outcome = transcode(input, { source, writeHeader: true, recordBytesMax: 150 }, sizes);
      return outcome.bytes.toString() + outcome.boundary.hash;
    } catch (error) {
      assert.ok(isDmgError(error), error instanceof Error ? (error.stack ?? '') : String(error));
      return error.code;
    }
  };
  fc.assert(fc.property(bytes, formats, blockSizes, (input, chosen, sizes) => {
    const source = { ...defaults, ...chosen };
    assert.equal(run(input, source, sizes), run(input, source));
  }), { numRuns: 1500 });
});
