import assert from 'node:assert/strict';
import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { hasCode, isDmgError } from '@dmg/base';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { NodeState, type Registration } from './node-state.ts';

const registration: Registration = {
  endpoint: 'https://localhost:8443', caPem: 'pem', keyHash: 'hash',
  gatewayId: 'g', gatewayName: 'gateway', nodeId: 'n', nodeName: 'node-1',
  nodeToken: 'token', queueName: 'dmg-g', signingKey: { kty: 'OKP' }, concurrentJobsLimit: 4,
  credentialKeyId: 'kid', certificate: { certificatePem: 'certificate', caPem: 'gateway ca' },
};

test('what is kept is read back by the next process, and only its user may read it', async (t) => {
  const folder = join(await tempDir(t), 'a', 'b');
  const state = await NodeState.open(folder);
  assert.equal(await state.readRegistration(), undefined);
  await state.writeRegistration(registration);
  await state.keepReport('j.1.json', { jobId: 'j' });
  const again = await NodeState.open(folder);
  assert.deepEqual(await again.readRegistration(), registration);
  assert.deepEqual(await again.pendingReports(), [{ name: 'j.1.json', report: { jobId: 'j' } }]);
  assert.equal((await stat(join(folder, 'registration.json'))).mode & 0o777, 0o600);
  await again.dropReport('j.1.json');
  await again.dropReport('j.1.json');
  assert.deepEqual(await again.pendingReports(), []);
});

test('processes that open one folder at the same moment do not disturb each other', async (t) => {
  const folder = await tempDir(t);
  await Promise.all(Array.from({ length: 8 }, () => NodeState.open(folder)));
  await Promise.all(Array.from({ length: 8 }, async () => (await NodeState.open(folder)).writeRegistration(registration)));
  assert.deepEqual(await NodeState.at(folder).readRegistration(), registration);
  assert.deepEqual((await readdir(folder)).sort(), ['.writable', 'registration.json', 'reports', 'run']);
});

test('a folder that is none, and a file that is damaged, are named', async (t) => {
  const folder = await tempDir(t);
  const file = join(folder, 'file');
  await writeFile(file, '');
  await assert.rejects(NodeState.open(file), (error) => hasCode(error, 'DMG_NODE_STATE_UNUSABLE'));
  const state = await NodeState.open(join(folder, 'state'));
  await writeFile(join(folder, 'state', 'registration.json'), '{"half');
  await assert.rejects(state.readRegistration(), { code: 'DMG_NODE_STATE_UNUSABLE', message: /registration\.json/ });
  await chmod(folder, 0o700);
});

test('what a damaged file holds is not told: it may be a key', async (t) => {
  const state = await NodeState.open(await tempDir(t));
  await writeFile(state.credentialKeyFile, '{"d":canary-8f2}');
  const error = await state.readCredentialKey().catch((thrown: unknown) => thrown);
  assert.ok(isDmgError(error));
  assert.match(error.message, /credential-key\.json is damaged/);
  assert.doesNotMatch(`${inspect(error, { depth: 9 })} ${JSON.stringify(error.toFault())}`, /canary/);
});
