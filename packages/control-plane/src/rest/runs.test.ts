import assert from 'node:assert/strict';
import test from 'node:test';
import type { AttemptOutcome, Job } from '@dmg/model';
import type { FakeNode } from '../testing/fake-node.ts';
import { receiptOf, success } from '../testing/fake-node.ts';
import {
  activityRuns, blobSecret, copyActivity, factory, type Fixture, gateway, group, registeredNode, seed, startFixture,
} from '../testing/fixture.ts';

const fault = {
  code: 'DMG_FILE_NOT_FOUND',
  category: 'config',
  retry: 'never',
  scope: 'job',
  message: 'Cannot read /data/in: it is not there.',
  fix: 'Check the folder.',
  params: {},
  detail: 'ENOENT',
} as const;
const failed = (sink: 'open' | 'aborted' | 'unconfirmed'): AttemptOutcome => ({ kind: 'failed', fault, sink });
const dispatcher = { epoch: '1.a', leading: true, waiting: [], receivedUpTo: 0, queueEmpty: true };

async function startRun({ client }: Fixture, pipeline = 'copy', parameters: Record<string, unknown> = {}): Promise<string> {
  return (await client.pipelines.createRun(group, factory, pipeline, { parameters })).runId;
}

async function onlyActivity(fixture: Fixture, runId: string) {
  const [activity, ...others] = await activityRuns(fixture, runId);
  assert.ok(activity !== undefined && others.length === 0);
  return activity;
}

async function statusOf({ client }: Fixture, runId: string): Promise<string | undefined> {
  return (await client.pipelineRuns.get(group, factory, runId)).status;
}

async function ready(
  t: Parameters<typeof startFixture>[0], change: Parameters<typeof startFixture>[1] = {},
): Promise<{ fixture: Fixture; node: FakeNode }> {
  const fixture = await startFixture(t, change);
  await seed(fixture);
  return { fixture, node: await registeredNode(fixture) };
}

async function jobOf(fixture: Fixture, node: FakeNode, message: number): Promise<Job> {
  return node.job((await fixture.sender.message(message)).body);
}

test('a run goes from createRun over the queue and a node to its receipt, with the fields that Data Factory shows', async (t) => {
  const { fixture, node } = await ready(t);
  const runId = await startRun(fixture);
  const message = await fixture.sender.message(1);
  assert.equal(message.queueName, node.registered.queueName);
  assert.equal(message.sendNo, 1);
  const job = await node.job(message.body);
  assert.equal(message.messageId, `${job.jobId}.1`);
  assert.deepEqual(job.policy, { timeoutMs: 3_600_000, retry: 0, retryIntervalMs: 30_000 });
  assert.equal(job.finalTry, true);
  assert.equal(job.origin.runId, runId);
  assert.equal((await node.decrypt(job.activity.sink.connection['connectionString'])).reveal(), blobSecret);
  assert.equal(await statusOf(fixture, runId), 'Queued');
  await node.runs(job);
  assert.equal(await statusOf(fixture, runId), 'InProgress');
  const running = await onlyActivity(fixture, runId);
  assert.equal(running.status, 'InProgress');
  const progress = running.output as Record<string, unknown>;
  assert.equal(progress['dataRead'], 500);
  assert.equal(progress['percentComplete'], 40);
  await node.report(job, success(job));
  const run = await fixture.client.pipelineRuns.get(group, factory, runId);
  assert.equal(run.status, 'Succeeded');
  assert.ok(run.runEnd !== undefined && run.runStart !== undefined && run.runEnd >= run.runStart);
  const ended = await onlyActivity(fixture, runId);
  const output = ended.output as Record<string, unknown>;
  const expected = {
    dataRead: 2_048_000,
    dataWritten: 2_048_000,
    filesRead: 2,
    filesWritten: 2,
    copyDuration: 2,
    throughput: 1000,
    usedParallelCopies: 4,
    effectiveIntegrationRuntime: `${gateway} (node-1)`,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(output[name], value, name);
  assert.deepEqual(output['receipt'], receiptOf(job));
  assert.equal((output['durationInQueue'] as { integrationRuntimeQueue: number }).integrationRuntimeQueue >= 0, true);
  const [detail] = output['executionDetails'] as { source: unknown; sink: unknown; status: string }[];
  assert.deepEqual([detail?.source, detail?.sink, detail?.status], [{ type: 'FileServer' }, { type: 'AzureBlobStorage' }, 'Succeeded']);
  assert.equal((ended.error as { message: string }).message, '');
});

test('a run without a node stays Queued with the reason, and goes when a node registers', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const runId = await startRun(fixture);
  const run = await fixture.client.pipelineRuns.get(group, factory, runId);
  assert.equal(run.status, 'Queued');
  assert.match(run.message ?? '', /No node is registered with the gateway gateway-1/);
  assert.equal(fixture.sender.sent.length, 0);
  await registeredNode(fixture);
  await fixture.sender.message(1);
  assert.match(
    (await fixture.client.pipelineRuns.get(group, factory, runId)).message ?? '',
    /No node of the gateway gateway-1 is online: node-1 is Initializing/,
  );
});

test('a queue that fails is named as the reason, and gets the same message when it works again', async (t) => {
  const { fixture, node } = await ready(t);
  fixture.sender.failure = new Error('the namespace is gone');
  const runId = await startRun(fixture);
  await fixture.sender.until(() => fixture.sender.refused >= 2);
  assert.match(
    (await fixture.client.pipelineRuns.get(group, factory, runId)).message ?? '',
    /queue of the gateway gateway-1 does not take its message: .*the namespace is gone/,
  );
  fixture.sender.failure = undefined;
  const message = await fixture.sender.message(1);
  assert.match(message.messageId, /\.1$/);
  assert.equal((await node.job(message.body)).tryNumber, 1);
});

test('a failed try with tries left is followed by the next; the last failure ends the run with code, sentence and remedy', async (t) => {
  const { fixture, node } = await ready(t);
  await fixture.client.pipelines.createOrUpdate(group, factory, 'retry', {
    activities: [{ ...copyActivity('Copy1', { retry: 1 }), policy: { retry: 1, retryIntervalInSeconds: 30 } }],
  });
  const runId = await startRun(fixture, 'retry');
  const first = await jobOf(fixture, node, 1);
  assert.equal(first.finalTry, false);
  await node.alive({ dispatcher });
  await node.report(first, failed('open'));
  const waiting = await fixture.client.pipelineRuns.get(group, factory, runId);
  assert.equal(waiting.status, 'Queued');
  assert.match(waiting.message ?? '', /Copy1: Try 2 of 2 begins at 20/);
  const retrying = await onlyActivity(fixture, runId);
  assert.equal((retrying as { retryAttempt?: number }).retryAttempt, 1);
  await node.report({ jobId: first.jobId, tryNumber: 2 }, failed('aborted'));
  const run = await fixture.client.pipelineRuns.get(group, factory, runId);
  assert.equal(run.status, 'Failed');
  assert.match(
    run.message ?? '', /Operation on target Copy1 failed: DMG_FILE_NOT_FOUND: Cannot read \/data\/in: it is not there\. Check the folder\./,
  );
  const ended = await onlyActivity(fixture, runId);
  const { errorCode, message, failureType, details } = ended.error as Record<string, string>;
  assert.deepEqual([errorCode, failureType, details], ['DMG_FILE_NOT_FOUND', 'UserError', 'ENOENT']);
  assert.match(message ?? '', /Check the folder/);
  assert.equal(fixture.sender.sent.length, 1);
});

test('activities wait for what they depend on, and are skipped when it ended otherwise', async (t) => {
  const { fixture, node } = await ready(t);
  const on = (activity: string, condition: string) => [{ activity, dependencyConditions: [condition] }];
  await fixture.client.pipelines.createOrUpdate(group, factory, 'chain', {
    activities: [
      copyActivity('A'), copyActivity('B', { dependsOn: on('A', 'Succeeded') }), copyActivity('C', { dependsOn: on('A', 'Failed') }),
    ],
  });
  const runId = await startRun(fixture, 'chain');
  const a = await jobOf(fixture, node, 1);
  assert.deepEqual((await activityRuns(fixture, runId)).map(({ activityName }) => activityName), ['A']);
  await node.report(a, success(a));
  const b = await jobOf(fixture, node, 2);
  assert.equal(b.origin.activityName, 'B');
  assert.notEqual(b.jobId, a.jobId);
  await node.report(b, success(b));
  assert.deepEqual(
    (await activityRuns(fixture, runId)).map(({ activityName, status }) => `${activityName} ${status}`),
    ['A Succeeded', 'B Succeeded', 'C Skipped'],
  );
  assert.equal(await statusOf(fixture, runId), 'Succeeded');
});

test('cancel ends at once what was never sent; what was sent is listed for the nodes, for a day after its end too', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  const unsent = await startRun(fixture);
  await fixture.client.pipelineRuns.cancel(group, factory, unsent);
  assert.equal(await statusOf(fixture, unsent), 'Cancelled');
  const node = await registeredNode(fixture);
  const runId = await startRun(fixture);
  const job = await jobOf(fixture, node, 1);
  const before = await node.desired();
  assert.deepEqual(before.cancel, []);
  const poll = node.desired(before.version);
  await fixture.client.pipelineRuns.cancel(group, factory, runId);
  assert.deepEqual((await poll).cancel, [job.jobId]);
  assert.equal(await statusOf(fixture, runId), 'Canceling');
  await fixture.restart();
  assert.deepEqual((await node.desired()).cancel, [job.jobId]);
  await node.report(job, { kind: 'cancelled', sink: 'unconfirmed' });
  assert.equal(await statusOf(fixture, runId), 'Cancelled');
  // A dispatcher may read it back from an old ledger.
  assert.deepEqual((await node.desired()).cancel, [job.jobId]);
  const ended = await onlyActivity(fixture, runId);
  assert.equal((ended.output as { confirmed: boolean }).confirmed, false);
  await node.report(job, success(job));
  assert.equal(await statusOf(fixture, runId), 'Cancelled');
  const noted = await onlyActivity(fixture, runId);
  assert.match(JSON.stringify((noted.output as { note: unknown }).note), /complete before it could be stopped/);
});

test('reports may come twice, in any order, for jobs that nobody knows, and after a restart', async (t) => {
  const { fixture, node } = await ready(t);
  const runId = await startRun(fixture);
  const job = await jobOf(fixture, node, 1);
  await fixture.restart();
  const first = await node.report(job, success(job));
  assert.deepEqual(first, { status: 200, body: { results: [{ jobId: job.jobId, accepted: true }] } });
  const again = await node.report(job, success(job));
  assert.deepEqual((again.body as { results: unknown[] }).results, [{ jobId: job.jobId, accepted: false }]);
  await node.report(job, failed('aborted'));
  assert.equal(await statusOf(fixture, runId), 'Succeeded');
  const unknown = await node.report({ jobId: 'f'.repeat(32), tryNumber: 1 }, success(job));
  assert.equal(unknown.status, 200);
  assert.equal((await node.call('POST', '/gateway/v1/reports', { reports: [{ jobId: job.jobId }] })).status, 400);
});

test('a job that is too large for a message is fetched by its address, by nodes of its gateway only', async (t) => {
  const { fixture, node } = await ready(t);
  const columns = Array.from(
    { length: 4000 },
    (_each, index) => ({ source: { name: `a_rather_long_column_name_${index}` }, sink: { name: `another_name_${index}` } }),
  );
  const format = (store: string, location: Record<string, unknown>) => ({
    properties: {
      type: 'DelimitedText' as const,
      linkedServiceName: { type: 'LinkedServiceReference' as const, referenceName: store },
      location,
      firstRowAsHeader: true,
    },
  });
  const folder = { type: 'FileServerLocation', folderPath: 'in' };
  await fixture.client.datasets.createOrUpdate(group, factory, 'CsvIn', format('Folder', folder) as never);
  await fixture.client.datasets.createOrUpdate(
    group, factory, 'CsvOut', format('Blob', { type: 'AzureBlobStorageLocation', container: 'out' }) as never,
  );
  const wide = {
    name: 'wide', type: 'Copy',
    inputs: [{ type: 'DatasetReference', referenceName: 'CsvIn' }],
    outputs: [{ type: 'DatasetReference', referenceName: 'CsvOut' }],
    source: { type: 'DelimitedTextSource', storeSettings: { type: 'FileServerReadSettings' } },
    sink: {
      type: 'DelimitedTextSink',
      storeSettings: { type: 'AzureBlobStorageWriteSettings' },
      formatSettings: { type: 'DelimitedTextWriteSettings', fileExtension: '.csv' },
    },
    translator: { type: 'TabularTranslator', mappings: columns },
  };
  await fixture.client.pipelines.createOrUpdate(group, factory, 'wide', { activities: [wide as never] });
  await startRun(fixture, 'wide');
  const { body } = await fixture.sender.message(1);
  assert.match(body, /^\{"address":"\/gateway\/v1\/jobs\/[0-9a-f]{32}"\}$/);
  const job = await node.job(body);
  assert.equal(job.activity.translator?.mappings.length, 4000);
  const { address } = JSON.parse(body) as { address: string };
  assert.equal((await fixture.raw('GET', address)).status, 401);
  await fixture.client.integrationRuntimes.createOrUpdate(group, factory, 'gateway-2', { properties: { type: 'SelfHosted' } });
  const { authKey1 = '' } = await fixture.client.integrationRuntimes.listAuthKeys(group, factory, 'gateway-2');
  await node.register(authKey1);
  assert.equal((await node.call('GET', address)).status, 404);
});

test('a message that the queue gives up is sent again three times, then the run fails', async (t) => {
  const { fixture, node } = await ready(t);
  const runId = await startRun(fixture);
  const deadLetter = (messageId: string) =>
    node.call('POST', '/gateway/v1/dead-letters', {
      deadLetters: [{ messageId, reason: 'MaxDeliveryCountExceeded', description: 'd', deliveryCount: 100 }],
    });
  for (let count = 1; count <= 4; count++) {
    const { messageId, sendNo } = await fixture.sender.message(count);
    assert.equal(sendNo, count);
    assert.match(messageId, new RegExp(`\\.${count}$`));
    await deadLetter(messageId);
    await deadLetter(messageId);
  }
  assert.equal(await statusOf(fixture, runId), 'Failed');
  assert.match(
    (await fixture.client.pipelineRuns.get(group, factory, runId)).message ?? '',
    /DMG_CONTROLPLANE_POISON_MESSAGE.*MaxDeliveryCountExceeded/,
  );
  assert.equal(fixture.sender.sent.length, 4);
});

test('a job that nobody names is sent again after D, as one more message of the same try; one that is named is not', async (t) => {
  const { fixture, node } = await ready(t, { resend: { quietMs: 300, contactGapMs: 5000 } });
  const lost = await startRun(fixture);
  const lostJob = await jobOf(fixture, node, 1);
  const kept = await startRun(fixture, 'copy');
  const keptJob = await jobOf(fixture, node, 2);
  let again: Awaited<ReturnType<Fixture['sender']['message']>> | undefined;
  void fixture.sender.message(3).then((message) => (again = message));
  while (again === undefined) await node.alive({ dispatcher: { ...dispatcher, receivedUpTo: 2, waiting: [keptJob.jobId] } });
  assert.equal(again.messageId, `${lostJob.jobId}.2`);
  assert.equal(again.sendNo, 3);
  assert.equal((await node.job(again.body)).tryNumber, 1);
  assert.deepEqual([await statusOf(fixture, lost), await statusOf(fixture, kept)], ['Queued', 'Queued']);
});

test('a try past its timeout is given up by the control plane, and nodes are told to stop it', async (t) => {
  const { fixture, node } = await ready(t, { resend: { quietMs: 200, contactGapMs: 5000 }, timeoutBackstopMs: -3_600_000 + 400 });
  const runId = await startRun(fixture);
  const job = await jobOf(fixture, node, 1);
  while ((await statusOf(fixture, runId)) !== 'Failed') await node.runs(job);
  const ended = await onlyActivity(fixture, runId);
  assert.equal((ended.error as { errorCode: string }).errorCode, 'DMG_CONTROLPLANE_RUN_TIMED_OUT');
  assert.deepEqual((await node.desired()).cancel, [job.jobId]);
  await node.report(job, { kind: 'cancelled', sink: 'aborted' });
  assert.deepEqual((await node.desired()).cancel, []);
  assert.equal(await statusOf(fixture, runId), 'Failed');
});

test('runs are filtered, ordered and windowed as the client asks', async (t) => {
  const { fixture, node } = await ready(t);
  const { client } = fixture;
  await client.pipelines.createOrUpdate(group, factory, 'second', {
    activities: [copyActivity('X')], parameters: { size: { type: 'Int', defaultValue: 3 } },
  });
  const first = await startRun(fixture);
  const second = await startRun(fixture, 'second', { size: 5 });
  const job = await jobOf(fixture, node, 1);
  await node.report(job, success(job));
  const window = { lastUpdatedAfter: new Date('2000-01-01'), lastUpdatedBefore: new Date('2100-01-01') };
  const query = async (
    filters: { operand: string; operator: string; values: string[] }[], more: object = {},
  ): Promise<(string | undefined)[]> =>
    (await client.pipelineRuns.queryByFactory(group, factory, { ...window, filters, ...more })).value.map(({ runId }) => runId);
  assert.deepEqual(await query([{ operand: 'Status', operator: 'Equals', values: ['succeeded'] }]), [first]);
  assert.deepEqual(await query([{ operand: 'PipelineName', operator: 'NotIn', values: ['copy'] }]), [second]);
  assert.deepEqual(await query([], { orderBy: [{ orderBy: 'PipelineName', order: 'DESC' }] }), [second, first]);
  assert.deepEqual(await query([], { lastUpdatedBefore: new Date('2001-01-01') }), []);
  await assert.rejects(query([{ operand: 'Colour', operator: 'Equals', values: ['red'] }]), /operand is none of/);
  assert.deepEqual((await client.pipelineRuns.get(group, factory, second)).parameters, { size: '5' });
  const none = await client.activityRuns.queryByPipelineRun(group, factory, first, {
    ...window, filters: [{ operand: 'Status', operator: 'Equals', values: ['Failed'] }],
  });
  assert.deepEqual(none.value, []);
  await assert.rejects(client.pipelineRuns.get(group, factory, 'no-such-run'), /Cannot find the pipeline run/);
  await assert.rejects(client.integrationRuntimes.delete(group, factory, gateway), /have not ended/);
  await client.pipelineRuns.cancel(group, factory, second);
});
