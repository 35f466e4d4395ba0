import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MemoryCell, readTableText, tableText, writeTableRow } from '@dmg/connector-testkit';
import type { ColumnMapping, DelimitedTextFormat } from '@dmg/model';
import fc from 'fast-check';
import { csv, receiptOf } from './testing/copy-fixture.ts';
import { byKey, fileEnd, tableEnd, tableJob, TableFixture, translatorOf } from './testing/table-fixture.ts';

const piece = fc.constantFrom(
  '', '"', '\\', '\\N', '\\.', ',', ';', '\t', '\n', '\r', '\r\n', '||', 'NULL', 'é', '😀', '\uFEFF', 'x', 'true',
);
const cell: fc.Arbitrary<MemoryCell> = fc.option(fc.array(piece, { maxLength: 4 }).map((parts) => parts.join('')), { nil: null, freq: 6 });
/** A key, which is distinct, and some values. */
const matrix = fc.integer({ min: 0, max: 4 }).chain((width) =>
  fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 25 })
    .map((rows) => ({ width, rows: rows.map((row, index): MemoryCell[] => [String(index), ...row]) })));

const dialect: fc.Arbitrary<DelimitedTextFormat> = fc.record({
  columnDelimiter: fc.constantFrom(',', ';', '||', '\t'), rowDelimiter: fc.constantFrom('', '\n', '\r\n', '<>'),
  escapeChar: fc.constantFrom('"', '\\'), nullValue: fc.constantFrom('', 'NULL'), quoteAllText: fc.boolean(),
  firstRowAsHeader: fc.boolean(),
}).map((chosen) => ({ ...csv, ...chosen }));

const sizes = fc.record({
  partBytes: fc.integer({ min: 8, max: 300 }), blockBytes: fc.integer({ min: 1, max: 200 }), partitionRows: fc.integer({ min: 1, max: 30 }),
});

/** Which source column (from 0) each column of the result is; undefined: no mapping. The key comes first. */
const choiceOf = (width: number): fc.Arbitrary<readonly number[] | undefined> =>
  fc.option(fc.shuffledSubarray(Array.from({ length: width }, (_, index) => index + 1)).map((rest) => [0, ...rest]), { nil: undefined });

const shape = matrix.chain((table) => fc.record({
  table: fc.constant(table), first: choiceOf(table.width), format: dialect, size: sizes, chooses: fc.boolean(), byOrdinal: fc.boolean(),
}));

test('rows in are rows out: table to file to table and table to table, for any values, mappings and dialects', async () => {
  const seen = new Set<string>();
  await fc.assert(fc.asyncProperty(shape, async ({ table, first, format, size, chooses, byOrdinal }) => {
    const { partBytes, blockBytes, partitionRows } = size;
    const limits = { partBytes };
    const fixture = new TableFixture({ fileLimits: limits, tables: { limits, blockBytes, partitionRows, choosesColumns: chooses } });
    const names = ['k#', ...Array.from({ length: table.width }, (_, index) => `c${index}`)];
    fixture.db1.create('t', names, table.rows);
    const chosen = first ?? names.map((_, index) => index);
    const expected = table.rows.map((row) => chosen.map((index) => row[index] ?? null));
    const plainNames = names.map((name) => name.replace('#', ''));
    const mappings = (first ?? []).map((index, place): ColumnMapping => ({
      source: byOrdinal ? { ordinal: index + 1 } : { name: plainNames[index] ?? '' }, sink: { name: `d${place}` },
    }));
    const translator = first === undefined ? {} : { translator: translatorOf(mappings) };
    const sinkNames = first === undefined ? plainNames : first.map((_, place) => `d${place}`);

    const out = receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), fileEnd('b', format), translator)));
    seen.add(`file ${fixture.files.sink.job('job-1').plan?.representation}`);
    assert.equal(out.rowsWritten, expected.length);
    const text = fixture.files.sink.get('out/t.txt') ?? new Uint8Array();
    fixture.files.source.put('in/t.csv', text);
    // Columns of the second table stand in another order; without a header they go by position.
    fixture.db2.create('back', format.firstRowAsHeader ? sinkNames.toReversed() : sinkNames);
    const back = receiptOf(await fixture.run(tableJob(fileEnd('a', format), tableEnd('db2', 'back'), {}, { jobId: 'back' })));
    // An empty file without header has no columns, and no rows.
    assert.equal(back.rowsWritten, expected.length);
    const inOrder = (rows: readonly (readonly MemoryCell[])[]): (readonly MemoryCell[])[] =>
      byKey(format.firstRowAsHeader ? rows.map((row) => row.toReversed()) : rows);
    assert.deepEqual(inOrder(fixture.db2.tables.get('back')?.rows ?? []), expected);

    fixture.db2.create('direct', [...sinkNames].toReversed());
    const direct = receiptOf(await fixture.run(tableJob(tableEnd('db1', 't'), tableEnd('db2', 'direct'), translator, { jobId: 'direct' })));
    seen.add(`table ${fixture.db2.job('direct').plan?.representation}`);
    assert.equal(direct.rowsWritten, expected.length);
    assert.deepEqual(byKey((fixture.db2.tables.get('direct')?.rows ?? []).map((row) => row.toReversed())), expected);
    assert.equal(fixture.openHandles, 0);
  }), { numRuns: 150 });
  assert.deepEqual([...seen].toSorted(), ['file bytes', 'file rows', 'table bytes', 'table rows']);
});

test('the test database reads what it writes', () => {
  const text = writeTableRow(['a\tb', null, '\\N', ''], tableText);
  assert.deepEqual(readTableText(text, 4), [['a\tb', null, '\\N', '']]);
});
