import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@dmg/base';
import { betterAfterMs, isolatedAfterMs } from '@dmg/core';
import { memberState, nodeFacts } from '@dmg/core/testing';
import type { DesiredState, DispatcherSight, NodeFacts } from '@dmg/model';
import { ClusterView, type PeerSight } from './cluster-view.ts';

const decision = { number: 1, version: '1.0.0', configDigest: 'one' };
const desired: DesiredState = {
  gatewayId: 'g', nodeId: 'a', version: 1, concurrentJobsLimit: 8, cancel: [], members: [], stores: [], decision,
};
const trouble = [{ part: 'controlPlane', reason: 'it is away' }] as const;

/** Node `a` and what it sees; its peers are reachable unless a test says otherwise. */
class Sight {
  readonly clock = new ManualClock();
  own: Partial<NodeFacts> = {};
  peers: PeerSight[] = [];
  leading: string | undefined;
  holder: { nodeId: string; epoch: string } | undefined;
  readonly view = new ClusterView({
    nodeId: 'a', nodeName: 'a', clock: this.clock,
    facts: () => nodeFacts({ nodeId: 'a', ...this.own }),
    peers: () => this.peers,
    leadingEpoch: () => this.leading,
    leaseHolder: () => this.holder,
  });

  constructor() {
    this.view.applyDesired(desired);
  }
}

function peer(nodeId: string, facts: Partial<NodeFacts> = {}, change: Partial<PeerSight> = {}): PeerSight {
  return { nodeId, nodeName: nodeId, connected: true, lostForMs: 0, missedForMs: 0, facts: nodeFacts({ nodeId, ...facts }), ...change };
}

function sightOf(nodeId: string, epoch: string, lostForMs = 0): DispatcherSight {
  return { nodeId, epoch, lostForMs };
}

describe('the dispatcher that a node goes by', () => {
  test('is itself when it leads, whatever others say', () => {
    const sight = new Sight();
    sight.leading = '3.x';
    sight.holder = { nodeId: 'b', epoch: '2.y' };
    assert.deepEqual(sight.view.facts().dispatcher, sightOf('a', '3.x'));
  });

  test('is the one with the largest epoch of what Redis and the other nodes say', () => {
    const sight = new Sight();
    assert.equal(sight.view.facts().dispatcher, undefined);
    sight.holder = { nodeId: 'b', epoch: '9.y' };
    sight.peers = [peer('b', { dispatcher: sightOf('b', '9.y') }), peer('c', { dispatcher: sightOf('c', '10.x') })];
    assert.deepEqual(sight.view.facts().dispatcher, sightOf('c', '10.x'));
  });

  test('is one that only another node can reach; for how long this one cannot counts from when it was known', () => {
    const sight = new Sight();
    const lost = { connected: false, lostForMs: 60_000, facts: undefined };
    sight.peers = [peer('b', {}, lost), peer('c', { dispatcher: sightOf('b', '2.y') })];
    assert.deepEqual(sight.view.facts().dispatcher, sightOf('b', '2.y', 0));
    assert.equal(sight.view.judgement().status, 'Online');
    sight.clock.advance(isolatedAfterMs);
    assert.deepEqual(sight.view.facts().dispatcher, sightOf('b', '2.y', isolatedAfterMs));
    const { status, evidence } = sight.view.judgement();
    assert.equal(status, 'Inactive');
    assert.match(evidence, /between it and the dispatcher b has been down/);
  });

  test('counts as lost also when only its own stream to this node is missing', () => {
    const sight = new Sight();
    sight.peers = [peer('b', { dispatcher: sightOf('b', '2.y') }, { missedForMs: 60_000 })];
    assert.deepEqual(sight.view.facts().dispatcher, sightOf('b', '2.y', 0));
    sight.clock.advance(isolatedAfterMs);
    assert.deepEqual(sight.view.facts().dispatcher, sightOf('b', '2.y', isolatedAfterMs));
  });

  test('knows, when it leads, whom it has not reached for too long', () => {
    const sight = new Sight();
    sight.peers = [peer('b', {}, { connected: false, lostForMs: isolatedAfterMs }), peer('c', {}, { connected: false, lostForMs: 1 })];
    assert.deepEqual(sight.view.cutOff(), []);
    sight.leading = '3.x';
    assert.deepEqual(sight.view.cutOff(), ['b']);
  });

  test('is judged by the control plane as well, which may not know yet what this node knows', () => {
    const sight = new Sight();
    assert.equal(sight.view.agrees(), true);
    sight.view.takeAnswer({ judgement: { status: 'Online', evidence: '', remedy: '' }, roster: [] });
    assert.equal(sight.view.agrees(), true);
    sight.own = { troubles: trouble };
    assert.equal(sight.view.agrees(), false);
  });

  test('is not one that is known from others only, when it can be asked and says that it does not lead', () => {
    const sight = new Sight();
    // It was started again; b and c have it from each other.
    const restarted = peer('d');
    sight.peers = [peer('b', { dispatcher: sightOf('d', '2.y') }), peer('c', { dispatcher: sightOf('d', '2.y') }), restarted];
    assert.equal(sight.view.facts().dispatcher, undefined);
    sight.peers = [...sight.peers.slice(0, 2), { ...restarted, facts: nodeFacts({ nodeId: 'd', dispatcher: sightOf('d', '2.y') }) }];
    assert.equal(sight.view.facts().dispatcher?.nodeId, 'd');
  });

  test('a dispatcher that died makes nobody Inactive: only one that somebody can reach does', () => {
    const sight = new Sight();
    const gone = peer('b', { dispatcher: sightOf('b', '2.y') }, { connected: false, lostForMs: 60_000 });
    sight.peers = [gone, peer('c', { dispatcher: sightOf('b', '2.y', 60_000) })];
    sight.view.facts();
    sight.clock.advance(2 * isolatedAfterMs);
    assert.equal(sight.view.judgement().status, 'Online');
  });
});

describe('statuses', () => {
  test('this node: as the control plane says while it answers, else by its own judgement', () => {
    const sight = new Sight();
    const said = { status: 'Limited', evidence: 'said', remedy: '' } as const;
    sight.view.takeAnswer({ judgement: said, roster: [] });
    assert.equal(sight.view.judgement(), said);
    sight.view.forgetAnswer();
    assert.equal(sight.view.judgement().status, 'Online');
    sight.view.applyDesired({ ...desired, drain: { graceMs: 0 } });
    assert.match(sight.view.judgement().evidence, /drains/);
  });

  test('workers, as the dispatcher on this node sees them; who takes no jobs is Inactive for it', () => {
    const sight = new Sight();
    sight.leading = '2.x';
    sight.own = { troubles: trouble };
    sight.peers = [
      peer('b'), peer('limited', { troubles: trouble }), peer('stopping', { draining: true }), peer('other', { configDigest: 'two' }),
      peer('cut', {}, { connected: false, lostForMs: isolatedAfterMs }), peer('new', {}, { facts: undefined }),
    ];
    const expected = {
      a: 'Limited', b: 'Online', limited: 'Limited', stopping: 'Inactive', other: 'Inactive', cut: 'Inactive', new: 'Initializing',
      unknown: 'Offline',
    };
    for (const [nodeId, status] of Object.entries(expected)) assert.equal(sight.view.statusOf(nodeId), status, nodeId);
  });
});

describe('who should lead', () => {
  test('hands over to a better node when it has been better for ten seconds without a break', () => {
    const sight = new Sight();
    sight.leading = '2.x';
    const obeying = (nodeId: string, facts: Partial<NodeFacts> = {}): PeerSight =>
      peer(nodeId, { dispatcher: sightOf('a', '2.x'), ...facts });
    sight.peers = [obeying('b'), obeying('c')];
    assert.deepEqual(sight.view.standing(), { rank: 0, better: undefined });
    sight.clock.advance(60_000);
    // All lose the control plane; the dispatcher notices first.
    sight.own = { troubles: trouble };
    assert.deepEqual(sight.view.standing(), { rank: 1, better: undefined });
    sight.clock.advance(betterAfterMs - 1);
    assert.equal(sight.view.standing().better, undefined);
    sight.peers = [obeying('b', { troubles: trouble }), obeying('c')];
    sight.view.standing();
    sight.peers = [obeying('b'), obeying('c', { troubles: trouble })];
    sight.clock.advance(1);
    assert.equal(sight.view.standing().better, undefined, 'neither was better all the time');
    sight.clock.advance(betterAfterMs);
    assert.deepEqual(sight.view.standing(), { rank: 1, better: 'b' });
  });

  test('a node that may not lead at all names the best at once', () => {
    const sight = new Sight();
    sight.own = { configDigest: 'two' };
    sight.peers = [peer('b', { troubles: trouble }), peer('c'), peer('d', {}, { connected: false, lostForMs: 1 })];
    assert.deepEqual(sight.view.standing(), { rank: undefined, better: 'c' });
  });

  test('a node that stops names the best that it can reach, also one that is no better than itself', () => {
    const sight = new Sight();
    assert.equal(sight.view.successor(), undefined);
    sight.peers = [peer('b', {}, { connected: false, lostForMs: 1 })];
    assert.equal(sight.view.successor(), undefined);
    sight.peers = [...sight.peers, peer('d', { troubles: trouble }), peer('e', { stage: 'initializing' })];
    assert.equal(sight.view.successor(), 'd');
    sight.peers = [...sight.peers, peer('c')];
    assert.equal(sight.view.successor(), 'c');
  });
});

describe('what is decided', () => {
  const roster = ['a', 'b', 'c'].map((nodeId, index) => memberState({ nodeId, ordinal: index + 1 }));
  const answer = { judgement: { status: 'Online', evidence: '', remedy: '' }, roster } as const;

  test('a dispatcher decides what most nodes run; the others go by what they are told', () => {
    const sight = new Sight();
    sight.own = { version: '2.0.0' };
    sight.peers = [peer('b', { version: '2.0.0' }), peer('c')];
    sight.view.takeAnswer(answer);
    assert.deepEqual(sight.view.decision(), decision);
    sight.leading = '2.x';
    assert.deepEqual(sight.view.decision(), { ...decision, number: 2, version: '2.0.0' });
    assert.equal(sight.view.judgement().status, 'Online', 'the control plane has judged by the old one');
    sight.view.forgetAnswer();
    assert.equal(sight.view.statusOf('c'), 'Limited');
  });

  test('of two decisions the one with the larger number counts', () => {
    const sight = new Sight();
    sight.view.applyDesired({ ...desired, decision: { ...decision, number: 5, version: '5.0.0' } });
    sight.view.applyDesired(desired);
    assert.equal(sight.view.decision()?.version, '5.0.0');
  });
});
