import assert from 'node:assert/strict';
import test from 'node:test';
import { type DispatcherSight, type NodeFacts, type NodeStatus, nodeStatuses, type TroubledPart } from '@dmg/model';
import {
  type GatewaySight, judgeGateway, judgeNode, type LeaderSight, type NamedJudgement, type NodeJudgement, type NodeView, takesJobs,
} from './node-status.ts';
import { nodeFacts } from './testing/node-facts.ts';

const epoch = (n: number): string => `${n}.aa`;
const leader: LeaderSight = { nodeId: 'l', nodeName: 'leading', epoch: epoch(5), knownForMs: 60_000, silentMs: 0 };
const gateway: GatewaySight = {
  decision: { number: 3, version: '1.0.0', configDigest: 'one' }, decidedConfig: 'encryption on', targetVersion: undefined,
  leader: undefined,
};

function sees(change: Partial<DispatcherSight> = {}): Pick<NodeFacts, 'dispatcher'> {
  return { dispatcher: { nodeId: 'l', epoch: epoch(5), lostForMs: 0, ...change } };
}

interface Change {
  readonly node?: Partial<NodeView>;
  readonly facts?: Partial<NodeFacts>;
  readonly gateway?: Partial<GatewaySight>;
}

function judge(change: Change): NodeJudgement {
  const node: NodeView = {
    nodeId: 'a', registered: true, everHeard: true, silentMs: 1000, facts: nodeFacts(change.facts), drained: false, ...change.node,
  };
  return judgeNode(node, { ...gateway, ...change.gateway });
}

const noFacts = { facts: undefined };
/** Each row has all that the rows below it have too, so that the order is what is tested; [status, cause, evidence, remedy, change]. */
const rows: readonly [NodeStatus, string, RegExp, RegExp, Change][] = [
  [
    'NeedRegistration', 'registration', /key .* was regenerated/, /fresh key/,
    { node: { registered: false, everHeard: false, silentMs: 99_999 } },
  ],
  ['Initializing', 'starting', /not heard since/, /Start the node/, { node: { everHeard: false, silentMs: 99_999, ...noFacts } }],
  ['Initializing', 'starting', /not heard yet since its judge/, /Wait/, { node: noFacts }],
  [
    'Initializing', 'starting', /It starts: fetching the key/, /Wait/,
    { facts: { stage: 'initializing', stageReason: 'fetching the key' } },
  ],
  [
    'InitializeFailed', 'startFailed', /could not start: port 8060 is taken\.$/, /start the node again/,
    { node: { silentMs: 99_999 }, facts: { stage: 'initializeFailed', stageReason: 'port 8060 is taken.' } },
  ],
  ['Offline', 'silent', /last heard 40 s ago/, /Start the node/, { node: { silentMs: 40_000 }, facts: { stage: 'upgrading' } }],
  ['Offline', 'silent', /last heard 20 s ago/, /Start the node/, { node: { silentMs: 20_000 }, facts: { stage: 'initializing' } }],
  ['Offline', 'silent', /not heard for at least 3 h/, /Start the node/, { node: { silentMs: 3 * 3_600_000, ...noFacts } }],
  [
    'Upgrading', 'upgrading', /updated from version 1.0.0, with an update to 2.0.0 in progress/, /Wait/,
    { facts: { stage: 'upgrading', configDigest: 'two' }, gateway: { targetVersion: '2.0.0' } },
  ],
  [
    'Inactive', 'configuration', /\(encryption off\) differs from that of the gateway \(encryption on\)/, /as the other nodes are/,
    { facts: { configDigest: 'two', config: 'encryption off', ...sees({ lostForMs: 9000 }) }, gateway: { leader } },
  ],
  [
    'Inactive', 'configuration', /\(two\) differs from that of the gateway \(one\)/, /as the other nodes are/,
    { facts: { configDigest: 'two', config: '' }, gateway: { decidedConfig: undefined } },
  ],
  [
    'Inactive', 'isolated', /between it and the dispatcher leading has been down for 9 s/, /reach each other/,
    { facts: { version: '0.9.0', ...sees({ lostForMs: 9000 }) }, gateway: { leader } },
  ],
  [
    'Inactive', 'isolated', /leading has had no stream to it for 3 s/, /reach each other/,
    { node: { unreachableMs: 3000 }, gateway: { leader } },
  ],
  [
    'Inactive', 'isolated', /between it and the dispatcher leading has been down since it started/, /reach each other/,
    { facts: sees({ lostForMs: Number.MAX_SAFE_INTEGER }), gateway: { leader } },
  ],
  ['Inactive', 'isolated', /knows no dispatcher, while leading has led for 60 s/, /reach each other/, { gateway: { leader } }],
  [
    'Inactive', 'isolated', /obeys another dispatcher/, /reach each other/,
    { facts: sees({ nodeId: 'old', epoch: epoch(4) }), gateway: { leader } },
  ],
  ['Limited', 'version', /runs version 0.9.0, and the gateway 1.0.0/, /Update it to version 1.0.0/, { facts: { version: '0.9.0' } }],
  ['Limited', 'version', /runs version 1.1.0, and/, /Update the other nodes to version 1.1.0/, { facts: { version: '1.1.0' } }],
  [
    'Limited', 'version', /and the gateway 1.0.0, with an update to 2.0.0 in progress/, /Update it to version 2.0.0/,
    { facts: { version: '0.9.0' }, gateway: { targetVersion: '2.0.0' } },
  ],
  ['Limited', 'drained', /user drains it/, /Resume it/, { node: { drained: true }, facts: { draining: true } }],
  ['Limited', 'stopping', /because it stops/, /Start it again/, { facts: { draining: true } }],
  ...(['redis', 'queue', 'controlPlane', 'credentialKey', 'disk'] as const).map(
    (part): [NodeStatus, TroubledPart, RegExp, RegExp, Change] => [
      'Limited', part, new RegExp(`\\(${part}: it is broken\\)\\.$`), /\.$/, { facts: { troubles: [{ part, reason: 'it is broken.' }] } },
    ],
  ),
  ['Online', '', /heard 1 s ago and reports no trouble/, /^$/, { facts: sees(), gateway: { leader } }],
];

test('a node has the first status that applies, with evidence and remedy', () => {
  for (const [status, cause, evidence, remedy, change] of rows) {
    const judgement = judge(change);
    const name = `${status} ${cause} ${evidence}`;
    assert.deepEqual([judgement.status, judgement.causes[0] ?? ''], [status, cause], name);
    assert.match(judgement.evidence, evidence, name);
    assert.match(judgement.remedy, remedy, name);
  }
  assert.deepEqual(nodeStatuses.filter((status) => !rows.some((row) => row[0] === status)), []);
});

test('isolation needs somebody else who leads, and three seconds', () => {
  const lost = { facts: sees({ lostForMs: 60_000 }) };
  assert.equal(judge(lost).status, 'Online', 'the dispatcher is gone and nobody follows');
  assert.equal(judge({ ...lost, gateway: { leader: { ...leader, nodeId: 'a' } } }).status, 'Online', 'it leads itself');
  assert.equal(judge({ facts: sees({ lostForMs: 2999 }), gateway: { leader } }).status, 'Online');
  assert.equal(judge({ node: { unreachableMs: 2999 }, facts: sees(), gateway: { leader } }).status, 'Online');
  const fresh = { ...leader, knownForMs: 3500 };
  assert.equal(judge({ gateway: { leader: fresh } }).status, 'Online', 'what it said may be older than the leader');
  assert.equal(judge({ node: { silentMs: 400 }, gateway: { leader: fresh } }).status, 'Inactive');
  const dead = { ...leader, silentMs: 4000 };
  const lostFor = (lostForMs: number): NodeStatus => judge({ facts: sees({ lostForMs }), gateway: { leader: dead } }).status;
  assert.deepEqual([lostFor(3000), lostFor(6000)], ['Online', 'Inactive'], 'it may have died with the stream, or was heard later');
  assert.equal(judge({ gateway: { leader: { ...dead, knownForMs: 6000 } } }).status, 'Online', 'it led for two seconds');
  const newer = sees({ nodeId: 'b', epoch: epoch(6) });
  assert.equal(judge({ facts: newer, gateway: { leader } }).status, 'Online', 'it obeys one of whom the judge has not heard');
  assert.equal(judge({ facts: sees({ nodeId: 'b', epoch: epoch(6), lostForMs: 3000 }), gateway: { leader } }).status, 'Inactive');
  assert.equal(judge({ facts: sees({ nodeId: 'b', epoch: 'nonsense' }), gateway: { leader } }).status, 'Inactive');
});

test('two nodes whose link is cut: the one that leads is Online, the other Inactive; one dies: the other is Online', () => {
  const ledByA: LeaderSight = { nodeId: 'a', nodeName: 'a', epoch: epoch(5), knownForMs: 60_000, silentMs: 0 };
  const a = judge({ facts: { nodeId: 'a', ...sees({ nodeId: 'a' }) }, gateway: { leader: ledByA } });
  const other = { nodeId: 'b' };
  const b = judge({ node: other, facts: { ...other, ...sees({ nodeId: 'a', lostForMs: 5000 }) }, gateway: { leader: ledByA } });
  assert.deepEqual([a.status, b.status], ['Online', 'Inactive']);
  const survivor = judge({ node: other, facts: { ...other, ...sees({ nodeId: 'a', lostForMs: 5000 }) } });
  assert.equal(survivor.status, 'Online');
});

test('during an update nodes of the logical and of the target version are full members; before the first decision all are', () => {
  const target = { targetVersion: '2.0.0' };
  assert.equal(judge({ gateway: target }).status, 'Online');
  assert.equal(judge({ facts: { version: '2.0.0' }, gateway: target }).status, 'Online');
  assert.equal(judge({ facts: { version: '1.5.0' }, gateway: target }).status, 'Limited');
  assert.equal(judge({ facts: { version: '1.5.0', configDigest: 'two' }, gateway: { decision: undefined } }).status, 'Online');
  assert.equal(judge({ facts: { configDigest: '' } }).status, 'Online', 'a digest that is not known differs from nothing');
});

test('a trouble that only a newer node knows is told as it is', () => {
  const part = 'flux' as TroubledPart;
  const { status, evidence } = judge({ facts: { troubles: [{ part, reason: 'capacitor' }] } });
  assert.deepEqual([status, evidence], ['Limited', 'It reports a trouble (flux: capacitor).']);
});

test('a Limited node names all that limits it', () => {
  const { causes, evidence, remedy } = judge({
    node: { drained: true },
    facts: { version: '0.9.0', troubles: [{ part: 'redis', reason: 'refused' }, { part: 'queue', reason: 'closed' }] },
  });
  assert.deepEqual(causes, ['version', 'drained', 'redis', 'queue']);
  assert.match(evidence, /version 0.9.0.*drains.*redis: refused.*queue: closed/);
  assert.match(remedy, /Update.*Resume.*Redis.*Service Bus/);
  const isolated = judge({ node: { drained: true }, facts: sees({ lostForMs: 4000 }), gateway: { leader } });
  assert.deepEqual(isolated.causes, ['isolated', 'drained']);
});

test('jobs go to Online nodes and to Limited ones that can take them', () => {
  const takes = (change: Change): boolean => takesJobs(judge(change));
  const trouble = (part: TroubledPart): Change => ({ facts: { troubles: [{ part, reason: 'x' }] } });
  assert.deepEqual([takes({}), takes(trouble('redis')), takes({ facts: { version: '0.9.0' } })], [true, true, true]);
  assert.deepEqual([takes({ node: { drained: true } }), takes({ facts: { draining: true } })], [false, false]);
  assert.equal(takes(trouble('disk')), false);
  assert.deepEqual([takes({ node: { silentMs: 20_000 } }), takes({ gateway: { leader } })], [false, false]);
});

test('a gateway is Online when all nodes are, Offline when none works, Limited between, and names who is not well', () => {
  const named = (...statuses: NodeStatus[]): NamedJudgement[] =>
    statuses.map((status, index) => (
      { nodeName: `n${index}`, status, evidence: `It is ${status}.`, remedy: status === 'Online' ? '' : 'Mend it.' }
    ));
  const statusOf = (...statuses: NodeStatus[]): string => judgeGateway(named(...statuses)).status;
  assert.equal(statusOf(), 'NeedRegistration');
  assert.equal(statusOf('NeedRegistration', 'NeedRegistration'), 'NeedRegistration');
  assert.equal(statusOf('Online', 'Online'), 'Online');
  for (const other of nodeStatuses.filter((status) => status !== 'Online')) assert.equal(statusOf('Online', other), 'Limited', other);
  assert.equal(statusOf('Limited'), 'Limited');
  for (const other of nodeStatuses.filter((status) => !['Online', 'Limited', 'NeedRegistration'].includes(status))) {
    assert.equal(statusOf('NeedRegistration', other), 'Offline', other);
  }
  const { evidence, remedy } = judgeGateway(named('Online', 'Offline', 'Limited'));
  assert.equal(evidence, '1 of 3 nodes are Online; n1 is Offline (It is Offline); n2 is Limited (It is Limited).');
  assert.equal(remedy, 'n1: Mend it. n2: Mend it.');
});
