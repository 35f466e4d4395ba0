import assert from 'node:assert/strict';
import test from 'node:test';
import { hasCode, isDmgError } from '@dmg/base';
import type { DesiredState, Job } from '@dmg/model';
import { MasterSecret } from './master-secret.ts';
import { createSigningKey, signDesiredState, signJob, verifyDesiredState, verifyJob } from './signatures.ts';

const end = { connector: 'file', connection: { host: '/data' }, location: {}, settings: {}, format: { type: 'Binary' } } as const;
const job: Job = {
  formatVersion: 1, jobId: 'j1', gatewayId: 'g1',
  origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'ar' },
  policy: { timeoutMs: 1000, retry: 0, retryIntervalMs: 30_000 },
  tryNumber: 1, finalTry: true,
  activity: { type: 'Copy', source: end, sink: end, parallelCopies: 0, validateDataConsistency: false },
};
const state: DesiredState = {
  gatewayId: 'g1', nodeId: 'n1', version: 3, concurrentJobsLimit: 8, cancel: ['j9'],
  members: [{ nodeId: 'n1', nodeName: 'one', address: '' }], decision: { number: 2, version: '1.0.0', configDigest: 'd' },
  targetVersion: '1.1.0', drain: { graceMs: 0 }, stores: [{ path: '/data', storeId: 's' }],
};
const badSignature = (reason: RegExp) => (error: unknown) => {
  assert.ok(isDmgError(error) && hasCode(error, 'DMG_SECURITY_BAD_SIGNATURE'), String(error));
  assert.match(error.message, reason);
  return true;
};

test('a job signed for a gateway is read by it as it was', async () => {
  const key = await createSigningKey(new MasterSecret(new Uint8Array(32).fill(1)));
  const text = await signJob(job, { key, expiresAtMs: 1000 });
  // The key travels as JSON when a node registers.
  const signingKey = JSON.parse(JSON.stringify(key.publicJwk)) as typeof key.publicJwk;
  assert.deepEqual(await verifyJob(text, { signingKey, gatewayId: 'g1', wallMs: 1000 }), job);
  assert.equal(signingKey['d'], undefined);
});

test('a job between a table and a text file is read as it was', async () => {
  const key = await createSigningKey(new MasterSecret(new Uint8Array(32).fill(1)));
  const table = { connector: 'postgresql', connection: {}, location: { table: 't' }, settings: {}, format: { type: 'Table' } } as const;
  const text = {
    type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '\\', firstRowAsHeader: true, nullValue: '',
    encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
  } as const;
  for (const [source, sink] of [[table, { ...end, format: text }], [{ ...end, format: text }, table], [table, table]] as const) {
    const copy: Job = { ...job, activity: { ...job.activity, source, sink } };
    const signed = await signJob(copy, { key, expiresAtMs: 1000 });
    assert.deepEqual(await verifyJob(signed, { signingKey: key.publicJwk, gatewayId: 'g1', wallMs: 1 }), copy);
  }
});

test('a job of another control plane, for another gateway, expired, changed or without parts is refused with the reason', async () => {
  const key = await createSigningKey(new MasterSecret(new Uint8Array(32).fill(1)));
  const other = await createSigningKey(new MasterSecret(new Uint8Array(32).fill(2)));
  const trust = { signingKey: key.publicJwk, gatewayId: 'g1', wallMs: 500 };
  const text = await signJob(job, { key, expiresAtMs: 1000 });
  await assert.rejects(
    verifyJob(await signJob(job, { key: other, expiresAtMs: 1000 }), trust), badSignature(/not that of the control plane/),
  );
  await assert.rejects(verifyJob(text, { ...trust, gatewayId: 'g2' }), badSignature(/another gateway/));
  await assert.rejects(verifyJob(text, { ...trust, wallMs: 1001 }), badSignature(/expired at 1970-01-01/));
  const [header = '', payload = '', signature = ''] = text.split('.');
  const changed = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('/data', '/etc')).toString('base64url');
  await assert.rejects(verifyJob(`${header}.${changed}.${signature}`, trust), badSignature(/not that of the control plane/));
  const unsigned = Buffer.from('{"alg":"none","typ":"dmg-job+jws"}').toString('base64url');
  await assert.rejects(verifyJob(`${unsigned}.${payload}.`, trust), badSignature(/not that of the control plane/));
  await assert.rejects(verifyJob('not a jws', trust), badSignature(/not that of the control plane/));
  for (const [part, expected] of [
    [{ tryNumber: 0 }, /job\.tryNumber/],
    [{ policy: undefined }, /job\.policy/],
    [{ activity: { ...job.activity, sink: { ...end, format: { type: 'Parquet' } } } }, /job\.activity\.sink\.format\.type/],
    [{ activity: { ...job.activity, sink: { ...end, format: { type: 'Table' }, location: undefined } } }, /job\.activity\.sink\.location/],
    [{ formatVersion: 2 }, /job\.formatVersion/],
  ] as const) {
    const wrong = { ...job, ...part } as Job;
    await assert.rejects(verifyJob(await signJob(wrong, { key, expiresAtMs: 1000 }), trust), badSignature(expected));
  }
});

test('a desired state is for one node, and a job cannot stand in for it', async () => {
  const key = await createSigningKey(new MasterSecret(new Uint8Array(32).fill(1)));
  const trust = { signingKey: key.publicJwk, gatewayId: 'g1', nodeId: 'n1' };
  const text = await signDesiredState(state, key);
  assert.deepEqual(await verifyDesiredState(text, trust), state);
  await assert.rejects(verifyDesiredState(text, { ...trust, nodeId: 'n2' }), badSignature(/another node/));
  await assert.rejects(verifyDesiredState(text, { ...trust, gatewayId: 'g2' }), badSignature(/another gateway/));
  const { members, ...incomplete } = state;
  for (const [part, broken] of [
    ['members', incomplete], ['members\\[0\\].address', { ...state, members: [{ ...members[0], address: 1 }] }],
    ['drain.graceMs', { ...state, drain: { graceMs: -1 } }], ['stores\\[0\\].storeId', { ...state, stores: [{ path: '/x' }] }],
    ['decision.number', { ...state, decision: {} }],
  ] as const) {
    const signed = await signDesiredState(broken as DesiredState, key);
    await assert.rejects(verifyDesiredState(signed, trust), badSignature(new RegExp(`state.${part} is not`)));
  }
  const signedJob = await signJob(job, { key, expiresAtMs: 1000 });
  await assert.rejects(verifyDesiredState(signedJob, trust), badSignature(/another kind/));
  await assert.rejects(verifyJob(text, { ...trust, wallMs: 0 }), badSignature(/another kind/));
});
