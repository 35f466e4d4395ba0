import 'reflect-metadata'; // Before x509, whose dependency injection needs it.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { hasCode, ManualClock, systemClock } from '@dmg/base';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { unwrapWithKey, wrapForKey } from './key-wrapping.ts';
import {
  certificateTimes, createCertificateRequest, createGatewayCa, createNodeKeyPair, type GatewayCa, issueNodeCertificate, nodeHostName,
  nodeOfCertificate,
} from './node-certificates.ts';

const gatewayId = '11111111-1111-4111-8111-111111111111';
const hourMs = 3600 * 1000;

interface Identity {
  readonly keyPem: string;
  readonly certificatePem: string;
}

async function identity(ca: GatewayCa, nodeId: string, change: { clock?: ManualClock; lifeMs?: number } = {}): Promise<Identity> {
  const { privateKeyPem } = await createNodeKeyPair();
  const request = await createCertificateRequest({ privateKeyPem, nodeName: nodeId });
  const certificatePem = await issueNodeCertificate({
    ca, request, gatewayId, nodeId, nodeName: nodeId, clock: systemClock, ...change,
  });
  return { keyPem: privateKeyPem, certificatePem };
}

/** A node that tells each client whom it takes it for, or why TLS would refuse it. Answers its port. */
async function listen(t: TestContext, server: Identity, ca: GatewayCa): Promise<number> {
  const tlsServer = createServer(
    { key: server.keyPem, cert: server.certificatePem, ca: ca.certificatePem, requestCert: true, rejectUnauthorized: false },
    (socket) => {
      socket.on('error', () => undefined); // The other side may be gone; what it got is what is looked at.
      if (!socket.authorized) return socket.end(`refused: ${String(socket.authorizationError)}`);
      socket.end(nodeOfCertificate(socket.getPeerX509Certificate()?.raw ?? new Uint8Array())?.nodeId ?? 'nobody');
    },
  );
  tlsServer.listen(0, '127.0.0.1');
  await once(tlsServer, 'listening');
  t.after(() => new Promise((resolve) => tlsServer.close(resolve)));
  return (tlsServer.address() as AddressInfo).port;
}

const hasNodeCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;

/** Connects as a node does and answers what the server says; rejects when the client refuses the server. */
function greet(port: number, client: Partial<Identity>, ca: GatewayCa, serverId: string): Promise<string> {
  const socket: TLSSocket = connect({
    host: '127.0.0.1', port, ca: ca.certificatePem, key: client.keyPem, cert: client.certificatePem, servername: nodeHostName(serverId),
  });
  return new Promise((resolve, reject) => {
    let answer = '';
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.once('error', reject);
    socket.once('close', () => (answer === '' ? reject(new Error('closed without an answer')) : resolve(answer)));
  });
}

test('two nodes of a gateway know each other over TLS, by name; everybody else is refused by one side or the other', async (t) => {
  const ca = await createGatewayCa({ gatewayId, clock: systemClock });
  const otherCa = await createGatewayCa({ gatewayId, clock: systemClock });
  const past = new ManualClock({ wallMs: systemClock.wallMs() - 48 * hourMs });
  const [one, two, foreign, expired] = await Promise.all([
    identity(ca, 'one'), identity(ca, 'two'), identity(otherCa, 'two'), identity(ca, 'two', { clock: past }),
  ]);
  const port = await listen(t, one, ca);
  assert.equal(await greet(port, two, ca, 'one'), 'two');
  assert.equal(await greet(port, {}, ca, 'one'), 'refused: UNABLE_TO_GET_ISSUER_CERT');
  assert.equal(await greet(port, foreign, ca, 'one'), 'refused: UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.equal(await greet(port, expired, ca, 'one'), 'refused: CERT_HAS_EXPIRED');
  // A node is no authority: what it signs is refused.
  const forged = await identity({ certificatePem: two.certificatePem, privateKeyPem: two.keyPem }, 'three');
  const chain = `${forged.certificatePem}${two.certificatePem}`;
  assert.match(await greet(port, { ...forged, certificatePem: chain }, ca, 'one'), /^refused/);
  await assert.rejects(greet(port, two, ca, 'three'), (error) => hasNodeCode(error, 'ERR_TLS_CERT_ALTNAME_INVALID'));
  await assert.rejects(greet(port, two, otherCa, 'one'), (error) => hasNodeCode(error, 'SELF_SIGNED_CERT_IN_CHAIN'));
  const expiredPort = await listen(t, expired, ca);
  await assert.rejects(greet(expiredPort, one, ca, 'two'), (error) => hasNodeCode(error, 'CERT_HAS_EXPIRED'));
});

test('a certificate names its node for a day, begins before now, and ends no later than its CA', async () => {
  const clock = new ManualClock({ wallMs: Date.UTC(2030, 0, 1) });
  const ca = await createGatewayCa({ gatewayId, clock });
  assert.equal(new X509Certificate(ca.certificatePem).subject, `CN=DMG gateway ${gatewayId}`);
  const { certificatePem } = await identity(ca, 'node-a', { clock });
  const certificate = new X509Certificate(certificatePem);
  assert.deepEqual(nodeOfCertificate(certificatePem), { gatewayId, nodeId: 'node-a' });
  assert.deepEqual(nodeOfCertificate(certificate.raw), { gatewayId, nodeId: 'node-a' });
  assert.equal(nodeOfCertificate(ca.certificatePem), undefined);
  assert.equal(certificate.ca, false);
  assert.deepEqual(certificate.keyUsage?.toSorted(), ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  const times = certificateTimes(certificatePem);
  assert.equal(times.notAfterMs, clock.wallMs() + 24 * hourMs);
  assert.equal(times.notBeforeMs, clock.wallMs() - 600_000);
  const late = new ManualClock({ wallMs: certificateTimes(ca.certificatePem).notAfterMs - hourMs });
  const last = certificateTimes((await identity(ca, 'node-a', { clock: late })).certificatePem);
  assert.equal(last.notAfterMs, certificateTimes(ca.certificatePem).notAfterMs);
  assert.throws(() => certificateTimes('nonsense'), (error) => hasCode(error, 'DMG_SECURITY_CERTIFICATE_UNUSABLE'));
});

test('a request that proves nothing, of another kind of key, or that is none, is refused without being shown', async () => {
  const ca = await createGatewayCa({ gatewayId, clock: systemClock });
  const issue = (request: string): Promise<string> =>
    issueNodeCertificate({ ca, request, gatewayId, nodeId: 'n', nodeName: 'n', clock: systemClock });
  const refused = (reason: RegExp) => (error: unknown): boolean =>
    hasCode(error, 'DMG_SECURITY_CERTIFICATE_REQUEST_REFUSED') && reason.test(String(error)) && !/BEGIN|canary/.test(String(error));
  const { privateKeyPem } = await createNodeKeyPair();
  const good = await createCertificateRequest({ privateKeyPem, nodeName: 'n' });
  await issue(good);
  const bytes = Buffer.from(good.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
  const label = 'CERTIFICATE REQUEST';
  const asPem = (body: Buffer): string => `-----BEGIN ${label}-----\n${body.toString('base64')}\n-----END ${label}-----`;
  await assert.rejects(issue(asPem(bytes)), refused(/signature/));
  for (const text of ['', 'canary', asPem(Buffer.from('canary')), ca.certificatePem]) {
    await assert.rejects(issue(text), refused(/PKCS #10/));
  }
  await assert.rejects(issue('canary'.repeat(2000)), refused(/more than 8192 characters/));
  const otherRequest = async (algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams, hash: string): Promise<string> => {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: { name: algorithm.name, hash } });
    return request.toString('pem');
  };
  const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
  await assert.rejects(issue(await otherRequest(rsa, 'SHA-256')), refused(/P-256/));
  await assert.rejects(issue(await otherRequest({ name: 'ECDSA', namedCurve: 'P-384' }, 'SHA-256')), refused(/P-256/));
  await assert.rejects(issue(await otherRequest({ name: 'ECDSA', namedCurve: 'P-256' }, 'SHA-1')), refused(/SHA-256/));
  const hasKeyCode = (error: unknown): boolean => hasCode(error, 'DMG_SECURITY_NODE_KEY_UNUSABLE') && !String(error).includes('canary');
  await assert.rejects(createCertificateRequest({ privateKeyPem: 'canary', nodeName: 'n' }), hasKeyCode);
});

test('what is wrapped for a certificate is read with its key and with no other', async () => {
  const ca = await createGatewayCa({ gatewayId, clock: systemClock });
  const [one, two] = await Promise.all([identity(ca, 'one'), identity(ca, 'two')]);
  const bytes = Buffer.from('{"canary":1}');
  const wrapped = await wrapForKey(bytes, one.certificatePem);
  const publicKeyPem = createPublicKey(one.certificatePem).export({ type: 'spki', format: 'pem' }).toString();
  assert.deepEqual(Buffer.from(await unwrapWithKey(await wrapForKey(bytes, publicKeyPem), one.keyPem)), Buffer.from(bytes));
  assert.deepEqual(Buffer.from(await unwrapWithKey(wrapped, one.keyPem)), bytes);
  assert.ok(!wrapped.includes(bytes.toString('base64url')));
  const other = (error: unknown): boolean => hasCode(error, 'DMG_SECURITY_WRAPPED_FOR_ANOTHER');
  await assert.rejects(unwrapWithKey(wrapped, two.keyPem), other);
  await assert.rejects(unwrapWithKey(`${wrapped.slice(0, -6)}AAAAAA`, one.keyPem), other);
  await assert.rejects(unwrapWithKey('nonsense', one.keyPem), other);
  await assert.rejects(unwrapWithKey(wrapped, 'nonsense'), (error) => hasCode(error, 'DMG_SECURITY_NODE_KEY_UNUSABLE'));
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  await assert.rejects(unwrapWithKey(wrapped, String(rsa)), other);
  await assert.rejects(wrapForKey(bytes, 'nonsense'), (error) => hasCode(error, 'DMG_SECURITY_CERTIFICATE_UNUSABLE'));
});
