import assert from 'node:assert/strict';
import test from 'node:test';
import { hasCode, Secret } from '@dmg/base';
import { createCredentialKeyPair, credentialKeyId, decryptSecret, encryptSecret } from './credential-envelope.ts';
import { MasterSecret } from './master-secret.ts';
import { openSealedSecret, type SealContext, sealSecret } from './sealing.ts';
import { hashToken, newToken, tokenMatches } from './tokens.ts';

const plain = 'AccountKey=canary-7f3d;päss "wörd" \u{1f511}';

test('a secret encrypted to a gateway opens with its private key only', async () => {
  const ours = await createCredentialKeyPair();
  const theirs = await createCredentialKeyPair();
  const encrypted = await encryptSecret(new Secret(plain), ours.publicJwk);
  assert.equal(encrypted.encryptedCredential.split('.').length, 5);
  assert.equal((await decryptSecret(encrypted, ours.privateJwk)).reveal(), plain);
  await assert.rejects(decryptSecret(encrypted, theirs.privateJwk), (error) => hasCode(error, 'DMG_SECURITY_SECRET_NOT_FOR_US'));
  const changed = { encryptedCredential: `${encrypted.encryptedCredential.slice(0, -3)}AAA` };
  await assert.rejects(decryptSecret(changed, ours.privateJwk), (error) => hasCode(error, 'DMG_SECURITY_SECRET_NOT_FOR_US'));
  const again = await encryptSecret(new Secret(plain), ours.publicJwk);
  assert.notEqual(again.encryptedCredential, encrypted.encryptedCredential);
});

test('the public half holds nothing private, and the id tells keys apart', async () => {
  const pair = await createCredentialKeyPair();
  assert.equal(pair.publicJwk['d'], undefined);
  assert.equal(await credentialKeyId(pair.publicJwk), await credentialKeyId(pair.privateJwk));
  assert.notEqual(await credentialKeyId(pair.publicJwk), await credentialKeyId((await createCredentialKeyPair()).publicJwk));
  await assert.rejects(credentialKeyId({ kty: 'RSA' }), (error) => hasCode(error, 'DMG_SECURITY_CREDENTIAL_KEY_UNUSABLE'));
});

test('a sealed secret opens only in its place and under its master secret', () => {
  const master = new MasterSecret(new Uint8Array(32).fill(1));
  const context = { factoryId: 'f1', linkedService: 'Blob', property: 'connectionString' };
  const sealed = sealSecret(master, new Secret(plain), context);
  assert.ok(!sealed.includes('canary'));
  assert.equal(openSealedSecret(master, sealed, { ...context, linkedService: 'bLOB' }).reveal(), plain);
  const ofGateway = { gatewayId: 'f1', property: 'connectionString' };
  assert.equal(openSealedSecret(master, sealSecret(master, new Secret(plain), ofGateway), ofGateway).reveal(), plain);
  const broken: [MasterSecret, string, SealContext][] = [
    [new MasterSecret(new Uint8Array(32).fill(2)), sealed, context],
    [master, sealed, { ...context, factoryId: 'f2' }],
    [master, sealed, { ...context, property: 'accountKey' }],
    [master, `${sealed.slice(0, -2)}zz`, context],
    [master, sealed, ofGateway],
    [master, sealSecret(master, new Secret(plain), ofGateway), { ...ofGateway, gatewayId: 'f2' }],
    [master, '1.', context],
    [master, 'nonsense', context],
  ];
  for (const [key, text, where] of broken) {
    assert.throws(() => openSealedSecret(key, text, where), (error) => hasCode(error, 'DMG_SECURITY_SEAL_BROKEN'));
  }
});

test('tokens are stored as hashes and never shown', () => {
  const token = newToken();
  assert.ok(tokenMatches(token, hashToken(token)));
  assert.ok(!tokenMatches(newToken(), hashToken(token)));
  assert.ok(!JSON.stringify({ token, text: String(token) }).includes(token.reveal()));
});
