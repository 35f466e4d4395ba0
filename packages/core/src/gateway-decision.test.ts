import assert from 'node:assert/strict';
import test from 'node:test';
import type { GatewayDecision, MemberState } from '@dmg/model';
import {
  type DecisionMemory, type DecisionView, decideGateway, emptyDecisionMemory, laterDecision, memberView,
} from './gateway-decision.ts';
import { memberState, nodeFacts } from './testing/node-facts.ts';

const minuteMs = 60_000;
const v1 = '1.0.0';
const v2 = '1.1.0';

function decided(change: Partial<GatewayDecision> = {}): GatewayDecision {
  return { number: 7, version: v1, configDigest: 'one', ...change };
}

/** Nodes `a`, `b`, `c` … in their order of registration. */
function nodes(...changes: Partial<MemberState>[]): MemberState[] {
  return changes.map((change, index) => memberState({ nodeId: 'abcdefgh'[index] ?? '?', ordinal: index + 1, ...change }));
}

/** Looks once a second while everybody's silence grows, except of those heard at the start; tells when and what was decided. */
function watch(start: DecisionView, forMs: number): { atMs: number; decision: GatewayDecision }[] {
  const found: { atMs: number; decision: GatewayDecision }[] = [];
  let { current } = start;
  let memory: DecisionMemory = emptyDecisionMemory;
  for (let atMs = 0; atMs <= forMs; atMs += 1000) {
    const members = start.members.map((member) => ({ ...member, silentMs: member.silentMs === 0 ? 0 : member.silentMs + atMs }));
    const step = decideGateway({ members, current, nowMs: start.nowMs + atMs }, memory);
    memory = step.memory;
    if (step.decision === undefined) continue;
    found.push({ atMs, decision: step.decision });
    current = step.decision;
  }
  return found;
}

function decideOnce(members: readonly MemberState[], current?: GatewayDecision): GatewayDecision | undefined {
  return decideGateway({ members, current, nowMs: 5 * minuteMs }, emptyDecisionMemory).decision;
}

test('(a) a strict majority of the registered nodes decides, live or not; half of them do not', () => {
  const two = nodes({ version: v2 }, { version: v2, silentMs: minuteMs }, {});
  assert.deepEqual(decideOnce(two, decided()), decided({ number: 8, version: v2 }));
  assert.equal(decideOnce(nodes({ version: v2 }, { version: v2 }, {}, {}), decided()), undefined);
  assert.equal(decideOnce(nodes({ version: v2 }, { version: v2, registered: false }, {}), decided()), undefined, 'an ended registration');
  assert.equal(decideOnce(nodes({ version: v2 }, { version: v2, silentMs: 11 * minuteMs }, {}), decided()), undefined, 'long not heard');
  assert.equal(decideOnce(nodes({ version: v2 }, { version: '' }, { version: '' }), decided()), undefined, 'not known is not agreed');
});

test('(b) what was decided stays while one live node has it: a node that freezes in a tie changes nothing', () => {
  const tie = nodes({ silentMs: 3000 }, { version: v2, configDigest: 'two' });
  assert.deepEqual(watch({ members: tie, current: decided(), nowMs: 0 }, 12_000), []);
  const both = nodes({}, { version: v2, configDigest: 'two' });
  assert.deepEqual(watch({ members: both, current: decided(), nowMs: 0 }, 60 * minuteMs), []);
});

test('(c) when no live node has it, the configuration changes a minute and the version ten minutes after its last one was heard', () => {
  const members = nodes({ silentMs: 1 }, { version: v2, configDigest: 'two' });
  const changes = watch({ members, current: decided(), nowMs: 0 }, 11 * minuteMs);
  assert.deepEqual(changes, [
    { atMs: minuteMs, decision: decided({ number: 8, configDigest: 'two' }) },
    { atMs: 10 * minuteMs, decision: decided({ number: 9, configDigest: 'two', version: v2 }) },
  ]);
});

test('(c) the wait begins now when none is left that had it, and anew when one comes back', () => {
  const gone = nodes({ version: v2 }, { version: '1.2.0' });
  assert.deepEqual(watch({ members: gone, current: decided(), nowMs: 99 }, 10 * minuteMs), [
    { atMs: 10 * minuteMs, decision: decided({ number: 8, version: '1.2.0' }) },
  ]);
  let { memory } = decideGateway({ members: gone, current: decided(), nowMs: 0 }, emptyDecisionMemory);
  assert.deepEqual(memory, { versionSinceMs: 0, configSinceMs: undefined });
  ({ memory } = decideGateway({ members: nodes({}, { version: v2 }), current: decided(), nowMs: 9 * minuteMs }, memory));
  assert.deepEqual(memory, emptyDecisionMemory);
  assert.equal(decideGateway({ members: gone, current: decided(), nowMs: 10 * minuteMs }, memory).decision, undefined);
});

test('(c) takes what most live nodes have; on a tie the highest version and the configuration of the earliest registered', () => {
  const first = decideOnce(
    nodes({ version: v1, configDigest: 'x' }, { version: '1.10.0', configDigest: 'y' }, { version: '1.9.0', configDigest: 'z' }),
  );
  assert.deepEqual(first, { number: 1, version: '1.10.0', configDigest: 'x' });
  const live = decideOnce(
    nodes({ version: '3.0.0', silentMs: minuteMs }, { version: v2 }, { version: v2 }, { version: v1, configDigest: 'y' }),
  );
  assert.equal(live?.version, v2);
  assert.equal(decideOnce([]), undefined);
  assert.equal(decideOnce(nodes({ silentMs: 2 * minuteMs }, { silentMs: 2 * minuteMs, version: v2 })), undefined, 'nobody lives');
});

test('a wiped Redis, and whoever registers first after it, changes nothing: what was decided is not kept there', () => {
  const first = nodes({ version: v2 }, { silentMs: 2 * minuteMs }, { silentMs: 2 * minuteMs });
  assert.equal(decideOnce(first, decided()), undefined);
});

test('an update moves the logical version with the strict majority, not before', () => {
  const upgraded = (count: number): MemberState[] => nodes(...[0, 1, 2, 3].map((index) => ({ version: index < count ? v2 : v1 })));
  const decisions = [0, 1, 2, 3, 4].map((count) => decideOnce(upgraded(count), decided())?.version);
  assert.deepEqual(decisions, [undefined, undefined, undefined, v2, v2]);
});

test('of two decisions the later counts, and of two with one number the one that is offered', () => {
  const [older, newer] = [decided({ number: 3 }), decided({ number: 4 })];
  assert.equal(laterDecision(older, newer), newer);
  assert.equal(laterDecision(newer, older), newer);
  const other = decided({ number: 4, version: v2 });
  assert.equal(laterDecision(newer, other), other);
  assert.equal(laterDecision(undefined, newer), newer);
  assert.equal(laterDecision(newer, undefined), newer);
});

test('a member is what was heard of it last, by the control plane or on a stream; a stranger is none', () => {
  const roster = nodes({ silentMs: 1000 }, { silentMs: 4000 }, { silentMs: Number.MAX_SAFE_INTEGER });
  const heard = [
    { facts: nodeFacts({ nodeId: 'a', version: '9.0.0' }), silentMs: 60_000 },
    { facts: nodeFacts({ nodeId: 'b', version: v2, configDigest: 'two' }), silentMs: 200 },
    { facts: nodeFacts({ nodeId: 'x' }), silentMs: 0 },
  ];
  const view = memberView(roster, { rosterAgeMs: 5000, heard });
  assert.deepEqual(view.map(({ nodeId, version, configDigest, silentMs }) => [nodeId, version, configDigest, silentMs]), [
    ['a', v1, 'one', 6000], ['b', v2, 'two', 200], ['c', v1, 'one', Number.MAX_SAFE_INTEGER],
  ]);
});
