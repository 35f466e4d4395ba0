import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { hasCode, ManualClock, systemClock } from '@dmg/base';
import { ensureServerIdentity, type ServerIdentity } from './certificate-authority.ts';
import { loadMasterSecret } from './master-secret.ts';
import { fetchPinnedCa } from './pinned-ca.ts';

const dayMs = 24 * 3600 * 1000;

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-security-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function serve(t: TestContext, identity: { keyPem: string; chainPem: string }): Promise<number> {
  const server: Server = createServer({ key: identity.keyPem, cert: identity.chainPem }, (_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  }));
  return (server.address() as AddressInfo).port;
}

function get(port: number, host: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, ca, agent: false, headers: { connection: 'close' } }, (incoming) => {
      let text = '';
      incoming.on('data', (chunk) => (text += String(chunk)));
      incoming.on('end', () => resolve(text));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

const serverCertificate = (identity: ServerIdentity): X509Certificate => new X509Certificate(identity.chainPem);

test('a client that pinned the CA by its fingerprint verifies the server by every loopback name', async (t) => {
  const identity = await ensureServerIdentity({ folder: await newFolder(t), names: ['gateway.example'], clock: systemClock });
  const port = await serve(t, identity);
  const pem = await fetchPinnedCa({ endpoint: `127.0.0.1:${port}`, fingerprint: identity.caFingerprint, clock: systemClock });
  assert.equal(new X509Certificate(pem).fingerprint256, new X509Certificate(identity.caPem).fingerprint256);
  assert.equal(await get(port, '127.0.0.1', pem), 'hello');
  assert.equal(await get(port, 'localhost', pem), 'hello');
  assert.ok(serverCertificate(identity).checkHost('gateway.example'));
  assert.ok(serverCertificate(identity).checkIP('::1'));
});

test('another authority, a stolen CA certificate and a plain server are told apart from ours', async (t) => {
  const ours = await ensureServerIdentity({ folder: await newFolder(t), names: [], clock: systemClock });
  const theirs = await ensureServerIdentity({ folder: await newFolder(t), names: [], clock: systemClock });
  const pin = (port: number): Promise<string> =>
    fetchPinnedCa({ endpoint: `127.0.0.1:${port}`, fingerprint: ours.caFingerprint, clock: systemClock });
  await assert.rejects(pin(await serve(t, theirs)), (error) => hasCode(error, 'DMG_SECURITY_CA_MISMATCH'));
  // Presents our CA certificate behind a certificate of its own.
  const leaf = theirs.chainPem.slice(0, theirs.chainPem.indexOf('-----END CERTIFICATE-----') + 25);
  const stolen = await serve(t, { keyPem: theirs.keyPem, chainPem: `${leaf}\n${ours.caPem}\n` });
  await assert.rejects(
    pin(stolen), (error) => hasCode(error, 'DMG_SECURITY_CA_NOT_PRESENTED') || hasCode(error, 'DMG_SECURITY_CA_MISMATCH'),
  );
  const leafOnly = await serve(t, {
    keyPem: ours.keyPem, chainPem: ours.chainPem.slice(0, ours.chainPem.indexOf('-----END CERTIFICATE-----') + 26),
  });
  await assert.rejects(pin(leafOnly), (error) => hasCode(error, 'DMG_SECURITY_CA_NOT_PRESENTED'));
  await assert.rejects(pin(1), (error) => hasCode(error, 'DMG_SECURITY_ENDPOINT_UNREACHABLE'));
});

test('the CA stays over restarts; the server certificate is renewed near its end and for new names', async (t) => {
  const folder = await newFolder(t);
  const clock = new ManualClock({ wallMs: 1_900_000_000_000 });
  const first = await ensureServerIdentity({ folder, names: [], clock });
  const second = await ensureServerIdentity({ folder, names: [], clock });
  assert.equal(second.chainPem, first.chainPem);
  clock.jumpWall(370 * dayMs);
  const renewed = await ensureServerIdentity({ folder, names: [], clock });
  assert.equal(renewed.caPem, first.caPem);
  assert.notEqual(serverCertificate(renewed).serialNumber, serverCertificate(first).serialNumber);
  assert.ok(serverCertificate(renewed).validToDate.getTime() > clock.wallMs() + 390 * dayMs);
  const named = await ensureServerIdentity({ folder, names: ['10.0.0.7'], clock });
  assert.ok(serverCertificate(named).checkIP('10.0.0.7'));
  assert.equal((await stat(join(folder, 'ca-key.pem'))).mode & 0o777, 0o600);
  assert.equal((await stat(join(folder, 'server.pem'))).mode & 0o777, 0o600);
});

test('a start that died between key and certificate is completed, and starts at the same moment agree', async (t) => {
  const folder = await newFolder(t);
  const first = await ensureServerIdentity({ folder, names: [], clock: systemClock });
  await rm(join(folder, 'ca.pem'));
  const again = await ensureServerIdentity({ folder, names: [], clock: systemClock });
  assert.equal(
    new X509Certificate(again.caPem).publicKey.export({ format: 'jwk' })['x'],
    new X509Certificate(first.caPem).publicKey.export({ format: 'jwk' })['x'],
  );
  const fresh = await newFolder(t);
  const all = await Promise.all([1, 2, 3, 4].map(() => ensureServerIdentity({ folder: fresh, names: [], clock: systemClock })));
  assert.equal(new Set(all.map((each) => each.caFingerprint)).size, 1);
});

test('the master secret is made once, stays, and is refused when others may read it', async (t) => {
  const path = join(await newFolder(t), 'master-secret');
  const all = await Promise.all([1, 2, 3].map(() => loadMasterSecret({ path })));
  assert.equal(new Set(all.map((each) => each.derive('x').toString('hex'))).size, 1);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.ok(!JSON.stringify(all).includes((await readFile(path, 'utf8')).trim()));
  await chmod(path, 0o640);
  await assert.rejects(loadMasterSecret({ path }), (error) => hasCode(error, 'DMG_SECURITY_FILE_UNUSABLE'));
});
