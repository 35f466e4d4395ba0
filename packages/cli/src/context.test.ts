import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { hasCode } from '@dmg/base';
import { type Context, type ContextFlags, defaultStateFolder, openContext, type UpFile } from './context.ts';
import type { Environment } from './environment.ts';

/** A state folder with what `dmg up` leaves in it, and two other CAs. */
async function stateFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-cli-'));
  t.after(() => rm(folder, { recursive: true }));
  const up: UpFile = {
    endpoint: 'https://up:1', ca: join(folder, 'ca.pem'), token: 'up-token', subscriptionId: 'up-subscription',
    resourceGroupName: 'up-group', factoryName: 'up-factory', redis: '', serviceBus: '', blob: '', nodes: [],
  };
  await writeFile(join(folder, 'up.json'), JSON.stringify(up));
  for (const name of ['ca.pem', 'other-ca.pem', 'token']) await writeFile(join(folder, name), ` ${name}\n`);
  return folder;
}

async function open(t: TestContext, flags: ContextFlags, environment: Environment): Promise<Context> {
  const context = await openContext(flags, environment);
  t.after(() => context.client.close());
  return context;
}

test('flags win over the environment, and that over what `dmg up` left', async (t) => {
  const folder = await stateFolder(t);
  const environment = {
    DMG_ENDPOINT: 'https://environment:2', DMG_CA: join(folder, 'other-ca.pem'), DMG_TOKEN: 'x', DMG_FACTORY: 'environment',
  };
  const chosen = async (flags: ContextFlags, from: Environment): Promise<[string, string]> => {
    const { client, factoryName } = await open(t, { state: folder, ...flags }, from);
    return [client.endpoint, factoryName];
  };
  assert.deepEqual(await chosen({}, {}), ['https://up:1', 'up-factory']);
  assert.deepEqual(await chosen({}, environment), ['https://environment:2', 'environment']);
  assert.deepEqual(await chosen({ endpoint: 'https://flag:3', factory: 'flag' }, environment), ['https://flag:3', 'flag']);
  assert.deepEqual(await chosen({ factory: 'flag' }, {}), ['https://up:1', 'flag']);
});

test('a control plane that was named gets nothing that belongs to the one of `dmg up`', async (t) => {
  const folder = await stateFolder(t);
  const elsewhere = { state: folder, endpoint: 'https://other:1' };
  const incomplete = (error: unknown): boolean => hasCode(error, 'DMG_CLI_INCOMPLETE_CONTEXT');
  await assert.rejects(openContext(elsewhere, {}), incomplete);
  await assert.rejects(openContext({ ...elsewhere, ca: join(folder, 'other-ca.pem') }, {}), incomplete);
  const context = await open(t, { ...elsewhere, ca: join(folder, 'other-ca.pem'), tokenFile: join(folder, 'token') }, {});
  assert.deepEqual([context.up, context.subscriptionId, context.factoryName], [undefined, '00000000-0000-0000-0000-000000000000', 'local']);
});

test('what is missing or broken is named', async (t) => {
  const folder = await stateFolder(t);
  const empty = join(folder, 'empty');
  await mkdir(empty);
  await assert.rejects(openContext({ state: empty }, {}), (error) => hasCode(error, 'DMG_CLI_NO_CONTEXT'));
  await writeFile(join(empty, 'up.json'), '{');
  await assert.rejects(openContext({ state: empty }, {}), (error) => hasCode(error, 'DMG_CLI_BAD_CONTEXT'));
  await assert.rejects(openContext({ state: folder, tokenFile: join(folder, 'none') }, {}), /none: ENOENT/);
  await assert.rejects(openContext({ endpoint: 'http://plain:1' }, {}), /no https address/);
});

test('the state folder is the one that is set, else that of the machine or of the user', () => {
  assert.equal(defaultStateFolder({ DMG_STATE: '/set', XDG_STATE_HOME: '/xdg' }), '/set');
  assert.equal(defaultStateFolder({ XDG_STATE_HOME: '/xdg' }), process.getuid?.() === 0 ? '/var/lib/dmg' : '/xdg/dmg');
});
