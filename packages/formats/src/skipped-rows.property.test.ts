import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DelimitedTextFormat, Translator } from '@dmg/model';
import fc from 'fast-check';
import { createTranscoder, type SkippedRow, type TranscoderOptions } from './index.ts';

const csv: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true,
  nullValue: '', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};
const typed: Translator = {
  mappings: [
    { source: { name: 'id', type: 'String' }, sink: { name: 'id', type: 'Int32' } }, { source: { name: 'text' }, sink: { name: 'text' } },
  ],
  typeConversion: true, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false },
};

function copy(text: string, blockBytes: number, options: Partial<TranscoderOptions> = {}) {
  const skipped: SkippedRow[] = [];
  const transcoder = createTranscoder({
    source: csv, sink: { ...csv, rowDelimiter: '\n' }, fileName: 'f.csv', writeHeader: true, onSkippedRow: (row) => skipped.push(row),
    ...options,
  });
  const bytes = Buffer.from(text);
  const into = new Uint8Array(1024);
  let written = '';
  for (let at = 0; at <= bytes.length && !transcoder.finished; at += blockBytes) {
    transcoder.push(bytes.subarray(at, at + blockBytes), at + blockBytes >= bytes.length);
    while (transcoder.pendingBytes > 0) written += Buffer.from(into.subarray(0, transcoder.drainInto(into, 0))).toString('latin1');
  }
  return { written, skipped, boundary: transcoder.boundary };
}

const shown = (rows: readonly SkippedRow[]): unknown[] =>
  rows.map(({ row, text, error }) => [row, Buffer.from(text).toString(), error.code.replace('DMG_FORMATS_', '')]);

test('rows that cannot be read or converted are left out, as they stand, with their numbers', () => {
  const text = 'id,text\n1,a\n2,b,c\nx,"d ""e"""\n4\n5,"f"g,h\n6,i\n"y""",j';
  const { written, skipped, boundary } = copy(text, 1000, { translator: typed });
  assert.equal(written, 'id,text\n1,a\n6,i\n');
  assert.deepEqual(shown(skipped), [
    [2, '2,b,c', 'COLUMN_COUNT'], [3, 'x,"d ""e"""', 'INVALID_VALUE'], [4, '4', 'COLUMN_COUNT'], [5, '5,"f"g,h', 'TEXT_AFTER_QUOTE'],
    [7, '"y""",j', 'INVALID_VALUE'],
  ]);
  assert.deepEqual([boundary.rows, boundary.rowsSkipped, boundary.sourcePosition], [2, 5, text.length]);
  assert.equal(boundary.hash, copy('id,text\n1,a\n6,i\n', 1000).boundary.hash);
});

test('without a taker the first bad row is thrown, and what is wrong with a whole file is thrown in any case', () => {
  const fails = (text: string, options: Partial<TranscoderOptions>, code: RegExp): void =>
    assert.throws(() => copy(text, 1000, options), (error: { code: string }) => code.test(error.code));
  const strict = createTranscoder({ source: csv, sink: csv, fileName: 'f' });
  assert.throws(() => strict.push(Buffer.from('a,b\n1\n'), true), { code: 'DMG_FORMATS_COLUMN_COUNT' });
  fails('id,text\n1,"open\n', {}, /UNCLOSED_QUOTE/);
});

test('rows that the sink has refused are left out by their place among those that can be written', () => {
  const [refused] = copy('id,text\nx,a\n', 100, { translator: typed }).skipped;
  assert.ok(refused);
  const { written, skipped } = copy('id,text\n1,a\nx,b\n3,c\n4,d\n', 7, { translator: typed, refusedRows: new Map([[1, refused.error]]) });
  assert.equal(written, 'id,text\n1,a\n4,d\n');
  assert.deepEqual(skipped.map(({ row }) => row), [2, 3]);
});

test('what is skipped does not depend on the blocks, nor on where chunks end', () => {
  const row = fc.constantFrom('1,a', 'x,b', '3', '4,c,d', '5,"e"f', '6,"g,\n""h"""', '7,', '', '8,"i\nj"k', 'z,"l"');
  const [block, cutAt] = [fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 120 })];
  fc.assert(fc.property(fc.array(row, { maxLength: 30 }), block, cutAt, (rows, blockBytes, cut) => {
    const text = `id,text\n${rows.join('\n')}\n`;
    const whole = copy(text, 10_000, { translator: typed });
    const blocks = copy(text, blockBytes, { translator: typed });
    assert.deepEqual([blocks.written, shown(blocks.skipped), blocks.boundary], [whole.written, shown(whole.skipped), whole.boundary]);
    const first = copy(text, 10_000, { translator: typed, limitPosition: cut });
    const at = first.boundary.sourcePosition;
    const rest = copy(text.slice(at), 10_000, {
      translator: typed, startPosition: at, header: ['id', 'text'], startRow: first.boundary.rows + (first.boundary.rowsSkipped ?? 0),
      writeHeader: false,
    });
    assert.equal(first.written + (at < text.length ? rest.written : ''), whole.written);
    assert.deepEqual([...shown(first.skipped), ...(at < text.length ? shown(rest.skipped) : [])], shown(whole.skipped));
  }));
});
