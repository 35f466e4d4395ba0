import assert from 'node:assert/strict';
import test from 'node:test';
import { type Labels, type MetricDefinition, silentMeter, systemClock } from '@dmg/base';
import type { DispatcherReport, NodeStatus } from '@dmg/model';
import { type FakeNode, success } from '../testing/fake-node.ts';
import { factory, type Fixture, gateway, group, registeredNode, seed, startFixture, subscriptionId } from '../testing/fixture.ts';

const gatewayPath =
  `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.DataFactory/factories/${factory}` +
  `/integrationRuntimes/${gateway}`;
const version = '?api-version=2018-06-01';
const decision = { number: 1, version: '0.1.0', configDigest: 'digest-1' };

/** A clock whose time jumps as a test says. */
function jumpingClock(): { clock: typeof systemClock; jump: (ms: number) => void } {
  let skippedMs = 0;
  const clock = {
    ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs, wallMs: () => systemClock.wallMs() + skippedMs,
  };
  return { clock, jump: (ms) => (skippedMs += ms) };
}

async function nodesOf(fixture: Fixture, names: readonly string[]): Promise<FakeNode[]> {
  await seed(fixture);
  const [first, ...others] = names;
  const nodes = [await registeredNode(fixture, first)];
  for (const name of others) nodes.push(await registeredNode(fixture, name, nodes[0]?.keys));
  return nodes;
}

function leading(epoch: string, change: Partial<DispatcherReport> = {}): DispatcherReport {
  return { epoch, leading: true, waiting: [], receivedUpTo: 0, queueEmpty: true, ...change };
}

/** What the node obeys. */
function obeys(leader: FakeNode | undefined, epoch: string, lostForMs = 0) {
  return { dispatcher: { nodeId: leader?.registered.nodeId ?? '', epoch, lostForMs } };
}

interface ShownNode extends Record<string, unknown> {
  readonly nodeName: string;
  readonly evidence: string;
}

interface Shown {
  readonly state: string | undefined;
  readonly properties: Record<string, unknown>;
  readonly nodes: readonly ShownNode[];
}

async function shown({ client }: Fixture): Promise<Shown> {
  const { properties } = await client.integrationRuntimes.getStatus(group, factory, gateway);
  const { nodes = [] } = properties as { nodes?: ShownNode[] };
  return { state: properties?.state, properties: { ...properties }, nodes };
}

/** The same answer of every place that shows a status; `[REST word, our word]` of the node. */
async function statusOf(fixture: Fixture, node: FakeNode): Promise<[unknown, NodeStatus]> {
  const { client } = fixture;
  const inStatus = (await shown(fixture)).nodes.find(({ nodeName }) => nodeName === node.name);
  const monitored = (await client.integrationRuntimes.getMonitoringData(group, factory, gateway)).nodes ?? [];
  const inMonitoring = monitored.find(({ nodeName }) => nodeName === node.name);
  const own: Record<string, unknown> = { ...(await client.integrationRuntimeNodes.get(group, factory, gateway, node.name)) };
  for (const part of ['status', 'statusDetail', 'evidence', 'remedy', 'isActiveDispatcher']) {
    assert.equal(own[part], inStatus?.[part], part);
    assert.equal(inMonitoring?.[part], inStatus?.[part], part);
  }
  return [own['status'], own['statusDetail'] as NodeStatus];
}

test('one node is the dispatcher: the one that leads under the highest epoch of which anybody has heard', async (t) => {
  const { clock, jump } = jumpingClock();
  const fixture = await startFixture(t, { clock });
  const [one, two, three] = await nodesOf(fixture, ['one', 'two', 'three']);
  const dispatcher = async (): Promise<unknown[]> =>
    (await shown(fixture)).nodes.filter((node) => node['isActiveDispatcher'] === true).map(({ nodeName }) => nodeName);
  await three?.alive();
  assert.deepEqual(await dispatcher(), []);
  await one?.alive({ dispatcher: leading('9.a'), facts: obeys(one, '9.a') });
  assert.deepEqual(await dispatcher(), ['one']);
  await two?.alive({ dispatcher: leading('10.b'), facts: obeys(two, '10.b') });
  assert.deepEqual(await dispatcher(), ['two'], 'numbers are compared as numbers');
  await one?.alive({ dispatcher: leading('9.a'), facts: obeys(one, '9.a') });
  assert.deepEqual(await dispatcher(), ['two'], 'the old one still says that it leads');
  await two?.alive({ dispatcher: leading('10.b', { leading: false }) });
  assert.deepEqual(await dispatcher(), [], 'the newest has stepped down, and who led before is obeyed by nobody');
  await three?.alive({ facts: obeys(one, '11.c') });
  await two?.alive({ dispatcher: leading('10.b') });
  assert.deepEqual(await dispatcher(), [], 'somebody obeys a later one');
  jump(16_000);
  await one?.alive({ dispatcher: leading('9.a') });
  assert.deepEqual(await dispatcher(), ['one'], 'what was heard long ago counts no more');
});

test('each status is shown alike in getStatus, monitoringData and the node, with evidence and remedy', async (t) => {
  const { clock, jump } = jumpingClock();
  const fixture = await startFixture(t, { clock });
  const [one, two] = await nodesOf(fixture, ['one', 'two']);
  assert.ok(one && two);
  const leads = () => one.alive({ dispatcher: leading('5.a', { decision }), facts: obeys(one, '5.a') });
  const follows = (facts: Parameters<FakeNode['alive']>[0] = {}) =>
    two.alive({ ...facts, facts: { ...obeys(one, '5.a'), ...facts.facts } });
  assert.deepEqual(await statusOf(fixture, two), ['Initializing', 'Initializing']);
  await leads();
  await follows();
  assert.deepEqual(await statusOf(fixture, two), ['Online', 'Online']);
  assert.equal((await shown(fixture)).state, 'Online');
  await follows({ facts: { configDigest: 'digest-2', config: 'no encryption' } });
  assert.deepEqual(await statusOf(fixture, two), ['Limited', 'Inactive']);
  const { state, nodes, properties } = await shown(fixture);
  assert.equal(state, 'Limited');
  assert.match(nodes[1]?.evidence ?? '', /\(no encryption\) differs from that of the gateway \(tls\)/);
  assert.match(String(properties['evidence']), /1 of 2 nodes are Online; two is Inactive/);
  await follows({ facts: { version: '0.2.0' } });
  assert.deepEqual(await statusOf(fixture, two), ['Limited', 'Limited']);
  await follows({ facts: { stage: 'upgrading' } });
  assert.deepEqual(await statusOf(fixture, two), ['Upgrading', 'Upgrading']);
  await follows({ facts: { stage: 'initializeFailed', stageReason: 'the port is taken' } });
  assert.deepEqual(await statusOf(fixture, two), ['InitializeFailed', 'InitializeFailed']);
  await follows();
  jump(4000);
  await leads();
  await two.alive({ facts: obeys(one, '5.a', 4000) });
  assert.deepEqual(await statusOf(fixture, two), ['Limited', 'Inactive'], 'no stream to the dispatcher, which lives');
  assert.equal((await one.aliveAnswer({ dispatcher: leading('5.a') })).judgement.status, 'Online');
  const answer = await two.aliveAnswer({ facts: obeys(one, '5.a', 4000) });
  assert.equal(answer.judgement.status, 'Inactive');
  assert.match(answer.judgement.evidence, /between it and the dispatcher one has been down for 4 s/);
  jump(20_000);
  await leads();
  assert.deepEqual(await statusOf(fixture, two), ['Offline', 'Offline']);
  jump(20_000);
  assert.equal((await shown(fixture)).state, 'Offline');
});

test('versions, capabilities and figures of a node are as it told, and nothing is made of a silent one', async (t) => {
  const { clock, jump } = jumpingClock();
  const fixture = await startFixture(t, { clock });
  const [one, two] = await nodesOf(fixture, ['one', 'two']);
  await one?.alive({ dispatcher: leading('5.a', { decision: { ...decision, version: '0.2.0' } }), facts: { version: '0.2.0' } });
  const troubles = [{ part: 'credentialKey', reason: 'not fetched' }, { part: 'queue', reason: 'closed' }] as const;
  await two?.alive({ facts: { address: '10.0.0.2:8060', troubles, slots: { limit: 8, used: 3, maximum: 16 } } });
  const { properties, nodes: [first, second] } = await shown(fixture);
  assert.deepEqual([properties['version'], properties['latestVersion'], properties['versionStatus']], ['0.2.0', '0.2.0', 'Expiring']);
  assert.deepEqual([first?.['versionStatus'], second?.['versionStatus']], ['UpToDate', 'Expiring']);
  const common = { serviceBusConnected: 'False', credentialInSync: 'False', connectedToResourceManager: 'True', nodeEnabled: 'True' };
  assert.deepEqual(second?.['capabilities'], { ...common, httpsPortEnabled: 'False' });
  assert.deepEqual(properties['capabilities'], common);
  assert.equal(second?.['hostServiceUri'], 'https://10.0.0.2:8060/');
  const { ipAddress } = await fixture.client.integrationRuntimeNodes.getIpAddress(group, factory, gateway, 'two');
  assert.equal(ipAddress, '10.0.0.2');
  const monitored = async () => (await fixture.client.integrationRuntimes.getMonitoringData(group, factory, gateway)).nodes?.[1] ?? {};
  const figures = { concurrentJobsRunning: 3, availableMemoryInMB: 2048, cpuUtilization: 12, sentBytes: 10, receivedBytes: 20 };
  assert.partialDeepStrictEqual(await monitored(), { ...figures, concurrentJobsLimit: 8, maxConcurrentJobs: 16 });
  jump(16_000);
  const silent = await monitored();
  assert.deepEqual(Object.keys(figures).filter((name) => silent[name] !== undefined), []);
  const off = (await shown(fixture)).nodes[1]?.['capabilities'];
  assert.deepEqual(off, {
    serviceBusConnected: 'False', credentialInSync: 'False', connectedToResourceManager: 'False', nodeEnabled: 'True',
    httpsPortEnabled: 'False',
  });
});

test('a node that was alive when the control plane stopped is not taken for silent by the next, one that was gone is', async (t) => {
  const { clock, jump } = jumpingClock();
  const fixture = await startFixture(t, { clock });
  const [one, two, three] = await nodesOf(fixture, ['one', 'two', 'three']);
  await three?.alive();
  jump(700_000);
  await one?.alive();
  await two?.alive();
  await fixture.restart({}, () => Promise.resolve(jump(3_600_000)));
  const { roster } = (await one?.aliveAnswer()) ?? { roster: [] };
  assert.deepEqual(roster.map(({ silentMs }) => Math.floor(silentMs / 100_000)), [0, 0, 7]);
  const { nodes } = await shown(fixture);
  assert.deepEqual(nodes.map((node) => node['status']), ['Online', 'Initializing', 'Offline']);
});

test('a drained node is Limited and not enabled until it is resumed, and its nodes are told at once', async (t) => {
  const fixture = await startFixture(t);
  const [one, two] = await nodesOf(fixture, ['one', 'two']);
  assert.ok(one && two);
  const leads = () => one.alive({ dispatcher: leading('1.a'), facts: obeys(one, '1.a') });
  await one.alive();
  await two.alive();
  const post = (action: string, body?: unknown, name = 'TWO') =>
    fixture.raw('POST', `${gatewayPath}/nodes/${name}/${action}${version}`, body === undefined ? {} : { body: JSON.stringify(body) });
  const poll = two.desired((await two.desired()).version);
  const drained = await post('drain', { graceSeconds: 1.5 });
  assert.equal(drained.status, 200);
  assert.partialDeepStrictEqual(drained.body, {
    nodeName: 'two', status: 'Limited', statusDetail: 'Limited', drain: { graceSeconds: 1.5 }, capabilities: { nodeEnabled: 'False' },
  });
  assert.deepEqual((await poll).drain, { graceMs: 1500 });
  assert.deepEqual(await statusOf(fixture, two), ['Limited', 'Limited']);
  const { state, properties } = await shown(fixture);
  assert.deepEqual([state, properties['availableNodes']], ['Limited', 1]);
  assert.equal((properties['capabilities'] as { nodeEnabled: string }).nodeEnabled, 'False');
  assert.deepEqual((await post('drain')).status, 200);
  assert.deepEqual((await two.desired()).drain, { graceMs: 60_000 });
  const { runId } = await fixture.client.pipelines.createRun(group, factory, 'copy');
  const { messageId } = await fixture.sender.message(1);
  const waitsFor = async () => (await fixture.client.pipelineRuns.get(group, factory, runId)).message ?? '';
  assert.match(await waitsFor(), /gateway-1 has no dispatcher at present.*: two is Limited \(The user drains it/);
  await leads();
  assert.match(await waitsFor(), /free place/);
  const jobId = messageId.split('.')[0] ?? '';
  const reason = `${one.registered.nodeId}: /x does not exist on this node`;
  await one.alive({ dispatcher: leading('1.a', { waiting: [jobId], stranded: [{ jobId, reason }] }), facts: obeys(one, '1.a') });
  assert.match(await waitsFor(), /No node of the gateway gateway-1 can run it now: one: \/x does not exist on this node/);
  assert.equal((await post('drain', {}, 'one')).status, 200);
  assert.match(await waitsFor(), /No node of the gateway gateway-1 takes jobs: one is Limited \(The user drains it/);
  const resumed = await post('resume');
  assert.deepEqual([resumed.status, (resumed.body as { drain?: unknown }).drain], [200, undefined]);
  assert.equal((await two.desired()).drain, undefined);
  assert.equal((await post('resume')).status, 200);
  assert.deepEqual(await statusOf(fixture, two), ['Online', 'Online']);
});

test('draining refuses what it cannot do: no such node, an ended registration, a grace time that is none', async (t) => {
  const fixture = await startFixture(t);
  await nodesOf(fixture, ['one']);
  const post = (path: string, body?: unknown) =>
    fixture.raw('POST', `${gatewayPath}/nodes/${path}${version}`, body === undefined ? {} : { body: JSON.stringify(body) });
  const codeOf = (answer: { body: unknown }): string => (answer.body as { error: { code: string } }).error.code;
  for (const action of ['drain', 'resume']) {
    const unknown = await post(`nobody/${action}`);
    assert.deepEqual([unknown.status, codeOf(unknown)], [404, 'DMG_CONTROLPLANE_NOT_FOUND'], action);
  }
  for (const graceSeconds of [-1, 86_401, '60', true]) {
    const refused = await post('one/drain', { graceSeconds });
    assert.deepEqual([refused.status, codeOf(refused)], [400, 'DMG_CONTROLPLANE_BODY_REFUSED'], String(graceSeconds));
  }
  await fixture.client.integrationRuntimes.regenerateAuthKey(group, factory, gateway, { keyName: 'authKey1' });
  for (const action of ['drain', 'resume']) {
    const ended = await post(`one/${action}`);
    assert.deepEqual([ended.status, codeOf(ended)], [409, 'DMG_CONTROLPLANE_REGISTRATION_ENDED'], action);
  }
});

test('a node that is deleted ends at once and is shown no more', async (t) => {
  const fixture = await startFixture(t);
  const [one, two] = await nodesOf(fixture, ['one', 'two']);
  assert.ok(one && two);
  await two.alive({ dispatcher: leading('5.a') });
  const ended = assert.rejects(two.desired((await two.desired()).version), /401/);
  const told = one.desired((await one.desired()).version);
  await fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, 'two');
  await ended;
  assert.deepEqual((await told).members.map(({ nodeName }) => nodeName), ['one']);
  assert.equal((await two.alive()).status, 401);
  await assert.rejects(fixture.client.integrationRuntimeNodes.get(group, factory, gateway, 'two'), /Cannot find the node two/);
  assert.deepEqual((await shown(fixture)).nodes.map(({ nodeName }) => nodeName), ['one']);
});

test('the load of a gateway: what waits in the queue and at the dispatcher, and how long it took until a node began', async (t) => {
  const { clock, jump } = jumpingClock();
  const fixture = await startFixture(t, { clock });
  const [one] = await nodesOf(fixture, ['one']);
  assert.ok(one);
  const start = async (message: number) => {
    await fixture.client.pipelines.createRun(group, factory, 'copy');
    return one.job((await fixture.sender.message(message)).body);
  };
  const load = async () => {
    const { body } = await fixture.raw('POST', `${gatewayPath}/monitoringData${version}`);
    const figures = body as Record<string, number | undefined>;
    const { queueLength, waitingAtDispatcher, availableNodes, averageTaskPickupDelayInSeconds } = figures;
    const { properties } = await shown(fixture);
    assert.deepEqual([properties['queueLength'], properties['availableNodes']], [queueLength, availableNodes]);
    return { queueLength, waitingAtDispatcher, availableNodes, averageTaskPickupDelayInSeconds };
  };
  assert.deepEqual(await load(), { queueLength: 0, waitingAtDispatcher: 0, availableNodes: 0, averageTaskPickupDelayInSeconds: undefined });
  const [first, second, third] = [await start(1), await start(2), await start(3)];
  await one.alive({ dispatcher: leading('1.a') });
  assert.deepEqual(await load(), { queueLength: 3, waitingAtDispatcher: 0, availableNodes: 1, averageTaskPickupDelayInSeconds: undefined });
  await one.alive({ dispatcher: leading('1.a', { waiting: [first.jobId, second.jobId, 'f'.repeat(32)] }) });
  assert.deepEqual(await load(), { queueLength: 3, waitingAtDispatcher: 2, availableNodes: 1, averageTaskPickupDelayInSeconds: undefined });
  jump(10_000);
  await one.runs(first);
  jump(4000);
  // It ended so quickly that no alive report named it; it took two seconds.
  await one.report(second, success(second));
  const busy = await load();
  assert.deepEqual([busy.queueLength, busy.waitingAtDispatcher], [1, 0]);
  assert.ok(Math.abs((busy.averageTaskPickupDelayInSeconds ?? 0) - 11) < 1, `${busy.averageTaskPickupDelayInSeconds}`);
  await one.report(third, { kind: 'cancelled', sink: 'aborted' });
  jump(310_000);
  assert.equal((await load()).averageTaskPickupDelayInSeconds, undefined);
});

test('the gauges say what REST says; what is deleted goes to 0', async (t) => {
  const values = new Map<string, number>();
  const looks: (() => void)[] = [];
  const set = (metric: MetricDefinition, value: number, labels: Labels = {}): void => {
    values.set([metric.name, ...Object.values(labels)].join(' '), value);
    if (metric.name !== 'dmg_gateway_node_jobs_limit' && metric.name !== 'dmg_gateway_available_nodes') return;
    for (const look of looks.splice(0)) look();
  };
  const fixture = await startFixture(t, { meter: { ...silentMeter, set }, monitoringMs: 20 });
  const until = async (is: () => boolean): Promise<void> => {
    while (!is()) await new Promise<void>((resolve) => looks.push(resolve));
  };
  const [one, two] = await nodesOf(fixture, ['one', 'two']);
  await one?.alive({ dispatcher: leading('1.a'), facts: { slots: { limit: 8, used: 2, maximum: 16 } } });
  await two?.alive({ facts: { troubles: [{ part: 'redis', reason: 'refused' }] } });
  const of = (name: string, ...labels: string[]): number | undefined => values.get([name, factory, gateway, ...labels].join(' '));
  await until(() => of('dmg_gateway_node_status', 'two', 'Limited') === 1 && of('dmg_gateway_available_nodes') === 2);
  const [ofOne, ofTwo] = [['one', 'Online'], ['two', 'Online']].map((labels) => of('dmg_gateway_node_status', ...labels));
  assert.deepEqual([ofOne, ofTwo, of('dmg_gateway_node_status', 'one', 'Limited')], [1, 0, 0]);
  assert.deepEqual([of('dmg_gateway_node_is_dispatcher', 'one'), of('dmg_gateway_node_is_dispatcher', 'two')], [1, 0]);
  assert.deepEqual(
    ['cpu_ratio', 'available_memory_bytes', 'running_jobs', 'jobs_limit'].map((name) => of(`dmg_gateway_node_${name}`, 'one')),
    [0.12, 2048 * 1024 * 1024, 2, 8],
  );
  assert.deepEqual([of('dmg_gateway_queue_length'), of('dmg_gateway_pickup_delay_seconds')], [0, 0]);
  await fixture.client.integrationRuntimeNodes.delete(group, factory, gateway, 'two');
  await until(() => of('dmg_gateway_node_status', 'two', 'Limited') === 0 && of('dmg_gateway_node_jobs_limit', 'two') === 0);
  assert.equal(of('dmg_gateway_available_nodes'), 1);
});
