import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { systemClock } from '@dmg/base';
import { createCertificateRequest, createGatewayCa, createNodeKeyPair, issueNodeCertificate } from '@dmg/security';
import { type Rig, startRig } from '../fault/rig.ts';
import { CleanupScope } from '../harness/cleanup.ts';
import { ClusterLog } from '../harness/cluster-log.ts';
import { readMetrics } from '../harness/metrics-text.ts';
import { nodeEnvironment, NodeProcess } from '../harness/node-process.ts';
import { type ProcessExit, spawnProcess } from '../harness/processes.ts';
import { nodeStatuses, statusesBecome } from '../harness/status-answers.ts';
import { waitFor, within } from '../harness/wait-for.ts';

// Who becomes a node of a gateway and who does not, with real node programs against a real control plane; and what a stranger gets from a
// node. The tests build on each other, in this order.
const scope = new CleanupScope();
const log = new ClusterLog();
const main = join(import.meta.dirname, '../../packages/node/src/main.ts');
/** Everything that any program here has said, to be searched for keys at the end. */
const outputs: string[] = [];
/** Secret parts of all keys that were used, right or wrong. */
const secrets = new Set<string>();
let rig: Rig;
let one: NodeProcess;
let two: NodeProcess;
/** Of the node `two`, whose state is lost on the way. */
let lostNodeId = '';

before(async () => {
  rig = await startRig(scope, { nodes: 0 });
  for (const gateway of ['full', 'other']) await rig.rest.put('integrationRuntimes', gateway, { type: 'SelfHosted' });
}, { timeout: 90_000 });
after(() => scope.close(), { timeout: 60_000 });

type KeyName = 'authKey1' | 'authKey2';

async function keyOf(gateway: string, keyName: KeyName = 'authKey1'): Promise<string> {
  const keys = (await rig.rest.call('POST', `/integrationRuntimes/${gateway}/listAuthKeys`, {})) as Record<KeyName, string>;
  return keep(keys[keyName]);
}

function keep(key: string): string {
  secrets.add(key.split('@').at(-1) ?? '');
  return key;
}

const folderOf = (name: string): string => join(rig.folder, 'nodes', name);

interface Ended extends ProcessExit {
  readonly out: string;
  readonly err: string;
}

/** `node register`, on a machine that it may share unless `env` says otherwise. */
async function register(name: string, key: string, env: Record<string, string> = {}): Promise<Ended> {
  const local = new CleanupScope();
  const child = spawnProcess(local, {
    name, args: [main, 'register', '--state', folderOf(name)], env: { ...nodeEnvironment(name, rig.line, key), ...env },
  });
  try {
    const exit = await within(`${name} to end`, 30_000, child.exited);
    outputs.push(child.stderr, ...child.stdout);
    assert.ok(!/\n\s+at /.test(child.stderr), `no stack traces: ${child.stderr}`);
    return { ...exit, out: child.stdout.join('\n'), err: child.stderr };
  } finally {
    await local.close();
  }
}

function newNode(name: string, key: string, env: Record<string, string> = {}): NodeProcess {
  return new NodeProcess(scope, {
    name, folder: join(rig.folder, 'nodes'), up: rig.line, gatewayKey: key, env,
    onLog: (line) => {
      log.take(line);
      outputs.push(JSON.stringify(line.fields));
    },
  });
}

interface Kept {
  readonly nodeId: string;
  readonly nodeToken: string;
  readonly gatewayId: string;
  readonly certificate: { readonly certificatePem: string; readonly caPem: string };
}

async function keptBy(name: string): Promise<Kept> {
  return JSON.parse(await readFile(join(folderOf(name), 'registration.json'), 'utf8')) as Kept;
}

async function namesOf(gateway: string): Promise<string[]> {
  return (await rig.rest.nodes(gateway)).map(({ nodeName }) => nodeName).toSorted();
}

test('of five nodes that register at one moment four are let in; the fifth is told their names and last contacts', async () => {
  const key = await keyOf('full');
  const names = [1, 2, 3, 4, 5].map((number) => `five-${number}`);
  const ends = await Promise.all(names.map((name) => register(name, key)));
  const late = names.filter((_, index) => ends[index]?.code !== 0);
  assert.equal(late.length, 1, JSON.stringify(ends));
  const [fifth = ''] = late;
  const four = names.filter((name) => name !== fifth);
  assert.deepEqual(await namesOf('full'), four);
  const [first = ''] = four;
  const node = newNode(first, key);
  await node.start();
  await waitFor(`${first} to be heard`, async () => (await nodeStatuses(rig.rest, 'full'))[first] !== 'Initializing');
  const { code, err } = await register(fifth, key);
  assert.equal(code, 4);
  assert.match(err, new RegExp(`Cannot register ${fifth}: the gateway full has 4 nodes already \\(`));
  assert.match(err, new RegExp(`${first}, last heard 2\\d{3}-\\d\\d-\\d\\dT[\\d:.]+Z`));
  for (const name of four.slice(1)) assert.ok(err.includes(`${name}, last heard never`), err);
  assert.match(err, /Delete a node that is gone for good/);
  // A place that was given back is free.
  await rig.rest.call('DELETE', `/integrationRuntimes/full/nodes/${four[1] ?? ''}`);
  assert.equal((await register(fifth, key)).code, 0);
  await node.stop();
});

test('a wrong, foreign, regenerated, cut or mangled key is refused with its reason', async () => {
  const key = await keyOf('local');
  const secret = key.split('@').at(-1) ?? '';
  const foreign = await keyOf('other');
  const old = await keyOf('local', 'authKey2');
  await rig.rest.call('POST', '/integrationRuntimes/local/regenerateAuthKey', { keyName: 'authKey2' });
  const canary = 'c4nary'.repeat(8).slice(0, secret.length);
  const invalid = /DMG_HTTPS_REFUSED: .*Cannot register: the gateway key is not valid here\./s;
  const cases: { readonly key: string; readonly code: number; readonly err: RegExp }[] = [
    { key: key.replace(secret, canary), code: 4, err: invalid },
    { key: key.replace('authKey1', 'authKey2'), code: 4, err: invalid },
    { key: key.replace(/^DMG@[^@]+/, 'DMG@00000000-0000-4000-8000-000000000000'), code: 4, err: invalid },
    { key: foreign.replace(/^DMG@[^@]+/, key.split('@').slice(0, 2).join('@')), code: 4, err: invalid },
    { key: old, code: 4, err: invalid },
    { key: key.slice(0, -5), code: 2, err: /Cannot read the gateway key: its last part is damaged/ },
    { key: `${key}@${canary}`, code: 2, err: /it has 7 parts instead of 6/ },
    { key: `IR@${canary}`, code: 2, err: /a key of the cloud product/ },
    { key: canary, code: 2, err: /it does not start with DMG@/ },
  ];
  await Promise.all(cases.map(async (one, index) => {
    const ended = await register(`refused-${index}`, keep(one.key));
    assert.match(ended.err, one.err);
    assert.equal(ended.out, '');
    assert.notEqual(ended.code, 0);
  }));
  assert.deepEqual(await namesOf('local'), []);
});

test('a second node on the same machine is refused unless it says that it shares', async () => {
  const key = await keyOf('local');
  const alone = { DMG_SHARE_MACHINE: '0' };
  assert.equal((await register('one', key, alone)).code, 0);
  const { code, err } = await register('two', key, alone);
  assert.equal(code, 4);
  assert.match(err, new RegExp(`Cannot register two: its machine ${hostname()} already carries the node one of the gateway local\\.`));
  assert.match(err, /--share-machine/);
  assert.equal((await register('two', key)).code, 0);
  one = newNode('one', key);
  two = newNode('two', key);
});

test('a node that vanished is back under its own name, also with a new key after its own was regenerated', async () => {
  const key = await keyOf('local');
  await one.start();
  await two.start();
  await statusesBecome(rig.rest, 'local', { one: 'Online', two: 'Online' });
  const before = await keptBy('two');
  two.signalGroup('SIGKILL');
  await two.gone();
  await two.start();
  await rig.rest.call('POST', '/integrationRuntimes/local/regenerateAuthKey', { keyName: 'authKey1' });
  assert.deepEqual([(await one.gone())?.code, (await two.gone())?.code], [4, 4]);
  const fresh = await keyOf('local');
  assert.notEqual(fresh, key);
  // One is registered by hand and still has the old key in its environment; the other is given the new key there.
  assert.equal((await register('one', fresh)).code, 0);
  two = newNode('two', fresh);
  await Promise.all([one.start(), two.start()]);
  await statusesBecome(rig.rest, 'local', { one: 'Online', two: 'Online' });
  const again = await keptBy('two');
  assert.equal(again.nodeId, before.nodeId);
  assert.notEqual(again.nodeToken, before.nodeToken);
  assert.deepEqual(await namesOf('local'), ['one', 'two']);
});

test('a node whose state was lost gets its name only when the one that had it is silent', async () => {
  lostNodeId = (await keptBy('two')).nodeId;
  two.signalGroup('SIGKILL');
  await two.gone();
  await rm(folderOf('two'), { recursive: true });
  const { code, err } = await register('two', await keyOf('local'));
  assert.equal(code, 4);
  assert.match(err, /Cannot register two: another machine or installation works under this name in the gateway local, heard \d+ s ago\./);
});

/** What comes on a connection until the other side ends it, and how long that takes. */
async function listen(socket: Socket, say: () => void): Promise<{ readonly bytes: number; readonly ms: number }> {
  const startedMs = systemClock.monotonicMs();
  let bytes = 0;
  socket.on('error', () => undefined).on('data', (data: Buffer) => (bytes += data.length));
  say();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await within('the node to end the connection of a stranger', 10_000, closed);
  return { bytes, ms: Math.round(systemClock.monotonicMs() - startedMs) };
}

const http2Preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';

test('a stranger gets nothing from the port at which nodes meet: no certificate, its own, another gateway\'s, or plain text', async () => {
  const [host = '', port = ''] = one.address.split(':');
  const place = { host, port: Number(port) };
  const strangersBefore = await strangers();
  const self = await createNodeKeyPair();
  const ownCa = await createGatewayCa({ gatewayId: (await keptBy('one')).gatewayId, clock: systemClock });
  // It says of itself what a member would say; only the authority is another.
  const certificatePem = await issueNodeCertificate({
    ca: ownCa, request: await createCertificateRequest({ privateKeyPem: self.privateKeyPem, nodeName: 'one' }),
    gatewayId: (await keptBy('one')).gatewayId, nodeId: (await keptBy('one')).nodeId, nodeName: 'one', clock: systemClock,
  });
  assert.equal((await register('neighbour', await keyOf('other'))).code, 0);
  const neighbour = {
    key: await readFile(join(folderOf('neighbour'), 'node-key.pem'), 'utf8'), cert: (await keptBy('neighbour')).certificate.certificatePem,
  };
  const identities: readonly ConnectionOptions[] = [{}, { key: self.privateKeyPem, cert: certificatePem }, neighbour];
  const overTls = identities.map((identity) => {
    const socket = connectTls({ ...place, ...identity, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    return listen(socket, () => socket.once('secureConnect', () => socket.write(http2Preface)));
  });
  const plain = [http2Preface, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', ''].map((text) => {
    const socket = connectPlain(place);
    return listen(socket, () => void (text !== '' && socket.write(text)));
  });
  for (const { bytes, ms } of await Promise.all([...overTls, ...plain.slice(2)])) {
    assert.equal(bytes, 0);
    assert.ok(ms < 5000, `${ms} ms`);
  }
  // TLS answers what is no TLS with an alert of 7 bytes, and says nothing else.
  for (const { bytes } of await Promise.all(plain.slice(0, 2))) assert.ok(bytes <= 7, `${bytes} bytes`);
  assert.ok((await strangers()) >= strangersBefore + overTls.length, 'they are counted');
});

async function strangers(): Promise<number> {
  const samples = (await readMetrics(one.metricsUrl)).filter(({ name }) => name === 'dmg_cluster_strangers_total');
  return samples.reduce((total, { value }) => total + value, 0);
}

test('a certificate that ended while its node was away is renewed by itself, and its streams come about with the new one', async () => {
  const { gatewayId, nodeId, certificate, ...rest } = await keptBy('one');
  assert.deepEqual(await one.stop(), { code: 0, signal: null });
  const yesterday = { ...systemClock, wallMs: () => systemClock.wallMs() - 25 * 3600 * 1000 };
  const privateKeyPem = await readFile(join(folderOf('one'), 'node-key.pem'), 'utf8');
  const certificatePem = await issueNodeCertificate({
    ca: await createGatewayCa({ gatewayId, clock: yesterday }), request: await createCertificateRequest({ privateKeyPem, nodeName: 'one' }),
    gatewayId, nodeId, nodeName: 'one', clock: yesterday,
  });
  const old = { ...rest, gatewayId, nodeId, certificate: { ...certificate, certificatePem } };
  await writeFile(join(folderOf('one'), 'registration.json'), JSON.stringify(old));
  const { mark } = log;
  await one.start();
  await log.next('the renewal', ({ node, msg }) => node === 'one' && msg === 'certificate renewed', { mark, withinMs: 5000 });
  assert.notEqual((await keptBy('one')).certificate.certificatePem, certificatePem);
  assert.equal((await keptBy('one')).certificate.caPem, certificate.caPem);
});

test('the name is given back when the old node is Offline; its streams with the renewed one come about', async () => {
  await statusesBecome(rig.rest, 'local', { two: 'Offline' }, 20_000);
  two = newNode('two', await keyOf('local'));
  await two.start();
  assert.equal((await keptBy('two')).nodeId, lostNodeId);
  await statusesBecome(rig.rest, 'local', { one: 'Online', two: 'Online' });
  assert.deepEqual(await namesOf('local'), ['one', 'two']);
});

test('no output of any program shows a part of a key', async () => {
  outputs.push(rig.up.stderr, ...rig.up.stdout);
  assert.ok(secrets.size > 6, `${secrets.size} keys`);
  assert.ok(outputs.join('').length > 5_000, `${outputs.join('').length} characters`);
  for (const secret of secrets) {
    const part = secret.slice(0, 16);
    assert.deepEqual(outputs.filter((text) => part.length > 8 && text.includes(part)), []);
  }
});
