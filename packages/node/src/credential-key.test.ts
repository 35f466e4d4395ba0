import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { type Clock, type Logger, silentLogger, systemClock } from '@dmg/base';
import type { CopyEnd, Job, JsonObject } from '@dmg/model';
import { createCredentialKeyPair, createNodeKeyPair, credentialKeyId, unwrapWithKey, wrapForKey } from '@dmg/security';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { CredentialKey, publicHalf } from './credential-key.ts';
import { NodeState } from './node-state.ts';

interface World {
  readonly state: NodeState;
  /** The gateway's key. */
  readonly privateJwk: JsonObject;
  readonly gatewayKeyId: string;
  /** The asking node's own key pair. */
  readonly node: { readonly privateKeyPem: string; readonly publicKeyPem: string };
  /** What was logged. */
  readonly logged: string[];
  open(): Promise<CredentialKey>;
}

async function makeWorld(t: TestContext): Promise<World> {
  const state = await NodeState.open(await tempDir(t));
  const { privateJwk } = await createCredentialKeyPair();
  const gatewayKeyId = await credentialKeyId(publicHalf(privateJwk));
  const { privateKeyPem } = await createNodeKeyPair();
  const publicKeyPem = createPublicKey(privateKeyPem).export({ type: 'spki', format: 'pem' }).toString();
  const node = { privateKeyPem, publicKeyPem };
  const logged: string[] = [];
  const log = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { ...silentLogger, info: log, warn: log };
  // Pauses between two rounds of asking last no time.
  const clock: Clock = { ...systemClock, after: (_delayMs, fire) => systemClock.after(0, fire) };
  const options = { state, gatewayKeyId, identityKeyPem: privateKeyPem, clock, logger };
  return { state, privateJwk, gatewayKeyId, node, logged, open: () => CredentialKey.open(options) };
}

function jobWith(connection: CopyEnd['connection']): Job {
  const end: CopyEnd = { connector: 'file', connection: { host: '/' }, location: {}, settings: {}, format: { type: 'Binary' } };
  return {
    formatVersion: 1, jobId: 'j', gatewayId: 'g',
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'j' },
    policy: { timeoutMs: 3_600_000, retry: 0, retryIntervalMs: 0 }, tryNumber: 1, finalTry: true,
    activity: {
      type: 'Copy', source: end, sink: { ...end, connection }, parallelCopies: 0, validateDataConsistency: false,
    },
  };
}

/** The part of it that must not be seen. */
function secretOf({ d }: JsonObject): string {
  assert.ok(typeof d === 'string' && d.length > 20);
  return d;
}

const encrypted = { password: { encryptedCredential: 'a.b.c.d.e' } };

describe('a node that has the gateway\'s credential key', () => {
  test('has no trouble, may run every job and asks nobody', async (t) => {
    const { state, privateJwk, open } = await makeWorld(t);
    await state.writeCredentialKey(privateJwk);
    const key = await open();
    assert.equal(key.trouble, undefined);
    assert.equal(key.ineligible(jobWith(encrypted)), undefined);
    await key.obtain(() => assert.fail('it has the key'), new AbortController().signal);
  });

  test('gives it wrapped, so that only the asker can read it', async (t) => {
    const { state, privateJwk, node, open } = await makeWorld(t);
    await state.writeCredentialKey(privateJwk);
    const wrapped = await (await open()).give({ nodeId: 'b', publicKeyPem: node.publicKeyPem });
    assert.ok(wrapped !== undefined);
    const text = Buffer.from(wrapped).toString();
    assert.ok(!text.includes(secretOf(privateJwk)));
    assert.deepEqual(JSON.parse(Buffer.from(await unwrapWithKey(text, node.privateKeyPem)).toString()), privateJwk);
    const stranger = await createNodeKeyPair();
    await assert.rejects(unwrapWithKey(text, stranger.privateKeyPem), { code: 'DMG_SECURITY_WRAPPED_FOR_ANOTHER' });
  });
});

describe('a node that has another key, or none', () => {
  test('says so, runs only jobs without encrypted secrets, and gives nothing', async (t) => {
    const { state, node, open } = await makeWorld(t);
    await state.writeCredentialKey((await createCredentialKeyPair()).privateJwk);
    const key = await open();
    assert.match(key.trouble ?? '', /credential key has not come yet/);
    assert.match(key.ineligible(jobWith(encrypted)) ?? '', /does not have the gateway's credential key/);
    assert.equal(key.ineligible(jobWith({ host: '/' })), undefined);
    assert.equal(await key.give({ nodeId: 'b', publicKeyPem: node.publicKeyPem }), undefined);
  });

  test('asks until it has got it, and keeps it', async (t) => {
    const { privateJwk, node, logged, open } = await makeWorld(t);
    const key = await open();
    const wrap = async (text: string): Promise<Uint8Array> => Buffer.from(await wrapForKey(Buffer.from(text), node.publicKeyPem));
    const other = (await createCredentialKeyPair()).privateJwk;
    const answers: (() => Promise<Uint8Array | undefined>)[] = [
      () => Promise.reject(new Error('no stream')),
      () => Promise.resolve(undefined),
      () => wrap(JSON.stringify(other)),
      () => wrap('{"d":canary-8f2}'),
      () => wrap(JSON.stringify(privateJwk)),
    ];
    assert.notEqual(key.trouble, undefined);
    const stopping = new AbortController();
    await key.obtain(() => {
      const answer = answers.shift();
      if (answer !== undefined) return answer();
      stopping.abort();
      return Promise.resolve(undefined);
    }, stopping.signal);
    assert.equal(stopping.signal.aborted, false, 'it is asked no more once it has the key');
    assert.equal(key.trouble, undefined);
    assert.equal((await open()).trouble, undefined, 'the next process has it');
    const all = logged.join('\n');
    assert.match(all, /not the gateway's/);
    assert.doesNotMatch(all, /canary/);
    assert.ok(!all.includes(secretOf(privateJwk)) && !all.includes(secretOf(other)));
  });

  test('ends its asking with the node', async (t) => {
    const { open } = await makeWorld(t);
    const stopping = new AbortController();
    const asked = Promise.withResolvers<void>();
    const obtaining = (await open()).obtain(() => {
      asked.resolve();
      return Promise.resolve(undefined);
    }, stopping.signal);
    await asked.promise;
    stopping.abort();
    await obtaining;
  });
});
