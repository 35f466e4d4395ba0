import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type InterimType, interimTypes } from '@dmg/model';
import { ByteBuffer } from '../byte-buffer.ts';
import { dateOfDayNumber, dayNumber } from './calendar.ts';
import { compileConverter } from './converter.ts';
import { conversions, families } from './value.ts';

const settings = { allowDataTruncation: false, treatBooleanAsNumber: false };

function convert(text: string, from: InterimType, to: InterimType): string | undefined {
  const target = new ByteBuffer(4);
  const bytes = Buffer.from(text);
  const problem = compileConverter({ source: { type: from }, sink: { type: to }, settings })?.convert(bytes, 0, bytes.length, target);
  return problem === undefined ? Buffer.from(target.bytes.subarray(target.start, target.end)).toString() : undefined;
}

test('64-bit integers come out as BigInt has them', () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }), fc.constantFrom('', '0', '+', ' '), (value, before) => {
    const text = value < 0n ? String(value) : before + String(value);
    const fits = value >= -(2n ** 63n) && value < 2n ** 63n;
    assert.equal(convert(text, 'String', 'Int64'), fits ? String(value) : undefined);
  }));
});

test('days and dates are each other’s inverse, and agree with Date', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 3_652_058 }), (day) => {
    const date = dateOfDayNumber(day);
    assert.equal(dayNumber(date), day);
    const expected = new Date(day * 86_400_000 - 62_135_596_800_000);
    assert.deepEqual(date, { year: expected.getUTCFullYear(), month: expected.getUTCMonth() + 1, day: expected.getUTCDate() });
  }));
});

test('a canonical text converts to itself', () => {
  const texts = fc.oneof(
    fc.integer().map(String), fc.double({ noNaN: true }).map(String), fc.boolean().map(String), fc.uuid(),
    fc.base64String({ maxLength: 20 }), fc.date(
      { min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true },
    ).map((date) => date.toISOString()),
    fc.string({ maxLength: 12 }),
  );
  fc.assert(fc.property(texts, fc.constantFrom(...interimTypes), (text, type) => {
    if (type === 'String') return;
    const once = convert(text, 'String', type);
    if (once !== undefined) assert.equal(convert(once, type, type), once);
  }), { numRuns: 1000 });
});

test('any text against any allowed pair gives a text or a reason, never an exception', () => {
  const pairs = interimTypes.flatMap(
    (from) => interimTypes.filter(
      (to) => conversions[families[from]].includes(families[to]) && (from !== 'String' || to !== 'String'),
    ).map((to) => [from, to] as const),
  );
  const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.stringMatching(/^[-+0-9.eE: TZ/]{0,24}$/));
  fc.assert(fc.property(texts, fc.constantFrom(...pairs), (text, [from, to]) => {
    convert(text, from, to);
  }), { numRuns: 3000 });
});

test('what is answered in place is what the general way answers', () => {
  // A format that says what the default says takes the general way.
  const general = (text: string, type: InterimType): string | undefined => {
    const target = new ByteBuffer(4);
    const bytes = Buffer.from(text);
    const format = type === 'DateTime' ? { format: 'yyyy-MM-dd HH:mm:ss.fffffff' } : {};
    // A number with white space before it is never plain, and means the same.
    const padded = type === 'Decimal' ? Buffer.concat([Buffer.from(' '), bytes]) : bytes;
    const converter = compileConverter({ source: { type }, sink: { type, ...format }, settings });
    const problem = converter?.convert(padded, 0, padded.length, target);
    return problem === undefined ? Buffer.from(target.bytes.subarray(target.start, target.end)).toString() : undefined;
  };
  const digits = fc.stringMatching(/^[0-9]{0,30}$/);
  const decimals = fc.tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.'), digits).map((parts) => parts.join(''));
  const isSame = (type: InterimType) => (text: string) => assert.equal(convert(text, type, type), general(text, type));
  fc.assert(fc.property(decimals, isSame('Decimal')), { numRuns: 3000 });
  const two = fc.stringMatching(/^[0-6][0-9]$/);
  const year = fc.stringMatching(/^[0-2][0-9]{3}$/);
  const fraction = fc.stringMatching(/^(\.[0-9]{0,9})?$/);
  const parts = fc.tuple(year, two, two, fc.constantFrom('', ' ', 'T', 't'), two, two, two, fraction);
  const times = parts.map(([y, month, day, between, hour, minute, second, f]) =>
    `${y}-${month}-${day}${between === '' ? '' : `${between}${hour}:${minute}:${second}${f}`}`);
  fc.assert(fc.property(times, isSame('DateTime')), { numRuns: 5000 });
});
