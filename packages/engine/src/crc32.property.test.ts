import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { combineCrc32 } from './crc32.ts';

test('the CRC of a concatenation is that of its pieces combined', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (pieces) => {
    const combined = pieces.reduce((sum, piece) => combineCrc32(sum, crc32(piece), piece.length), 0);
    assert.equal(combined, crc32(Buffer.concat(pieces)));
  }));
});

test('large pieces combine as well', () => {
  const whole = Buffer.alloc(5_000_001, 'some text of an odd length.');
  for (const cut of [1, 4_194_304, 4_999_999]) {
    const [first, second] = [whole.subarray(0, cut), whole.subarray(cut)];
    assert.equal(combineCrc32(crc32(first), crc32(second), second.length), crc32(whole));
  }
});
