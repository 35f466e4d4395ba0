import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { serialize } from 'node:v8';
import fc from 'fast-check';
import { backoffMs, defaultBackoff } from './backoff.ts';
import { newId, newUuid } from './ids.ts';
import { seededRandom, systemRandom } from './random.ts';
import { Secret } from './secret.ts';
import { isStopReason, StopReason } from './stop-reason.ts';

const canary = 'canary-4711';
/** What a careless template does; the types would warn. */
const template = (value: unknown): string => `${value as string}`;

test('a secret cannot be printed in any way that JavaScript has', () => {
  const secret = new Secret(canary);
  const holder = { password: secret, list: [secret], map: new Map([['key', secret]]) };
  const printed: string[] = [
    String(secret),
    template(secret),
    [secret, secret].join(''),
    [secret].join(),
    inspect(secret),
    inspect(holder, { showHidden: true, depth: 9, customInspect: false }),
    inspect(holder),
    format('%s %o %O %j %d', secret, secret, secret, secret, secret),
    JSON.stringify(holder),
    JSON.stringify(structuredClone(holder)),
    serialize(holder).toString('latin1'),
    Object.entries(secret).join(),
    new Error(template(secret), { cause: secret }).stack ?? '',
    inspect(new Error('x', { cause: holder })),
    Object.prototype.toString.call(secret),
    secret.toLocaleString(),
    String(Object.getOwnPropertyNames(secret)),
  ];
  for (const text of printed) assert.ok(!text.includes(canary), text);
  assert.equal(template(secret), '***');
  assert.equal(JSON.stringify(secret), '"***"');
  assert.equal(secret.reveal(), canary);
});

test('a backoff stays between half of its delay and its delay, grows, and is capped', () => {
  const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.nat(5_000), unit, (repetition, jitter) => {
      const wholeMs = Math.min(defaultBackoff.maxMs, defaultBackoff.firstMs * defaultBackoff.factor ** repetition);
      const delayMs = backoffMs(repetition, jitter);
      assert.ok(delayMs >= wholeMs / 2 && delayMs <= wholeMs, `${delayMs} of ${wholeMs}`);
    }),
  );
  assert.equal(backoffMs(0, 0), 100);
  assert.equal(backoffMs(3, 0, { firstMs: 10, factor: 3, maxMs: 100 }), 50);
});

test('ids are 128 random bits, UUIDs are version 4', () => {
  assert.match(newId(systemRandom), /^[0-9a-f]{32}$/);
  assert.match(newUuid(systemRandom), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const bytes = new Uint8Array(16).fill(0xff);
  const same = { bytes: () => bytes, unit: () => 0 };
  assert.equal(newUuid(same), 'ffffffff-ffff-4fff-bfff-ffffffffffff');
  assert.deepEqual(bytes, new Uint8Array(16).fill(0xff), 'the bytes of the source are not touched');
  assert.equal(new Set(Array.from({ length: 1_000 }, () => newId(systemRandom))).size, 1_000);
});

test('a seed repeats its numbers, and units stay below 1', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const [first, second] = [seededRandom(seed), seededRandom(seed)];
      for (let round = 0; round < 20; round++) {
        const unit = first.unit();
        assert.equal(unit, second.unit());
        assert.ok(unit >= 0 && unit < 1);
        assert.deepEqual(first.bytes(5), second.bytes(5));
      }
    }),
  );
  const units = Array.from({ length: 1_000 }, () => systemRandom.unit());
  assert.ok(units.every((unit) => unit >= 0 && unit < 1) && new Set(units).size > 990);
});

test('a reason to stop is told by its kind, not by its class', () => {
  const reason: unknown = new StopReason('draining');
  assert.ok(isStopReason(reason) && isStopReason(reason, 'draining') && !isStopReason(reason, 'cancelled'));
  for (const other of [new Error('draining'), 'draining', undefined]) assert.equal(isStopReason(other), false);
});
