import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasCode } from '@dmg/base';
import { type ColumnRef, interimTypes, type InterimType, type TypeConversionSettings } from '@dmg/model';
import { ByteBuffer } from '../byte-buffer.ts';
import { compileConverter } from './converter.ts';
import { conversions, families } from './value.ts';

const strict: TypeConversionSettings = { allowDataTruncation: false, treatBooleanAsNumber: false };
const lax: TypeConversionSettings = { ...strict, allowDataTruncation: true };

/** The converted text, or `!reason`. */
function convert(text: string, source: ColumnRef, sink: ColumnRef, settings = strict): string {
  const converter = compileConverter({ source, sink, settings });
  if (converter === undefined) return text;
  const target = new ByteBuffer(4);
  const bytes = Buffer.from(`xx${text}yy`);
  const problem = converter.convert(bytes, 2, bytes.length - 2, target);
  return problem === undefined ? Buffer.from(target.bytes.subarray(target.start, target.end)).toString() : `!${problem.reason}`;
}

type Row = readonly [text: string, from: InterimType, to: InterimType, result: string, settings?: TypeConversionSettings];
const fails = '!';

function check(rows: readonly Row[]): void {
  for (const [text, from, to, result, settings] of rows) {
    const found = convert(text, { type: from }, { type: to }, settings);
    const label = `${text} from ${from} to ${to}: ${found}`;
    if (result === fails) assert.equal(found.charAt(0), '!', label);
    else assert.equal(found, result, label);
  }
}

describe('conversions', () => {
  test('integers, to the last digit', () => check([
    ['9223372036854775807', 'String', 'Int64', '9223372036854775807'],
    ['9223372036854775808', 'String', 'Int64', fails],
    ['-9223372036854775808', 'Int64', 'Int64', '-9223372036854775808'],
    ['-9223372036854775809', 'Int64', 'Int64', fails],
    ['18446744073709551615', 'UInt64', 'UInt64', '18446744073709551615'],
    ['18446744073709551616', 'UInt64', 'UInt64', fails],
    ['-1', 'Int32', 'UInt32', fails],
    ['-0', 'Int32', 'UInt32', '0'],
    ['255', 'Int32', 'Byte', '255'], ['256', 'Int32', 'Byte', fails], ['-128', 'Int16', 'SByte', '-128'], ['-129', 'Int16', 'SByte', fails],
    ['32767', 'Int64', 'Int16', '32767'], ['32768', 'Int64', 'Int16', fails], ['65536', 'Int64', 'UInt16', fails],
    ['2147483648', 'Int64', 'Int32', fails],
    ['300', 'Byte', 'Int32', fails],
    [' 007 ', 'String', 'Int32', '7'], ['+5', 'String', 'Int32', '5'], ['000', 'String', 'Byte', '0'], ['1e3', 'String', 'Int32', '1000'],
    ['12.0', 'String', 'Int32', '12'], ['12.5', 'String', 'Int32', fails], ['', 'String', 'Int32', fails],
    ['1 2', 'String', 'Int32', fails],
    ['0x10', 'String', 'Int32', fails], ['1,000', 'String', 'Int32', fails], ['١', 'String', 'Int32', fails],
    ['-', 'String', 'Int32', fails],
    ['12', 'Int32', 'String', '12'],
  ]));

  test('decimals keep digits and scale', () => check([
    ['1.10', 'Decimal', 'Decimal', '1.10'], [
      '-007.50', 'String', 'Decimal', '-7.50',
    ], ['.5', 'String', 'Decimal', '0.5'], ['5.', 'String', 'Decimal', '5'],
    ['0.00000000000000000001', 'Decimal', 'Decimal', '0.00000000000000000001'],
    ['99999999999999999999999999999999999999', 'String', 'Decimal', '99999999999999999999999999999999999999'],
    ['999999999999999999999999999999999999999', 'String', 'Decimal', fails],
    [
      '1.25e-3', 'String', 'Decimal', '0.00125',
    ], ['1e9999', 'String', 'Decimal', fails], ['0e9999', 'String', 'Decimal', '0'], ['-0.00', 'String', 'Decimal', '0.00'],
    ['12.00', 'Decimal', 'Int32', '12'], ['12.9', 'Decimal', 'Int32', fails], [
      '-12.9', 'Decimal', 'Int32', '-12', lax,
    ], ['-0.9', 'Decimal', 'Byte', '0', lax],
    ['9007199254740993', 'Int64', 'Decimal', '9007199254740993'],
    ['1.5', 'Decimal', 'String', '1.5'],
  ]));

  test('floating point is never silent about digits', () => check([
    ['0.1', 'Double', 'Double', '0.1'], ['1.10', 'String', 'Double', '1.1'], ['1e400', 'String', 'Double', fails],
    ['1e39', 'String', 'Single', fails],
    ['0.1', 'Single', 'Single', '0.1'], ['16777217', 'Single', 'Single', '16777216'], [
      '3.4028235E+38', 'Single', 'Single', '3.4028235e+38',
    ],
    ['9007199254740993', 'Int64', 'Double', fails], ['9007199254740993', 'Int64', 'Double', '9007199254740992', lax],
    ['9007199254740992', 'Int64', 'Double', '9007199254740992'], ['0.1', 'Decimal', 'Double', '0.1'],
    ['0.12345678901234567890', 'Decimal', 'Double', fails],
    ['1e21', 'Double', 'Decimal', '1000000000000000000000'], ['1e300', 'Double', 'Decimal', fails],
    ['2.5', 'Double', 'Int32', fails], ['2.5', 'Double', 'Int32', '2', lax], ['2', 'Double', 'Int32', '2'],
    ['NaN', 'Double', 'Double', 'NaN'], ['NaN', 'Double', 'Int32', fails], ['-Infinity', 'Double', 'String', '-Infinity'],
    ['0.1', 'Double', 'Single', '0.1'], [
      '0.123456789012', 'Double', 'Single', fails,
    ], ['abc', 'Double', 'Double', fails], ['1.5', 'Decimal', 'Single', '1.5'],
  ]));

  test('booleans', () => check([
    ['TRUE', 'String', 'Boolean', 'True'], ['0', 'String', 'Boolean', 'False'], ['yes', 'String', 'Boolean', fails],
    ['true', 'Boolean', 'Int32', '1'], ['false', 'Boolean', 'Decimal', '0'], ['true', 'Boolean', 'Double', '1'],
    ['true', 'Boolean', 'String', 'True'],
    ['true', 'Boolean', 'String', '1', { ...strict, treatBooleanAsNumber: true }],
    ['1', 'Int32', 'Boolean', 'True'], ['0.00', 'Decimal', 'Boolean', 'False'], ['1.00', 'Decimal', 'Boolean', 'True'],
    ['2', 'Int32', 'Boolean', fails], ['2', 'Int32', 'Boolean', 'True', lax], ['0.5', 'Decimal', 'Boolean', fails],
    ['1', 'Double', 'Boolean', 'True'],
  ]));

  test('GUIDs and bytes', () => check([
    ['{0E984725-C51C-4BF4-9960-E1C80E27ABA0}', 'String', 'Guid', '0e984725-c51c-4bf4-9960-e1c80e27aba0'],
    ['0e984725c51c4bf49960e1c80e27aba0', 'Guid', 'String', '0e984725-c51c-4bf4-9960-e1c80e27aba0'], ['0e98', 'String', 'Guid', fails],
    ['AQID', 'String', 'Byte[]', 'AQID'], ['AQI=', 'Byte[]', 'String', 'AQI='], ['AQI', 'String', 'Byte[]', fails],
    ['AQJ=', 'String', 'Byte[]', fails],
  ]));

  test('dates and times, to 100 ns', () => check([
    [
      '2024-02-29', 'String', 'DateTime', '2024-02-29 00:00:00.0000000',
    ], ['2023-02-29', 'String', 'DateTime', fails], ['1900-02-29', 'String', 'DateTime', fails],
    [
      '2000-02-29T23:59:59.1234567', 'DateTime', 'DateTime', '2000-02-29 23:59:59.1234567',
    ], ['0001-01-01', 'DateTime', 'String', '0001-01-01 00:00:00.0000000'],
    ['9999-12-31 23:59:59.9999999', 'DateTime', 'DateTime', '9999-12-31 23:59:59.9999999'], ['0000-01-01', 'DateTime', 'DateTime', fails],
    ['2024-01-01 00:00:00.12345678', 'DateTime', 'DateTime', fails], [
      '2024-01-01 00:00:00.12345670', 'DateTime', 'DateTime', '2024-01-01 00:00:00.1234567',
    ],
    ['2024-01-01 00:00:00.12345678', 'DateTime', 'DateTime', '2024-01-01 00:00:00.1234567', lax],
    [
      '2024-01-01T10:00:00Z', 'String', 'DateTime', '2024-01-01 10:00:00.0000000',
    ], ['2024-01-01T10:00:00+01:00', 'String', 'DateTime', fails],
    ['2024-01-01T10:00:00+01:00', 'String', 'DateTime', '2024-01-01 10:00:00.0000000', lax],
    ['2024-01-01T10:00:00-05:30', 'String', 'DateTimeOffset', '2024-01-01 10:00:00.0000000 -05:30'],
    [
      '2024-01-01T10:00', 'String', 'DateTimeOffset', '2024-01-01 10:00:00.0000000 +00:00',
    ], ['2024-01-01T10:00:00+15:00', 'String', 'DateTimeOffset', fails],
    ['2024-01-01T10:00:00+02:00', 'DateTimeOffset', 'DateTime', fails], [
      '2024-01-01T10:00:00+00:00', 'DateTimeOffset', 'DateTime', '2024-01-01 10:00:00.0000000',
    ],
    ['2024-01-01', 'DateTime', 'DateTimeOffset', '2024-01-01 00:00:00.0000000 +00:00'],
    [
      '2024-01-01 24:00', 'DateTime', 'DateTime', fails,
    ], ['2024-13-01', 'DateTime', 'DateTime', fails], ['1/2/2024', 'DateTime', 'DateTime', fails],
    [
      '1.02:03:04.5', 'String', 'TimeSpan', '1.02:03:04.5000000',
    ], ['-00:00:01', 'TimeSpan', 'String', '-00:00:01'], ['25:00:00', 'String', 'TimeSpan', fails],
    ['10675199.00:00:00', 'String', 'TimeSpan', fails], ['5', 'String', 'TimeSpan', fails],
  ]));

  test('text of database servers', () => {
    const served = (text: string, source: ColumnRef, sink: ColumnRef): string => convert(text, source, sink);
    assert.equal(served('\\x010203', { type: 'Byte[]', text: 'server' }, { type: 'String' }), 'AQID');
    assert.equal(served('AQID', { type: 'Byte[]' }, { text: 'server' }), '\\x010203');
    assert.equal(served('\\x', { type: 'Byte[]', text: 'server' }, { text: 'server' }), '\\x');
    assert.equal(served('AQID', { type: 'Byte[]', text: 'server' }, {}).charAt(0), fails);
    assert.equal(served('1.02:03:04.5', { type: 'TimeSpan' }, { text: 'server' }), '1 days 02:03:04.5000000');
    assert.equal(served('-1.02:03:04', { type: 'TimeSpan' }, { text: 'server' }), '-1 days -02:03:04');
    assert.equal(served('-02:03:04', { type: 'TimeSpan' }, { text: 'server' }), '-02:03:04');
    assert.equal(served('2024-01-01 10:00:00+00', { type: 'DateTimeOffset' }, {}), '2024-01-01 10:00:00.0000000 +00:00');
    assert.equal(served('2024-01-01 10:00:00.5-05:30', { type: 'DateTimeOffset' }, {}), '2024-01-01 10:00:00.5000000 -05:30');
  });

  test('digits that a column does not hold are refused, unless they may be lost', () => {
    const held = (text: string, type: InterimType, scale: number, settings = strict): string => convert(text, { type }, { scale },
      settings);
    assert.equal(held('1.230', 'Decimal', 2), '1.230');
    assert.equal(held('1.231', 'Decimal', 2), '!the column holds 2 digits behind the point');
    assert.equal(held('0.001', 'Decimal', 2), '!the column holds 2 digits behind the point');
    assert.equal(held('1200', 'Decimal', -2), '1200');
    assert.equal(held('1210', 'Decimal', -2), '!the column holds -2 digits behind the point');
    assert.equal(held('1.231', 'Decimal', 2, lax), '1.231');
    assert.equal(held('2024-01-01 00:00:00.123456', 'DateTime', 6), '2024-01-01 00:00:00.1234560');
    assert.equal(held('2024-01-01 00:00:00.1234567', 'DateTime', 6), '!the column holds 6 digits of a second');
    assert.equal(held('2024-01-01', 'DateTime', -1), '2024-01-01 00:00:00.0000000');
    assert.equal(held('2024-01-01 00:00:00.1', 'DateTime', -1), '!the column holds no time of day');
    assert.equal(held('00:00:01.5', 'TimeSpan', 0), '!the column holds 0 digits of a second');
  });

  test('formats', () => {
    const read = (text: string, format: string, type: InterimType = 'DateTime'): string => convert(text, { type, format }, {});
    assert.equal(read('31/1/24 7:05 PM', 'd/M/yy h:mm tt'), '2024-01-31 19:05:00.0000000');
    assert.equal(read('31/1/30 12:05 am', 'd/M/yy h:mm tt'), '1930-01-31 00:05:00.0000000');
    assert.equal(read('Wed, 31 January 2024', 'ddd, d MMMM yyyy'), '2024-01-31 00:00:00.0000000');
    assert.equal(read('Thu, 31 January 2024', 'ddd, d MMMM yyyy'), '!the day of the week does not belong to the date');
    assert.equal(read('20240131T070809.12', "yyyyMMdd'T'HHmmss.ff"), '2024-01-31 07:08:09.1200000');
    assert.equal(read('2024-01-31T07:08:09Z', 'yyyy-MM-ddTHH:mm:ssZ'), '2024-01-31 07:08:09.0000000');
    assert.equal(read('2024-01-31 07:08:09', 'yyyy-MM-dd HH:mm:ss.FFF'), '2024-01-31 07:08:09.0000000');
    assert.equal(read('2024-1-31', 'yyyy-MM-dd'), '!it does not match the format');
    assert.equal(read('2024-01-31x', 'yyyy-MM-dd'), '!it is longer than the format');
    assert.equal(read('2024-01-31 +0530', 'yyyy-MM-dd zzz', 'DateTimeOffset'), '2024-01-31 00:00:00.0000000 +05:30');
    assert.equal(read('2 hours 3 minutes', "h' hours 'm' minutes'", 'TimeSpan'), '02:03:00');
    assert.equal(read('12.03', 'd\\.hh', 'TimeSpan'), '12.03:00:00');

    const write = (
      format: string, type: InterimType = 'DateTime', text = '2024-03-05 14:07:09.1200000',
    ): string => convert(text, { type }, { type: 'String', format });
    assert.equal(write('dddd, MMM d yy h:m:s t'), 'Tuesday, Mar 5 24 2:7:9 P');
    assert.equal(write('yyyy-MM-ddTHH:mm:ss.FFFFFFF'), '2024-03-05T14:07:09.12');
    assert.equal(write('HH:mm:ss.FFF', 'DateTime', '2024-03-05 00:00:00'), '00:00:00');
    assert.equal(write('o', 'DateTimeOffset', '2024-03-05 14:07:09.12 +01:00'), '2024-03-05T14:07:09.1200000+01:00');
    assert.equal(write('s'), '2024-03-05T14:07:09');
    assert.equal(write('ddd\\.hh\\:mm', 'TimeSpan', '-5.06:07:08'), '-005.06:07');
    const settings = { ...strict, dateTimeFormat: 'dd.MM.yyyy' };
    assert.equal(convert('05.03.2024', { type: 'DateTime' }, { type: 'DateTime', format: 'yyyy' }, settings), '2024');
    assert.equal(convert('05.03.2024', { type: 'DateTime' }, { type: 'String' }, settings), '05.03.2024');
  });

  test('formats that cannot work are refused when compiled', () => {
    const refused = (source: ColumnRef, sink: ColumnRef, code: string): void =>
      assert.throws(() => compileConverter({ source, sink, settings: strict }), (error) => hasCode(error, `DMG_FORMATS_${code}`));
    for (const format of ['yyyy-QQ', 'yyyyy', "yyyy'", 'h:mm yyyy', 'MM/dd', 'yyyy\\', 'yyyy yy', '--', 'yyyy zzz']) {
      refused({ type: 'DateTime', format }, {}, 'BAD_PATTERN');
    }
    refused({ type: 'TimeSpan', format: 'yyyy' }, {}, 'BAD_PATTERN');
    refused({ type: 'Int32', format: 'N2' }, {}, 'BAD_MAPPING');
    refused({ type: 'Decimal', culture: 'de-de' }, {}, 'BAD_MAPPING');
    assert.equal(convert('1', { type: 'Decimal', culture: 'en-us' }, {}), '1');
  });

  test('the matrix: what it allows compiles, what it does not is refused', () => {
    for (const from of interimTypes) {
      for (const to of interimTypes) {
        const allowed = conversions[families[from]].includes(families[to]);
        const compile = (): unknown => compileConverter({ source: { type: from }, sink: { type: to }, settings: strict });
        if (allowed) compile();
        else assert.throws(compile, (error) => hasCode(error, 'DMG_FORMATS_BAD_MAPPING'));
      }
    }
    assert.equal(compileConverter({ source: {}, sink: { type: 'String' }, settings: strict }), undefined);
  });
});
