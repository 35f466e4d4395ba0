import assert from 'node:assert/strict';
import test from 'node:test';
import type { NodeFacts, NodeStatus } from '@dmg/model';
import { betterPeer, leadRank, type LeadRank } from './lead-rank.ts';
import { judgeNode, type LeaderSight, type NodeJudgement, type StatusCause } from './node-status.ts';
import { nodeFacts } from './testing/node-facts.ts';

const of = (status: NodeStatus, ...causes: StatusCause[]): NodeJudgement => ({ status, causes, evidence: '', remedy: '' });
const conflict = of('Inactive', 'configuration');

const ranks: readonly [NodeJudgement, LeadRank][] = [
  [of('Online'), 0],
  [of('Limited', 'version'), 1],
  [of('Limited', 'redis', 'queue', 'controlPlane', 'credentialKey', 'disk'), 1],
  [of('Inactive', 'isolated'), 1],
  [of('Limited', 'drained'), 2],
  [of('Limited', 'version', 'stopping'), 2],
  [of('Inactive', 'isolated', 'drained'), 2],
  [conflict, undefined],
  [of('Upgrading', 'upgrading'), undefined],
  [of('Offline', 'silent'), undefined],
  [of('Initializing', 'starting'), undefined],
  [of('InitializeFailed', 'startFailed'), undefined],
  [of('NeedRegistration', 'registration'), undefined],
];

test('each status has its rank', () => {
  for (const [judgement, rank] of ranks) assert.equal(leadRank(judgement), rank, `${judgement.status} ${judgement.causes.join()}`);
});

test('a node in conflict may lead when the decision that is due brings it in, and no other is helped by it', () => {
  assert.equal(leadRank(conflict, of('Online')), 2);
  assert.equal(leadRank(conflict, of('Limited', 'version')), 2);
  assert.equal(leadRank(conflict, conflict), undefined);
  assert.equal(leadRank(of('Upgrading', 'upgrading'), of('Online')), undefined);
  assert.equal(leadRank(of('Limited', 'version'), of('Online')), 1);
});

test('the table of DESIGN-RULES 17: the survivor of each case may lead', () => {
  const decision = { number: 1, version: '1.0.0', configDigest: 'one' };
  const rank = (facts: Partial<NodeFacts>, leader?: LeaderSight): LeadRank => {
    const own = nodeFacts({ nodeId: 'b', ...facts });
    const view = { nodeId: 'b', registered: true, everHeard: true, silentMs: 0, drained: false, facts: own };
    return leadRank(judgeNode(view, { decision, decidedConfig: 'x', targetVersion: undefined, leader }));
  };
  const lost = { nodeId: 'a', epoch: '1.a', lostForMs: 9000 };
  const lives = { nodeId: 'a', nodeName: 'a', epoch: '1.a', knownForMs: 60_000, silentMs: 0 };
  assert.equal(rank({ dispatcher: lost }), 0, 'two nodes, the dispatcher died');
  assert.equal(rank({ dispatcher: lost }, lives), 1, 'the link is cut, and then the dispatcher is gone');
  assert.equal(rank({ version: '2.0.0', dispatcher: lost }), 1, 'two versions, the older and decided one is gone');
  assert.equal(rank({ troubles: [{ part: 'credentialKey', reason: 'behind' }] }), 1, 'no survivor has the credential key');
  assert.equal(rank({ troubles: [{ part: 'controlPlane', reason: 'away' }] }), 1, 'the control plane is away');
});

test('a leader hands over to a better node after ten seconds, one that may not lead any more at once', () => {
  const peer = (nodeId: string, rank: LeadRank, betterForMs = 10_000) => ({ nodeId, rank, betterForMs });
  assert.equal(betterPeer(1, [peer('b', 0)]), 'b');
  assert.equal(betterPeer(1, [peer('b', 0, 9999)]), undefined);
  assert.equal(betterPeer(1, [peer('b', 1), peer('c', undefined)]), undefined);
  assert.equal(betterPeer(0, [peer('b', 0)]), undefined);
  assert.equal(betterPeer(2, [peer('d', 1), peer('c', 0), peer('b', 0)]), 'b');
  assert.equal(betterPeer(undefined, [peer('c', 2, 0), peer('b', 1, 0)]), 'b');
  assert.equal(betterPeer(undefined, [peer('b', undefined)]), undefined);
});
