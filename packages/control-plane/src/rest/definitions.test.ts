import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import {
  activityRuns, blobSecret, copyActivity, factory, gateway, group, registeredNode, seed, startFixture, subscriptionId,
} from '../testing/fixture.ts';

const base = `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.DataFactory/factories`;
const version = 'api-version=2018-06-01';

interface RestFailure {
  readonly statusCode: number;
  readonly code: string;
  readonly message: string;
  readonly details: { readonly error?: { readonly fix: string } };
}

const fails = (statusCode: number, code: string) => (error: unknown) => {
  const failure = error as RestFailure;
  assert.equal(failure.statusCode, statusCode, String(error));
  assert.equal(failure.code, code);
  return true;
};

test('factories: create, get, list by subscription and group, delete, with case ignored everywhere', async (t) => {
  const { client, raw } = await startFixture(t);
  const made = await client.factories.createOrUpdate(group, 'Fab-1', { location: 'here', tags: { a: 'b' } });
  assert.equal(made.name, 'Fab-1');
  assert.equal(made.location, 'here');
  assert.equal(made.provisioningState, 'Succeeded');
  await client.factories.createOrUpdate('other', 'fab-2', { location: 'there' });
  assert.equal((await client.factories.get('LOCAL', 'FAB-1')).name, 'Fab-1');
  const names = async (pages: AsyncIterable<{ name?: string }>): Promise<(string | undefined)[]> => {
    const found = [];
    for await (const { name } of pages) found.push(name);
    return found;
  };
  assert.deepEqual(await names(client.factories.list()), ['Fab-1', 'fab-2']);
  assert.deepEqual(await names(client.factories.listByResourceGroup(group)), ['Fab-1']);
  const odd = await raw(
    'GET', `/SUBSCRIPTIONS/${subscriptionId}/resourcegroups/Local/PROVIDERS/microsoft.datafactory/Factories/fab-1?API-Version=2018-06-01`,
  );
  assert.equal(odd.status, 200);
  await client.factories.delete(group, 'Fab-1');
  await client.factories.delete(group, 'Fab-1');
  await assert.rejects(client.factories.get(group, 'Fab-1'), fails(404, 'DMG_CONTROLPLANE_NOT_FOUND'));
  await assert.rejects(client.factories.createOrUpdate(group, 'not--good', {}), fails(400, 'DMG_CONTROLPLANE_NAME_REFUSED'));
});

test('what the user wrote comes back as it was, unknown properties too, and a secret never does', async (t) => {
  const fixture = await startFixture(t);
  const { client, raw } = fixture;
  await seed(fixture);
  const linkedService = await client.linkedServices.get(group, factory, 'blob');
  assert.equal(linkedService.name, 'Blob');
  assert.equal(linkedService.properties.type, 'AzureBlobStorage');
  assert.ok(!JSON.stringify(linkedService).includes('Y2FuYXJ5'));
  const document = {
    properties: { type: 'FileServer', Annotations: ['x'], typeProperties: { host: '/x', madeUp: { deep: [1] } } }, extra: 7,
  };
  const path = `${base}/${factory}/linkedservices/Odd?${version}`;
  const put = await raw('PUT', path, { body: `{"properties": ${JSON.stringify(document.properties)}, "extra": 7,}` });
  assert.equal(put.status, 200, JSON.stringify(put.body));
  assert.match(JSON.stringify((put.body as { warnings: string[] }).warnings), /madeUp/);
  const got = (await raw('GET', path)).body as Record<string, unknown>;
  assert.deepEqual(got['properties'], document.properties);
  assert.equal(got['extra'], 7);
  assert.equal(got['warnings'], undefined);
  const list = [];
  for await (const each of client.linkedServices.listByFactory(group, factory)) list.push(each.name);
  assert.deepEqual(list, ['Blob', 'Folder', 'Odd']);
  await client.linkedServices.delete(group, factory, 'odd');
  await assert.rejects(client.linkedServices.get(group, factory, 'Odd'), fails(404, 'DMG_CONTROLPLANE_NOT_FOUND'));
});

test('a definition that is read and saved again keeps its secret, and one that is replaced loses the old one', async (t) => {
  const fixture = await startFixture(t);
  const { client, raw, sender } = fixture;
  await seed(fixture);
  const node = await registeredNode(fixture);
  const path = `${base}/${factory}/linkedservices/Blob?${version}`;
  const secretOf = async (messages: number): Promise<string> => {
    await client.pipelines.createRun(group, factory, 'copy');
    const job = await node.job((await sender.message(messages)).body);
    return (await node.decrypt(job.activity.sink.connection['connectionString'])).reveal();
  };
  assert.equal(await secretOf(1), blobSecret);
  const shown = (await raw('GET', path)).body;
  const again = await raw('PUT', path, { body: JSON.stringify(shown) });
  assert.equal(again.status, 200, JSON.stringify(again.body));
  assert.equal(await secretOf(2), blobSecret);
  const other = blobSecret.replace('AccountName=acc', 'AccountName=other');
  const { properties } = shown as { properties: { typeProperties: Record<string, unknown> } };
  await raw('PUT', path, { body: JSON.stringify({ properties: { ...properties, typeProperties: { connectionString: other } } }) });
  assert.equal(await secretOf(3), other);
  const masked = await raw('PUT', `${base}/${factory}/linkedservices/New?${version}`, { body: JSON.stringify(shown) });
  assert.equal(masked.status, 400);
  assert.equal((masked.body as { error: { code: string } }).error.code, 'DMG_CONTROLPLANE_SECRET_MISSING');
});

test('wrong definitions are refused with the path of what is wrong, and wrong runs before they are accepted', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  await assert.rejects(
    client.linkedServices.createOrUpdate(group, factory, 'Bad', { properties: { type: 'FileServer', host: 7 } }),
    (error: unknown) =>
      fails(400, 'DMG_CONTRACTS_INVALID_DEFINITION')(error) && /typeProperties\.host/.test((error as RestFailure).message),
  );
  await client.pipelines.createOrUpdate(group, factory, 'lost', {
    activities: [{ ...copyActivity('c'), inputs: [{ type: 'DatasetReference', referenceName: 'Nowhere' }] }],
  });
  await assert.rejects(client.pipelines.createRun(group, factory, 'lost'), fails(400, 'DMG_CONTRACTS_CANNOT_RUN'));
  await assert.rejects(client.pipelines.createRun(group, factory, 'none'), fails(404, 'DMG_CONTROLPLANE_NOT_FOUND'));
  await client.linkedServices.createOrUpdate(group, factory, 'Blob', {
    properties: {
      type: 'AzureBlobStorage', connectionString: blobSecret, connectVia: { type: 'IntegrationRuntimeReference', referenceName: 'nogw' },
    },
  });
  await assert.rejects(client.pipelines.createRun(group, factory, 'copy'), fails(400, 'DMG_CONTROLPLANE_UNKNOWN_GATEWAY'));
  await assert.rejects(
    client.integrationRuntimes.createOrUpdate(group, factory, 'managed', { properties: { type: 'Managed' } }),
    fails(400, 'DMG_CONTROLPLANE_GATEWAY_KIND'),
  );
});

test('etags: If-Match guards a change, If-None-Match saves a read', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  const dataset = await client.datasets.get(group, factory, 'In');
  await client.datasets.createOrUpdate(group, factory, 'In', { properties: dataset.properties }, { ifMatch: dataset.etag ?? '' });
  await assert.rejects(
    client.datasets.createOrUpdate(group, factory, 'In', { properties: dataset.properties }, { ifMatch: '"0"' }),
    fails(412, 'DMG_CONTROLPLANE_ETAG_DIFFERS'),
  );
  await assert.rejects(
    client.datasets.createOrUpdate(group, factory, 'Fresh', { properties: dataset.properties }, { ifMatch: '*' }),
    fails(412, 'DMG_CONTROLPLANE_ETAG_DIFFERS'),
  );
  const unchanged = await client.pipelines.get(group, factory, 'copy', {
    ifNoneMatch: (await client.pipelines.get(group, factory, 'copy')).etag ?? '',
  });
  assert.equal(unchanged.activities, undefined);
});

test('lists longer than a page are followed by the client, and so are queries of runs', async (t) => {
  const fixture = await startFixture(t);
  const { client } = fixture;
  await seed(fixture);
  await client.pipelines.createOrUpdate(group, factory, 'empty', { activities: [] });
  await Promise.all(
    Array.from({ length: 105 }, (_each, index) => client.pipelines.createOrUpdate(group, factory, `p${index}`, { activities: [] })),
  );
  let count = 0;
  for await (const _each of client.pipelines.listByFactory(group, factory)) count += 1;
  assert.equal(count, 107);
  await Promise.all(Array.from({ length: 101 }, () => client.pipelines.createRun(group, factory, 'empty')));
  const window = { lastUpdatedAfter: new Date('2000-01-01'), lastUpdatedBefore: new Date('2100-01-01') };
  const first = await client.pipelineRuns.queryByFactory(group, factory, window);
  assert.equal(first.value.length, 100);
  const second = await client.pipelineRuns.queryByFactory(group, factory, { ...window, continuationToken: first.continuationToken ?? '' });
  assert.equal(second.value.length, 1);
  assert.equal(second.continuationToken, undefined);
  assert.equal(new Set([...first.value, ...second.value].map(({ runId }) => runId)).size, 101);
  assert.ok(first.value.every(({ status }) => status === 'Succeeded'));
});

test('who has no token, no api-version or no such operation is told so in Azure\'s error body', async (t) => {
  const { raw } = await startFixture(t);
  const list = `${base}?${version}`;
  for (const token of [undefined, 'wrong', 'x'.repeat(43)]) {
    const { status, body } = await raw('GET', list, { token });
    assert.equal(status, 401);
    assert.equal((body as { error: { code: string } }).error.code, 'DMG_CONTROLPLANE_UNAUTHENTICATED');
  }
  const noVersion = await raw('GET', base);
  assert.equal(noVersion.status, 400);
  assert.equal((await raw('GET', `${base}?api-version=2017-09-01-preview`)).status, 400);
  const noRoute = await raw('GET', `${base}/${factory}/dataflows?${version}`);
  assert.equal(noRoute.status, 404);
  const { error } = noRoute.body as { error: Record<string, unknown> };
  assert.equal(error['code'], 'DMG_CONTROLPLANE_NO_ROUTE');
  assert.equal(typeof error['fix'], 'string');
  assert.match(noRoute.headers.get('x-ms-request-id') ?? '', /^[0-9a-f-]{36}$/);
  const syntax = await raw('PUT', `${base}/${factory}?${version}`, { body: '{"a": }' });
  assert.equal(syntax.status, 400);
  assert.equal((syntax.body as { error: { code: string } }).error.code, 'DMG_CONTRACTS_JSON_SYNTAX');
  const large = await raw('PUT', `${base}/${factory}?${version}`, { body: `{"a":"${'x'.repeat(5_000_000)}"}` });
  assert.equal(large.status, 413);
  assert.equal((await raw('GET', '/healthz', { token: undefined })).status, 200);
});

test('a planted secret and the keys are in no answer, no log line and no file but their own', async (t) => {
  const fixture = await startFixture(t);
  const { client, raw, logLines, stateFolder, sender } = fixture;
  await seed(fixture);
  const { authKey1 = '' } = await client.integrationRuntimes.listAuthKeys(group, factory, gateway);
  const keySecret = authKey1.split('@').at(-1) ?? '';
  const node = await registeredNode(fixture);
  const { runId } = await client.pipelines.createRun(group, factory, 'copy');
  const { body } = await sender.message(1);
  const bad = await raw('PUT', `${base}/${factory}/linkedservices/Bad?${version}`, {
    body: JSON.stringify({
      properties: { type: 'AzureBlobStorage', typeProperties: { connectionString: blobSecret, accountKind: [blobSecret] } },
    }),
  });
  const badKey = await node.call('POST', '/gateway/v1/register', {
    key: authKey1.slice(0, -1), nodeName: 'x', machineName: 'm', version: '1', credentialPublicKey: {},
  });
  const seen = [
    body, Buffer.from(body.split('.')[1] ?? '', 'base64url').toString(), ...logLines, JSON.stringify(bad.body), JSON.stringify(badKey.body),
    JSON.stringify(await activityRuns(fixture, runId)),
    JSON.stringify((await raw('GET', `${base}/${factory}/linkedservices?${version}`)).body),
  ].join('\n');
  const token = node.registered.nodeToken;
  assert.ok(logLines.length > 3);
  for (const secret of ['Y2FuYXJ5', keySecret, token, fixture.token]) assert.ok(!seen.includes(secret), `found ${secret}`);
  for (const name of await readdir(stateFolder)) {
    const content = await readFile(join(stateFolder, name), 'latin1');
    for (const secret of ['Y2FuYXJ5', keySecret, token]) assert.ok(!content.includes(secret), `${name} holds ${secret}`);
    assert.equal(content.includes(fixture.token), name === 'token', name);
  }
});
