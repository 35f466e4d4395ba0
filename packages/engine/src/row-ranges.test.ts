import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDmgError, StopReason } from '@dmg/base';
import { createRowStartFinder, findsRowStarts } from '@dmg/formats';
import type { DelimitedTextFormat } from '@dmg/model';
import fc from 'fast-check';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, csv, makeJob, receiptOf } from './testing/copy-fixture.ts';

const plain: DelimitedTextFormat = { ...csv, quoteChar: '', escapeChar: '', rowDelimiter: '\n' };
const semicolons: DelimitedTextFormat = { ...csv, columnDelimiter: ';', rowDelimiter: '\n' };

test('a format tells whether rows can be found from anywhere on', () => {
  const can = (change: Partial<DelimitedTextFormat>): boolean => findsRowStarts({ ...plain, ...change });
  for (const change of [{}, { rowDelimiter: '' }, { rowDelimiter: '\r\n' }, { encodingName: 'ISO-8859-1' }]) assert.ok(can(change));
  for (const change of [
    { quoteChar: '"' }, { escapeChar: '\\' }, { rowDelimiter: '||' }, { rowDelimiter: 'aba' }, { rowDelimiter: '☃' },
    { columnDelimiter: '|\n|', rowDelimiter: '\n' },
    { encodingName: 'UTF-16' }, { quoteChar: '"', multilineRows: true },
  ]) assert.ok(!can(change), JSON.stringify(change));
  assert.ok(can({ quoteChar: '"', escapeChar: '\\', multilineRows: false }));
});

test('the first row at or after a position is the one that a reader from the beginning finds', () => {
  const piece = fc.constantFrom('a', '\r', '\n', '\r\n', '<>', '<', '>', ',', '');
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
  const [pieces, delimiters] = [fc.array(piece, { maxLength: 20 }), fc.constantFrom('', '\n', '\r\n', '<>')];
  fc.assert(fc.property(pieces, delimiters, fc.nat(), sizes, (parts, rowDelimiter, pick, blocks) => {
    const text = parts.join('');
    if (text === '') return;
    const position = 1 + (pick % text.length);
    const ends = rowDelimiter === '' ? /\r\n|\r|\n/g : new RegExp(rowDelimiter, 'g');
    const boundaries = [...text.matchAll(ends)].map((match) => match.index + match[0].length);
    const expected = boundaries.find((boundary) => boundary >= position) ?? text.length;
    const finder = createRowStartFinder({ ...plain, rowDelimiter }, position);
    let found: number | undefined;
    for (let at = finder.from, turn = 0; found === undefined; turn++) {
      const size = blocks[turn % blocks.length] ?? 1;
      found = finder.push(Buffer.from(text.slice(at, at + size)), at + size >= text.length);
      at += size;
    }
    assert.equal(found, expected);
  }), { numRuns: 500 });
});

test('ranges give what a sequence gives, wherever they are cut', async () => {
  const cell = fc.string({ unit: fc.constantFrom('a', 'é', ' ', '"', ';'), maxLength: 12 });
  const shape = fc.record({
    rows: fc.array(fc.tuple(cell, cell), { maxLength: 30 }), end: fc.constantFrom('\n', '\r\n', '\r'), last: fc.boolean(),
    blank: fc.boolean(),
    header: fc.boolean(), skipped: fc.integer({ min: 0, max: 2 }), partBytes: fc.integer({ min: 1, max: 20 }), any: fc.boolean(),
  });
  await fc.assert(fc.asyncProperty(shape, async ({ rows, end, last, blank, header, skipped, partBytes, any }) => {
    const before = [...Array.from({ length: skipped }, () => 'a line to skip'), ...(header ? ['x,y'] : [])];
    const lines = [...before, ...rows.map((row) => row.join(','))];
    const text = lines.join(blank ? end + end : end) + (last ? end : '');
    const source = { ...plain, rowDelimiter: any ? '' : end, firstRowAsHeader: header, skipLineCount: blank ? 0 : skipped };
    const copy = async (format: DelimitedTextFormat) => {
      const fixture = new CopyFixture({ limits: { partBytes, partBytesMax: partBytes, partsPerTargetMax: 10_000 } });
      fixture.source.put('in/t.csv', text);
      const outcome = await fixture.run(makeJob({ sourceFormat: format, sinkFormat: semicolons }));
      assert.equal(fixture.openHandles, 0);
      if (outcome.kind !== 'succeeded') return outcome.kind === 'failed' ? outcome.fault.code : outcome.kind;
      const { rowsWritten, hash, bytesRead } = outcome.receipt;
      return { text: Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString(), rowsWritten, hash, bytesRead };
    };
    // With a quote character that never occurs rows are cut in a sequence.
    assert.deepEqual(await copy(source), await copy({ ...source, quoteChar: '~' }));
  }), { numRuns: 60 });
});

test('ranges are copied in parallel, go on where an attempt was stopped, and are found wrong where rows have several lines', async () => {
  const text = `id,text\n${Array.from({ length: 5_000 }, (_, row) => `${row},"name ${row}"\n`).join('')}`;
  const format = { ...csv, multilineRows: false };
  const fixture = new CopyFixture({ limits: { partBytes: 1_000 } });
  fixture.source.put('in/t.csv', text);
  const job = makeJob({ sourceFormat: format, sinkFormat: semicolons, activity: { parallelCopies: 4 }, job: { finalTry: false } });
  const stop = new AbortController();
  let marks = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'mark' && ++marks === 5) stop.abort(new StopReason('shutdown'));
  };
  assert.equal((await fixture.run(job, { signal: stop.signal })).kind, 'stopped');
  fixture.sink.intercept = undefined;
  const receipt = receiptOf(await fixture.run(job));
  assert.equal(receipt.attempts.length, 2);
  assert.ok(receipt.chunks > 10);
  assert.deepEqual([receipt.rowsWritten, receipt.bytesRead, receipt.guarantee], [5_000, text.length, 'exactlyOnce']);
  assert.ok(Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString() === text.replaceAll(',', ';').replaceAll('"', ''));

  const wrong = new CopyFixture({ limits: { partBytes: 10 } });
  wrong.source.put('in/t.csv', `id,text\n${Array.from({ length: 50 }, (_, row) => `${row},"a\n1,b"\n`).join('')}`);
  const code = codeOf(await wrong.run(makeJob({ sourceFormat: format, sinkFormat: semicolons })));
  assert.ok(code === engineErrors.ROWS_OVERLAP.code || code.startsWith('DMG_FORMATS_'), code);
  assert.equal(wrong.sink.objects.size, 0);
});

test('a wrong cut that every chunk can read is seen before anything is published', async () => {
  const fixture = new CopyFixture({ limits: { partBytes: 3 } });
  // Both halves of the quoted value look like rows of their own.
  fixture.source.put('in/t.csv', 'a,b\n1,"xxxxxxxxxxxxxxxxxxxxx\nyyyyyyyyyyyyyyyyyyyy,z\nqqqqqqqqqqqqqqqqqqqqqqqqqq,r"\n');
  const outcome = await fixture.run(makeJob({ sourceFormat: { ...csv, multilineRows: false }, sinkFormat: semicolons }));
  assert.ok(outcome.kind === 'failed' && !isDmgError(outcome));
  assert.equal(codeOf(outcome), engineErrors.ROWS_OVERLAP.code);
  assert.equal(fixture.sink.objects.size, 0);
});
