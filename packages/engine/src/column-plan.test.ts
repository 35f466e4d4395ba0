import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InterimType, TableColumn, Translator } from '@dmg/model';
import { planColumns, type SourceShape, tableTranslator } from './column-plan.ts';
import { engineErrors } from './errors.ts';
import { translatorOf } from './testing/table-fixture.ts';

const column = (name: string, type: InterimType = 'String'): TableColumn => ({ name, type, nullable: true });
const table = [column('Id', 'Int32'), column('name'), column('Name'), column('at', 'DateTime'), column('on', 'Boolean')];
const file = (names: readonly string[]): SourceShape => ({ path: 'f.csv', names, count: names.length });
const bare = (count: number): SourceShape => ({ path: 'f.csv', names: undefined, count });
const target = { path: 't', columns: table };
const namesOf = (columns: readonly TableColumn[]): string[] => columns.map(({ name }) => name);

test('without mappings: by name, exactly or else in another case, where that is one; without names by position', () => {
  assert.deepEqual(namesOf(planColumns(undefined, file(['Name', 'id', 'name']), target)), ['Name', 'Id', 'name']);
  assert.throws(() => planColumns(undefined, file(['NAME']), target), {
    code: engineErrors.COLUMN_NOT_IN_TABLE.code, message: /names name, Name differ from it in case only/,
  });
  assert.throws(() => planColumns(undefined, file(['id', 'nope']), target), {
    message: /column nope of f\.csv to t: .*Source: id, nope\. Table: Id, name, Name, at, on\./,
  });
  assert.throws(() => planColumns(undefined, file(['id', 'ID']), target), { code: engineErrors.COLUMN_MAPPED_TWICE.code });
  assert.deepEqual(planColumns(undefined, bare(5), target), table);
  const differs = { code: engineErrors.COLUMN_COUNTS_DIFFER.code, message: /4 columns .* has 5/ };
  assert.throws(() => planColumns(undefined, bare(4), target), differs);
  assert.deepEqual(planColumns(undefined, file([]), target), table);
});

test('a column that the table numbers by itself is written where it is named, and has no place', () => {
  const numbered = { path: 't', columns: [{ ...column('key', 'Int32'), numbered: true }, ...table] };
  assert.deepEqual(planColumns(undefined, bare(5), numbered), table);
  assert.deepEqual(planColumns(undefined, file([]), numbered), table);
  assert.deepEqual(namesOf(planColumns(undefined, file(['key', 'at']), numbered)), ['key', 'at']);
  const first = translatorOf([{ source: { ordinal: 1 }, sink: { ordinal: 1 } }]);
  assert.deepEqual(namesOf(planColumns(first, file(['a']), numbered)), ['Id']);
});

test('mappings name columns by name or ordinal on either side, and stand in their order', () => {
  const mapped = (...mappings: Parameters<typeof translatorOf>[0]): string[] =>
    namesOf(planColumns(translatorOf(mappings), file(['a', 'b', 'at']), target));
  const byOrdinal = { source: { ordinal: 1 }, sink: { ordinal: 1 } };
  assert.deepEqual(mapped({ source: { name: 'b' }, sink: { name: 'name' } }, byOrdinal), ['name', 'Id']);
  assert.deepEqual(mapped({ source: { name: 'at' }, sink: {} }), ['at']);
  assert.deepEqual(mapped({ source: { ordinal: 3 }, sink: {} }), ['at']);
  assert.throws(() => mapped({ source: { name: 'b' }, sink: { ordinal: 6 } }), { message: /number 6 .*has 5 columns/ });
  assert.throws(() => mapped({ source: { name: 'x' }, sink: { name: 'at' } }), { code: 'DMG_FORMATS_COLUMN_NOT_FOUND' });
  assert.throws(() => mapped({ source: { ordinal: 4 }, sink: { name: 'at' } }), { code: 'DMG_FORMATS_COLUMN_NOT_FOUND' });
  assert.throws(
    () => mapped({ source: { name: 'a' }, sink: { name: 'at' } }, { source: { name: 'b' }, sink: { name: 'AT' } }),
    { code: engineErrors.COLUMN_MAPPED_TWICE.code },
  );
  // An empty file has no columns to find.
  assert.deepEqual(namesOf(planColumns(translatorOf([{ source: { name: 'x' }, sink: { name: 'AT' } }]), file([]), target)), ['at']);
});

test('a table that is to be created takes the columns of the source: text where that is a file', () => {
  const none = { path: 't', columns: undefined };
  assert.deepEqual(planColumns(undefined, file(['a', 'b']), none), [column('a'), column('b')]);
  assert.deepEqual(planColumns(undefined, bare(2), none), [column('Prop_0'), column('Prop_1')]);
  assert.throws(() => planColumns(undefined, file(['a', '']), none), { code: engineErrors.COLUMN_UNNAMED.code });
  assert.throws(() => planColumns(undefined, file(['a', 'a']), none), { code: engineErrors.COLUMN_MAPPED_TWICE.code });
  const columns = [{ ...column('x', 'Int64'), nativeType: 'bigint' }, column('y')];
  const source: SourceShape = { path: 's', names: ['x', 'y'], count: 2, columns };
  const mappings = [
    { source: { name: 'y' }, sink: { name: 'why', type: 'Decimal' as const } }, { source: { name: 'x' }, sink: { name: 'ex' } },
  ];
  assert.deepEqual(planColumns(translatorOf(mappings), source, none), [
    { name: 'why', type: 'Decimal', nullable: true }, { name: 'ex', type: 'Int64', nativeType: 'bigint', nullable: true },
  ]);
});

test('whoever resumes pairs the same columns from the plan alone', () => {
  const mappings = [{ source: { ordinal: 2 }, sink: { ordinal: 4 } }, { source: { name: 'a' }, sink: { ordinal: 1 } }];
  const columns = planColumns(translatorOf(mappings), file(['a', 'b']), target);
  assert.deepEqual(tableTranslator(translatorOf(mappings), { source: undefined, sink: columns })?.mappings, [
    { source: { ordinal: 2 }, sink: { name: 'at', held: { of: 'time', scale: 6 } } }, { source: { name: 'a' }, sink: { name: 'Id' } },
  ]);
  assert.equal(tableTranslator(undefined, { source: undefined, sink: columns.slice(1) }), undefined);
});

test('without conversion settings digits that the sink would cut off are looked for, where the source may have them', () => {
  const of = (type: InterimType, nativeType: string): TableColumn => ({ name: 'c', type, nativeType, nullable: true });
  const held = (sink: TableColumn, source?: TableColumn, settings?: Partial<Translator>): unknown =>
    tableTranslator(settings === undefined ? undefined : translatorOf([], settings), {
      sink: [sink], source: source === undefined ? undefined : [source],
    })?.mappings[0]?.sink.held;
  const two = of('Decimal', 'numeric(12,2)');
  assert.deepEqual(held(two), { of: 'number', scale: 2 });
  assert.deepEqual(held(two, of('Decimal', 'numeric(12,4)')), { of: 'number', scale: 2 });
  assert.deepEqual(held(two, of('Decimal', 'numeric')), { of: 'number', scale: 2 });
  assert.deepEqual(held(two, of('String', 'text')), { of: 'number', scale: 2 });
  assert.deepEqual(held(of('DateTime', 'date'), of('DateTime', 'timestamp without time zone')), { of: 'time', scale: -1 });
  for (const source of [two, of('Decimal', 'numeric(9,1)'), of('Int64', 'bigint')]) assert.equal(held(two, source), undefined);
  assert.equal(held(of('Decimal', 'numeric')), undefined);
  assert.equal(held(of('String', 'text')), undefined);
  const allowed = { typeConversion: true, typeConversionSettings: { allowDataTruncation: true, treatBooleanAsNumber: false } };
  assert.equal(held(two, of('Decimal', 'numeric'), allowed), undefined);
});

test('a value is converted only where the activity says how', () => {
  const settings = { allowDataTruncation: true, treatBooleanAsNumber: true, dateTimeFormat: 'dd.MM.yyyy' };
  const converting = { typeConversion: true, typeConversionSettings: settings };
  const plain = translatorOf([], { typeConversion: true });
  // The settings' formats are for files, and for columns that they concern.
  const some = table.filter(({ type }) => type !== 'String');
  assert.deepEqual(tableTranslator(translatorOf([], converting), { source: undefined, sink: some }), {
    typeConversion: true,
    typeConversionSettings: { allowDataTruncation: true, treatBooleanAsNumber: true },
    mappings: [
      { source: { ordinal: 1 }, sink: { name: 'Id' } },
      { source: { ordinal: 2, format: 'dd.MM.yyyy' }, sink: { name: 'at', type: 'DateTime' } },
      { source: { ordinal: 3 }, sink: { name: 'on' } },
    ],
  });
  assert.deepEqual(tableTranslator(translatorOf([], converting), { source: table.slice(3), sink: undefined })?.mappings, [
    { source: { ordinal: 1, type: 'DateTime' }, sink: { format: 'dd.MM.yyyy' } }, { source: { ordinal: 2, type: 'Boolean' }, sink: {} },
  ]);
  assert.equal(tableTranslator(plain, { source: table, sink: undefined }), undefined);
  assert.equal(tableTranslator(translatorOf([], converting), { source: table, sink: table }), undefined);
  // Types that are those of the columns ask for nothing; others do.
  const typed = (source: InterimType, sink: InterimType | undefined, to: readonly TableColumn[] | undefined): unknown =>
    tableTranslator(
      translatorOf([{ source: { name: 'Id', type: source }, sink: { name: 'Id', ...(sink === undefined ? {} : { type: sink }) } }]),
      { source: table, sink: to },
    )?.mappings[0];
  const carried = { source: { name: 'Id' }, sink: { name: 'Id' } };
  assert.deepEqual(typed('Int32', 'String', undefined), carried);
  assert.deepEqual(typed('Int32', 'Int32', table), carried);
  assert.deepEqual(typed('Int32', 'Int64', undefined), { source: { name: 'Id', type: 'Int32' }, sink: { name: 'Id', type: 'Int64' } });
  assert.deepEqual(typed('String', undefined, table), { source: { name: 'Id', type: 'String' }, sink: { name: 'Id' } });
});
