import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { suite, test, type TestContext } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import { hasCode, ManualClock, systemClock } from '@dmg/base';
import type { Member } from '@dmg/model';
import type { MeshIdentity } from '@dmg/protocol';
import { testEpoch, testFacts, testGatewayId, TestNode, type TestNodeOptions, testRequest } from '@dmg/protocol/testing';
import {
  createCertificateRequest, createGatewayCa, createNodeKeyPair, type GatewayCa, issueNodeCertificate, unwrapWithKey, wrapForKey,
} from '@dmg/security';

const hourMs = 3600 * 1000;
const gatewayId = testGatewayId;

async function identityOf(
  ca: GatewayCa, nodeId: string, change: { gatewayId?: string; clock?: ManualClock; caPem?: string; keyPem?: string } = {},
): Promise<MeshIdentity> {
  const keyPem = change.keyPem ?? (await createNodeKeyPair()).privateKeyPem;
  const request = await createCertificateRequest({ privateKeyPem: keyPem, nodeName: nodeId });
  const certificatePem = await issueNodeCertificate({
    ca, request, nodeId, nodeName: nodeId, gatewayId: change.gatewayId ?? gatewayId, clock: change.clock ?? systemClock,
  });
  return { keyPem, certificatePem, caPem: change.caPem ?? ca.certificatePem };
}

async function start(context: TestContext, nodeId: string, identity: MeshIdentity, more: Partial<TestNodeOptions> = {}): Promise<TestNode> {
  const node = new TestNode({ nodeId, encryption: 'mtls', identity, ...more });
  context.after(() => node.close());
  await node.start();
  return node;
}

async function startPair(context: TestContext, more: Partial<TestNodeOptions> = {}): Promise<{ ca: GatewayCa; a: TestNode; b: TestNode }> {
  const ca = await createGatewayCa({ gatewayId, clock: systemClock });
  const [a, b] = [await start(context, 'a', await identityOf(ca, 'a'), more), await start(context, 'b', await identityOf(ca, 'b'), more)];
  for (const node of [a, b]) node.mesh.setMembers([a.member, b.member]);
  await a.when(() => a.connected('b') && b.connected('a'));
  return { ca, a, b };
}

const troubleOf = (node: TestNode, nodeId: string): string => node.mesh.peers().find((peer) => peer.nodeId === nodeId)?.trouble ?? '';

test('nodes of one gateway speak to each other over TLS', async (t) => {
  const { a, b } = await startPair(t);
  assert.deepEqual(await a.worker('b').hello(testEpoch), { accepted: true, attempts: [], limit: 4, used: 0 });
  const request = testRequest('job-1', { padding: 'x'.repeat(4 * 1024 * 1024) });
  assert.deepEqual(await a.worker('b').dispatch(request), { accepted: true });
  const events = a.events('b');
  b.own.finish(request.attemptId);
  await a.when(() => events.some(({ type }) => type === 'ended'));
});

/** What a stranger gets to read before the connection is closed. */
async function listen(address: string, options: ConnectionOptions | 'plain'): Promise<{ bytes: number; established: boolean }> {
  const [host, port] = [address.split(':')[0] ?? '', Number(address.split(':')[1])];
  const tls = { host, port, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined };
  const socket = options === 'plain' ? connectTcp({ host, port }) : connect({ ...tls, ...options });
  let [bytes, established] = [0, false];
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  socket.on('error', () => undefined);
  socket.once('secureConnect', () => (established = true));
  socket.once('connect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  await new Promise((resolve) => socket.once('close', resolve));
  return { bytes, established };
}

suite('a stranger', () => {
  test('without a certificate of the gateway is told nothing', async (t) => {
    const { ca, a } = await startPair(t, { times: { openLimitMs: 500 } });
    const otherCa = await createGatewayCa({ gatewayId, clock: systemClock });
    const past = new ManualClock({ wallMs: systemClock.wallMs() - 48 * hourMs });
    const credentials = ({ keyPem, certificatePem }: MeshIdentity): ConnectionOptions =>
      ({ key: keyPem, cert: certificatePem, ca: ca.certificatePem });
    const member = credentials(await identityOf(ca, 'b'));
    const strangers: Readonly<Record<string, ConnectionOptions | 'plain'>> = {
      'in plain text': 'plain',
      'without a certificate': { ca: ca.certificatePem },
      'of another CA of the same name': credentials(await identityOf(otherCa, 'b')),
      'with a certificate that is over': credentials(await identityOf(ca, 'b', { clock: past })),
      'of another gateway with the same CA': credentials(await identityOf(ca, 'b', { gatewayId: 'gateway-2' })),
      'with TLS 1.2': { ...member, maxVersion: 'TLSv1.2' },
      'with another protocol than HTTP/2': { ...member, ALPNProtocols: ['http/1.1'] },
    };
    for (const [name, options] of Object.entries(strangers)) {
      const { bytes } = await listen(a.address, options);
      // In plain text the TLS alert is seen as bytes; within TLS not one byte of the application may come.
      assert.ok(options === 'plain' ? bytes <= 7 : bytes === 0, `${name}: ${bytes} bytes`);
    }
    // The same look at a real member: it does get in, so the looks above have seen something.
    const seen = await new Promise<number>((resolve) => {
      const [host, port] = [a.address.split(':')[0] ?? '', Number(a.address.split(':')[1])];
      const socket = connect({ host, port, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined, ...member });
      socket.once('data', (chunk: Buffer) => {
        resolve(chunk.length);
        socket.destroy();
      });
    });
    assert.ok(seen > 0);
    assert.ok(a.connected('b'));
  });

  test('that says nothing at all is not kept', async (t) => {
    const { a } = await startPair(t, { times: { openLimitMs: 200 } });
    const socket = connectTcp({ host: '127.0.0.1', port: Number(a.address.split(':')[1]) });
    await new Promise((resolve) => socket.resume().once('close', resolve));
  });

  test('that was a member, or claims to be another one, is refused', async (t) => {
    const { ca, a, b } = await startPair(t);
    const former = await start(t, 'former', await identityOf(ca, 'former'));
    former.mesh.setMembers([a.member]);
    await former.when(() => troubleOf(former, 'a').includes('no member'));
    assert.equal(await former.mesh.fetchCredentialKey(), undefined);
    const impostor = await start(t, 'b', await identityOf(ca, 'former'), { self: () => testFacts('b') });
    a.mesh.setMembers([a.member, b.member, { nodeId: 'former', nodeName: 'former', address: '' }]);
    impostor.mesh.setMembers([a.member]);
    await impostor.when(() => troubleOf(impostor, 'a').includes('no member'));
    assert.equal(a.own.epoch, undefined);
    assert.deepEqual(a.mesh.peers()[0]?.facts, b.facts);
  });

  test('that answers at a member\'s address is not spoken to', async (t) => {
    const { ca, a, b } = await startPair(t);
    const otherCa = await createGatewayCa({ gatewayId, clock: systemClock });
    const forger = await start(t, 'c', await identityOf(otherCa, 'c'));
    const at = (nodeId: string, { address }: TestNode): Member => ({ nodeId, nodeName: nodeId, address });
    a.mesh.setMembers([a.member, b.member, at('c', forger), at('d', b)]);
    await a.when(() => /node b answers there/.test(troubleOf(a, 'd')) && troubleOf(a, 'c') !== '');
    await a.when(() => /certificate|signature|verify/i.test(troubleOf(a, 'c')));
    await assert.rejects(a.worker('c').hello(testEpoch), (error) => hasCode(error, 'DMG_PROTOCOL_UNREACHABLE'));
    // Nor does a member with our CA speak to one that shows none of it.
    const blind = await start(t, 'e', await identityOf(ca, 'e', { caPem: otherCa.certificatePem }));
    blind.mesh.setMembers([b.member]);
    await blind.when(() => /certificate|signature|verify/i.test(troubleOf(blind, 'b')));
  });
});

test('a member that is removed is cut off at once, on both streams', async (t) => {
  const { a, b } = await startPair(t);
  const cutAtMs = systemClock.monotonicMs();
  a.mesh.setMembers([a.member]);
  await b.when(() => !b.connected('a') && b.gone.length > 0);
  assert.ok(systemClock.monotonicMs() - cutAtMs < 1_000);
  await b.when(() => troubleOf(b, 'a').includes('no member'));
  a.mesh.setMembers([a.member, b.member]);
  await a.when(() => a.connected('b') && b.connected('a'));
});

test('a renewed certificate is in force for new connections, and streams that are open go on', async (t) => {
  const { ca, a, b } = await startPair(t);
  const soonOver = new ManualClock({ wallMs: systemClock.wallMs() - 23.9 * hourMs });
  const expiring = await identityOf(ca, 'c', { clock: soonOver });
  const c = await start(t, 'c', expiring);
  for (const node of [a, b, c]) node.mesh.setMembers([a.member, b.member, c.member]);
  await c.when(() => [a, b].every((node) => node.connected('c') && c.connected(node.nodeId)));
  const serverSerial = (): Promise<string> => new Promise((resolve) => {
    const [host, port] = [c.address.split(':')[0] ?? '', Number(c.address.split(':')[1])];
    const socket = connect({ host, port, ca: ca.certificatePem, checkServerIdentity: () => undefined }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', () => undefined);
  });
  const before = await serverSerial();
  c.mesh.setIdentity(await identityOf(ca, 'c', { keyPem: expiring.keyPem }));
  assert.notEqual(await serverSerial(), before);
  for (const [from, to] of [[a, 'c'], [b, 'c'], [c, 'a'], [c, 'b']] as const) {
    assert.equal((await from.worker(to).hello(testEpoch)).accepted, true);
  }
  assert.deepEqual([...a.gone, ...b.gone, ...c.gone], [], 'no stream was lost');
  // A stream that is made anew uses it.
  a.mesh.setMembers([a.member, b.member]);
  a.mesh.setMembers([a.member, b.member, c.member]);
  await a.when(() => a.connected('c') && c.connected('a'));
});

suite('the credential key', () => {
  const secret = Buffer.from('private half');
  const giver = (log: string[]): TestNodeOptions['credentialKey'] => ({
    async give({ nodeId, publicKeyPem }) {
      log.push(nodeId);
      return Buffer.from(await wrapForKey(secret, publicKeyPem));
    },
  });

  test('comes from a member that has it, and only the asker can read it', async (t) => {
    const ca = await createGatewayCa({ gatewayId, clock: systemClock });
    const log: string[] = [];
    const asker = await identityOf(ca, 'asker');
    const nodes = [
      await start(t, 'asker', asker),
      await start(t, 'without', await identityOf(ca, 'without')),
      await start(t, 'broken', await identityOf(ca, 'broken'), { credentialKey: { give: () => Promise.reject(new Error('canary')) } }),
      await start(t, 'with', await identityOf(ca, 'with'), { credentialKey: giver(log) }),
    ];
    const [first] = nodes;
    assert.ok(first !== undefined);
    for (const node of nodes) node.mesh.setMembers(nodes.map(({ member }) => member));
    await first.when(() => ['without', 'broken', 'with'].every((nodeId) => first.connected(nodeId)));
    const wrapped = await first.mesh.fetchCredentialKey();
    assert.ok(wrapped !== undefined);
    assert.deepEqual(Buffer.from(await unwrapWithKey(Buffer.from(wrapped).toString(), asker.keyPem)), secret);
    assert.deepEqual(log, ['asker']);
    const other = await identityOf(ca, 'without');
    await assert.rejects(unwrapWithKey(Buffer.from(wrapped).toString(), other.keyPem));
  });

  test('is given in plain text only to whom a certificate of the gateway proves', async (t) => {
    const ca = await createGatewayCa({ gatewayId, clock: systemClock });
    const otherCa = await createGatewayCa({ gatewayId, clock: systemClock });
    const past = new ManualClock({ wallMs: systemClock.wallMs() - 48 * hourMs });
    const log: string[] = [];
    const giving = await start(t, 'with', await identityOf(ca, 'with'), { encryption: 'none', credentialKey: giver(log) });
    const ask = async (nodeId: string, identity: MeshIdentity): Promise<Uint8Array | undefined> => {
      const node = await start(t, nodeId, identity, { encryption: 'none' });
      for (const each of [giving, node]) each.mesh.setMembers([giving.member, node.member]);
      await node.when(() => node.connected('with'));
      try {
        return await node.mesh.fetchCredentialKey();
      } finally {
        await node.close();
      }
    };
    assert.equal(await ask('forger', await identityOf(otherCa, 'forger')), undefined);
    assert.equal(await ask('late', await identityOf(ca, 'late', { clock: past })), undefined);
    assert.equal(await ask('foreign', await identityOf(ca, 'foreign', { gatewayId: 'gateway-2' })), undefined);
    assert.equal(await ask('none', { ...(await identityOf(ca, 'none')), certificatePem: 'nonsense' }), undefined);
    // Another member's certificate is no use either: what comes is wrapped to that one's key.
    assert.equal(await ask('thief', await identityOf(ca, 'elsewhere')), undefined);
    assert.deepEqual(log, []);
    const identity = await identityOf(ca, 'asker');
    const wrapped = await ask('asker', identity);
    assert.ok(wrapped !== undefined);
    assert.deepEqual(Buffer.from(await unwrapWithKey(Buffer.from(wrapped).toString(), identity.keyPem)), secret);
  });
});
