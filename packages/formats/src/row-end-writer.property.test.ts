import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DelimitedTextFormat } from '@dmg/model';
import fc from 'fast-check';
import { encodeHeader, RowEndWriter, writesRowEnds } from './index.ts';
import { bytesOf, type Cell, defaults, readNaively, transcode } from './testing/naive-text.ts';

const piece = fc.constantFrom('', '"', '""', '\\', '\\"', ',', '\n', '\r', '\r\n', 'a', 'é', '\uFEFF', 'NULL', '\\N', '.');
const cell: fc.Arbitrary<Cell> = fc.option(fc.array(piece, { maxLength: 5 }).map((parts) => parts.join('')), { nil: null, freq: 5 });
const matrix = fc.integer({ min: 1, max: 4 }).chain((columns) =>
  fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { maxLength: 12 }));
const blockSizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 });

/** Every value in quotes: text that any writer may make. */
function writeQuoted(rows: readonly (readonly Cell[])[], format: DelimitedTextFormat): string {
  const escape = format.escapeChar === '' ? '"' : format.escapeChar;
  const escaped = (found: string): string => (found === '"' || found === escape ? escape + found : found);
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, escaped)}"`;
  return rows.map((row) => `${row.map((value) => (value === null ? format.nullValue : quoted(value))).join(',')}\n`).join('');
}

function withRowEnds(text: Uint8Array, format: DelimitedTextFormat, sizes: readonly number[]): Buffer {
  const writer = new RowEndWriter(format);
  const drained: Buffer[] = [];
  for (let at = 0, block = 0; at < text.length; block++) {
    const size = sizes[block % sizes.length] ?? 1;
    writer.push(text.subarray(at, at + size));
    at += size;
    while (writer.pendingBytes > 0) {
      const target = Buffer.alloc(7);
      drained.push(target.subarray(0, writer.drainInto(target, 0)));
    }
  }
  return Buffer.concat(drained);
}

test('replaced row ends give what a writer with these row ends writes, in any blocks', () => {
  const formats = fc.record({
    rowDelimiter: fc.constantFrom('', '\r\n', '\r', '\n'), escapeChar: fc.constantFrom('"', '\\', ''), quoteAllText: fc.boolean(),
    nullValue: fc.constantFrom('', 'NULL', '\\N'),
  });
  fc.assert(fc.property(matrix, formats, blockSizes, (rows, chosen, sizes) => {
    const sink = { ...defaults, ...chosen };
    const feeds = { ...sink, rowDelimiter: '\n' };
    const text = bytesOf(writeQuoted(rows, feeds));
    const slow = transcode(text, { source: feeds, sink });
    const plain = transcode(text, { source: feeds, sink: feeds });
    assert.equal(withRowEnds(plain.bytes, sink, sizes).toString(), slow.text);
    assert.deepEqual(readNaively(withRowEnds(text, sink, sizes).toString(), sink), rows);
  }), { numRuns: 500 });
});

test('only row ends that every writer quotes are replaced', () => {
  assert.equal(writesRowEnds({ ...defaults, rowDelimiter: '\r\n' }), true);
  assert.equal(writesRowEnds({ ...defaults, rowDelimiter: '<>' }), false);
  assert.equal(writesRowEnds({ ...defaults, quoteChar: '', rowDelimiter: '\r\n' }), false);
  assert.throws(() => new RowEndWriter({ ...defaults, rowDelimiter: ';' }), TypeError);
});

test('PostgreSQL text: every byte that it gives a meaning is escaped by a backslash before the byte itself', () => {
  const text = { ...defaults, columnDelimiter: '\t', rowDelimiter: '\n', quoteChar: '', escapeChar: '\\', nullValue: '\\N' };
  const csv = { ...defaults, escapeChar: '"', rowDelimiter: '\n' };
  const outcome = transcode(bytesOf('"a\tb","c\nd","e\rf","g\\h","\\N","",,\\.\n'), { source: csv, sink: text });
  assert.equal(outcome.text, 'a\\\tb\tc\\\nd\te\\\rf\tg\\\\h\t\\\\N\t\t\\N\t\\\\.\n');
});

test('text without mark, header or skipped lines is rows from its first byte on', () => {
  const source = { ...defaults, firstRowAsHeader: true, skipLineCount: 3 };
  const sink = { ...defaults, firstRowAsHeader: true, rowDelimiter: '\n' };
  const options = { source: { ...source, firstRowAsHeader: false }, sink, bareColumns: ['x', 'y'], writeHeader: true };
  // The first value begins with the character that is a byte order mark elsewhere: it stays, quoted.
  const outcome = transcode(bytesOf('\uFEFFa,b\nc,d\n'), options);
  assert.equal(outcome.text, 'x,y\n"\uFEFFa",b\nc,d\n');
  assert.equal(outcome.boundary.rows, 2);
  assert.equal(transcode(new Uint8Array(0), options).text, 'x,y\n');
  const mappings = [{ source: { name: 'y' }, sink: { name: 'b' } }];
  const typeConversionSettings = { allowDataTruncation: false, treatBooleanAsNumber: false };
  const translator = { mappings, typeConversion: false, typeConversionSettings };
  assert.equal(transcode(bytesOf('1,2\n'), { ...options, translator }).text, 'b\n2\n');
});

test('a header is written as values are', () => {
  const format = { ...defaults, rowDelimiter: '', columnDelimiter: ';' };
  assert.equal(Buffer.from(encodeHeader(format, ['a', 'b;c', 'd"e'])).toString(), 'a;"b;c";"d\\"e"\r\n');
  assert.throws(() => encodeHeader({ ...format, quoteChar: '', escapeChar: '' }, ['a;b']), { code: 'DMG_FORMATS_BAD_FORMAT' });
});
