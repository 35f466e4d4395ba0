import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeldDigits } from '@dmg/model';
import { digitLoss } from './digit-check.ts';

const bytesOf = new TextEncoder();
function isLost(held: HeldDigits, text: string): boolean {
  const bytes = bytesOf.encode(`9.9${text}9.9`);
  return digitLoss(held, bytes, 3, bytes.length - 3) !== undefined;
}

test('digits of a number that its column does not hold are a loss, zeros and text that only a server reads are none', () => {
  const two: HeldDigits = { of: 'number', scale: 2 };
  for (const text of ['1.005', '-0.001', '12e-3', '.125', '1.2345E1', ' 1.001 ', '99999999999999999999999999.999']) {
    assert.ok(isLost(two, text), text);
  }
  for (const text of ['1', '1.2', '-1.230', '1.5e0', '125e-2', '1.2345e2', '', 'NaN', 'Infinity', '$1.005', '1,000.005', '.', '0']) {
    assert.ok(!isLost(two, text), text);
  }
  assert.ok(isLost({ of: 'number', scale: -2 }, '150'));
  assert.ok(!isLost({ of: 'number', scale: -2 }, '1500'));
  assert.ok(isLost({ of: 'number', scale: 0 }, '1.5'));
  assert.ok(!isLost({ of: 'number', scale: 0 }, '1.0'));
});

test('parts of a time that its column does not hold are a loss', () => {
  const seconds = (scale: number): HeldDigits => ({ of: 'time', scale });
  for (const [scale, text] of [
    [6, '2024-01-01 00:00:00.1234567'], [0, '10:00:00.5'], [3, '2024-01-01T10:00:00.0001+02:00'], [-1, '2024-01-01 00:00:01'],
    [-1, '2024-01-01T10:00Z'], [-1, '2024-01-01 00:00:00.001'], [6, '1 day 02:00:00.0000001'],
  ] as const) assert.ok(isLost(seconds(scale), text), text);
  for (const [scale, text] of [
    [6, '2024-01-01 00:00:00.1234560'], [0, '10:00:00.000'], [0, '10:11:12'], [-1, '2024-01-01'], [-1, '2024-01-01 00:00:00.000+05:30'],
    [-1, 'infinity'], [-1, '2024-01-01+02:00'], [-1, '2024-01-01-02:00'], [6, 'P1DT2.5S'], [6, ''], [3, '2024-01-01 10:00:00.123-05:30'],
  ] as const) assert.ok(!isLost(seconds(scale), text), text);
});
