import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { Secret } from '@dmg/base';
import { tagFromToken, tokenFromUuid, uuidFromToken } from './lock-token.ts';
import { pathCovers, verifySas } from './sas.ts';

const key = new Secret('c2VjcmV0');

function tokenFor(audience: string, expiresS: number, options: { key?: string; name?: string } = {}): string {
  const resource = encodeURIComponent(audience);
  const signature = createHmac('sha256', options.key ?? 'c2VjcmV0').update(`${resource}\n${expiresS}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiresS}&skn=${options.name ?? 'root'}`;
}

const verify = (token: string): ReturnType<typeof verifySas> => verifySas({ token, keyName: 'root', key, nowMs: 1_000_000 });

test('a good token opens its path', () => {
  assert.deepEqual(verify(tokenFor('sb://127.0.0.1:5672/queue/$management', 2000)), { ok: true, path: 'queue/$management' });
  assert.deepEqual(verify(tokenFor('sb://host/', 2000)), { ok: true, path: '' });
});

test('a token with another key, name, time or text opens nothing, and says why', () => {
  const reasons: [string, RegExp][] = [
    [tokenFor('sb://host/q', 2000, { key: 'other' }), /signature does not fit/],
    [tokenFor('sb://host/q', 2000, { name: 'other' }), /no key of that name/],
    [tokenFor('sb://host/q', 999), /expired/],
    [tokenFor('sb://host/q', 2000).replace('se=2000', 'se=3000'), /signature does not fit/],
    ['Bearer x', /no|not/],
    ['SharedAccessSignature sr=%&sig=%&se=x&skn=root', /signature does not fit/],
  ];
  for (const [token, reason] of reasons) {
    const verdict = verify(token);
    assert.ok(!verdict.ok);
    assert.match(verdict.reason, reason);
  }
});

test('a path covers itself and what is below it', () => {
  assert.ok(pathCovers('Queue', 'queue/$management'));
  assert.ok(pathCovers('queue', 'QUEUE'));
  assert.ok(pathCovers('', 'anything'));
  assert.ok(!pathCovers('queue', 'queue2'));
  assert.ok(!pathCovers('queue/$management', 'queue'));
});

test('a lock token has the byte order of .NET in a delivery tag', () => {
  const token = '00112233445566778899aabbccddeeff';
  assert.equal(tagFromToken(token).toString('hex'), '33221100554477668899aabbccddeeff');
  assert.equal(tokenFromUuid(uuidFromToken(token)), token);
});
