import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { isDmgError, Secret } from '@dmg/base';
import {
  deriveGatewayKeySecret, formatGatewayKey, type GatewayKey, gatewayKeyNames, gatewayKeySecretMatches, hashGatewayKeySecret,
  parseGatewayKey,
} from './gateway-key.ts';
import { MasterSecret } from './master-secret.ts';

const master = new MasterSecret(new Uint8Array(32).fill(7));
const gatewayId = '0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
const key: GatewayKey = {
  gatewayId, keyName: 'authKey1', endpoint: 'localhost:8443', caFingerprint: 'f'.repeat(43),
  secret: deriveGatewayKeySecret(master, { gatewayId, keyName: 'authKey1', generation: 1 }),
};

test('a key that was formatted is read as it was', () => {
  const read = parseGatewayKey(`  ${formatGatewayKey(key).reveal()}\n`);
  assert.equal(read.secret.reveal(), key.secret.reveal());
  assert.deepEqual({ ...read, secret: '' }, { ...key, secret: '' });
});

test('each gateway, key name and generation has a secret of its own, and the same one every time', () => {
  const seen = new Set<string>();
  for (const id of [gatewayId, gatewayId.replace('0', '1')]) {
    for (const keyName of gatewayKeyNames) {
      for (const generation of [1, 2, 12]) {
        const derived = deriveGatewayKeySecret(master, { gatewayId: id, keyName, generation }).reveal();
        assert.equal(derived, deriveGatewayKeySecret(master, { gatewayId: id, keyName, generation }).reveal());
        seen.add(derived);
      }
    }
  }
  assert.equal(seen.size, 12);
  const other = new MasterSecret(new Uint8Array(32).fill(8));
  assert.ok(!seen.has(deriveGatewayKeySecret(other, { gatewayId, keyName: 'authKey1', generation: 1 }).reveal()));
});

test('only the right secret matches what is stored', () => {
  const stored = hashGatewayKeySecret(key.secret);
  assert.ok(gatewayKeySecretMatches(key.secret, stored));
  assert.ok(!gatewayKeySecretMatches(new Secret('x'.repeat(43)), stored));
  assert.ok(!gatewayKeySecretMatches(key.secret, ''));
});

test('a damaged key is refused with the part that is wrong, and no error shows any of the key', () => {
  const good = formatGatewayKey(key).reveal();
  const cases: [string, RegExp][] = [
    ['', /empty/],
    [good.slice(0, -5), /last part/],
    [good.replace('DMG@', 'DMX@'), /start with DMG@/],
    [good.replace('DMG@', 'IR@'), /cloud product/],
    [good.replace('authKey1', 'authKey3'), /authKey1 nor authKey2/],
    [good.replace(':8443', ''), /port/],
    [good + good, /parts/],
    [good.replace('0a1b', 'zzzz'), /GUID/],
    [good.replace('ffff@', 'f*ff@'), /fingerprint/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(() => parseGatewayKey(text), (error: unknown) => {
      assert.ok(isDmgError(error));
      assert.match(error.message, reason);
      return true;
    });
  }
  fc.assert(fc.property(fc.nat(good.length - 1), fc.string({ maxLength: 3 }), (at, put) => {
    const text = good.slice(0, at) + put + good.slice(at + 1);
    try {
      parseGatewayKey(text);
    } catch (error) {
      const shown = isDmgError(error) ? JSON.stringify(error.toFault()) : String(error);
      assert.ok(!shown.includes(key.secret.reveal().slice(0, 12)), shown);
    }
  }));
});
