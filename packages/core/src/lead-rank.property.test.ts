import assert from 'node:assert/strict';
import test from 'node:test';
import type { GatewayDecision, MemberState, NodeFacts } from '@dmg/model';
import fc from 'fast-check';
import { type DecisionMemory, decideGateway, emptyDecisionMemory, offlineAfterMs } from './gateway-decision.ts';
import { leadRank, type LeadRank } from './lead-rank.ts';
import { judgeNode, type LeaderSight, type NodeJudgement } from './node-status.ts';
import { memberState, nodeFacts } from './testing/node-facts.ts';

const minuteMs = 60_000;
const version = fc.constantFrom('1.0.0', '1.1.0', '2.0.0');
const digest = fc.constantFrom('one', 'one', 'two', 'three');
const trouble = fc.constantFrom('redis', 'queue', 'controlPlane', 'credentialKey', 'disk').map((part) => ({ part, reason: 'x' }) as const);
const silence = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 16_000, max: 20 * minuteMs }));
const decision = fc.option(
  fc.record({ number: fc.integer({ min: 1, max: 9 }), version, configDigest: digest }).map((each): GatewayDecision => ({ ...each })),
  { nil: undefined },
);

interface Spec {
  readonly member: MemberState;
  readonly facts: NodeFacts;
  readonly drained: boolean;
}

const spec = fc.record({
  version, configDigest: digest, silentMs: silence, registered: fc.constantFrom(true, true, true, false),
  stage: fc.constantFrom('running', 'running', 'running', 'running', 'upgrading', 'initializing', 'initializeFailed'),
  draining: fc.constantFrom(false, false, true), drained: fc.constantFrom(false, false, true),
  troubles: fc.array(trouble, { maxLength: 3 }),
});
const view = fc.array(spec, { minLength: 1, maxLength: 8 }).map((specs) => specs.map((each, index): Spec => {
  const { version: own, configDigest, silentMs, registered, stage, draining, drained, troubles } = each;
  const nodeId = `n${index}`;
  return {
    member: memberState({ nodeId, ordinal: index + 1, version: own, configDigest, silentMs, registered }),
    facts: nodeFacts({ nodeId, version: own, configDigest, stage, draining, troubles }),
    drained,
  };
}));

function judge(
  { member, facts, drained }: Spec, current: GatewayDecision | undefined, leader?: LeaderSight, target?: string,
): NodeJudgement {
  const { nodeId, registered, silentMs } = member;
  return judgeNode(
    { nodeId, registered, everHeard: true, silentMs, facts, drained },
    { decision: current, decidedConfig: undefined, targetVersion: target, leader },
  );
}

/** Those that could lead but for their configuration: registered, live, running. */
function fit(specs: readonly Spec[]): Spec[] {
  return specs.filter(({ member, facts }) => member.registered && member.silentMs <= offlineAfterMs && facts.stage === 'running');
}

test('in every view of 1 to 8 nodes some live node that is not being updated may lead, or all of them conflict', () => {
  const target = fc.option(version, { nil: undefined });
  fc.assert(fc.property(view, decision, target, fc.option(fc.nat(7), { nil: undefined }), (specs, current, targetVersion, lost) => {
    const candidates = fit(specs).map((each) => {
      // They may all have been cut off from a dispatcher that is still known to lead.
      const leader = lost === undefined
        ? undefined : { nodeId: `n${lost}`, nodeName: 'x', epoch: '3.a', knownForMs: minuteMs, silentMs: 0 };
      const dispatcher = lost === undefined ? undefined : { nodeId: `n${lost}`, epoch: '3.a', lostForMs: minuteMs };
      return { each, rank: leadRank(judge({ ...each, facts: { ...each.facts, dispatcher } }, current, leader, targetVersion)) };
    });
    if (candidates.length === 0) return;
    const someone = candidates.some(({ rank }) => rank !== undefined);
    assert.ok(someone || candidates.every(({ each }) => current !== undefined && each.facts.configDigest !== current.configDigest));
  }), { numRuns: 2000 });
});

interface World {
  readonly specs: readonly Spec[];
  readonly current: GatewayDecision | undefined;
  readonly nowMs: number;
  /** Each node has a memory of its own; all see the same here. */
  readonly memory: DecisionMemory;
}

/** One look: everybody ranks itself, the best leads and decides. */
function step({ specs, current, nowMs, memory }: World): Pick<World, 'current' | 'memory'> & { leader: string | undefined } {
  const due = decideGateway({ members: specs.map(({ member }) => member), current, nowMs }, memory);
  let best: { nodeId: string; rank: Exclude<LeadRank, undefined> } | undefined;
  for (const each of fit(specs)) {
    const rank = leadRank(judge(each, current), due.decision === undefined ? undefined : judge(each, due.decision));
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { nodeId: each.member.nodeId, rank };
  }
  // Who may not lead decides nothing.
  return { leader: best?.nodeId, current: best === undefined ? current : (due.decision ?? current), memory: due.memory };
}

function aged(specs: readonly Spec[], byMs: number): Spec[] {
  return specs.map((each) => {
    const { silentMs } = each.member;
    return { ...each, member: { ...each.member, silentMs: silentMs === 0 ? 0 : silentMs + byMs } };
  });
}

test('deciding again about the same view changes nothing', () => {
  fc.assert(fc.property(view, decision, (specs, current) => {
    const members = specs.map(({ member }) => member);
    const first = decideGateway({ members, current, nowMs: 0 }, emptyDecisionMemory);
    if (first.decision === undefined) return;
    assert.equal(first.decision.number, (current?.number ?? 0) + 1);
    assert.equal(decideGateway({ members, current: first.decision, nowMs: 0 }, first.memory).decision, undefined);
    assert.equal(decideGateway({ members, current: first.decision, nowMs: 0 }, emptyDecisionMemory).decision, undefined);
  }), { numRuns: 2000 });
});

test('while nobody comes or goes, somebody leads at the latest when the dead count no more, and decisions come to rest', () => {
  const stepMs = 10_000;
  fc.assert(fc.property(view, decision, (specs, start) => {
    if (fit(specs).length === 0) return;
    let memory = emptyDecisionMemory;
    let current = start;
    for (let atMs = 0; atMs <= 22 * minuteMs; atMs += stepMs) {
      const settled = current;
      const done = step({ specs: aged(specs, atMs), current, nowMs: atMs, memory });
      ({ current, memory } = done);
      const upgrading = specs.some(({ member, facts }) => member.registered && member.silentMs === 0 && facts.stage !== 'running');
      // One that is being updated, or starts, lives by what was decided; it will lead when it is done.
      if (atMs > 10 * minuteMs && !upgrading) assert.notEqual(done.leader, undefined, `nobody leads after ${atMs} ms`);
      if (atMs > 21 * minuteMs) assert.equal(current, settled, `decided anew after ${atMs} ms`);
    }
  }), { numRuns: 300 });
});

test('a conflict of two nodes ends a minute after one of them was heard for the last time', () => {
  const either = fc.constantFrom(0, 1);
  fc.assert(fc.property(either, either, (dead, holder) => {
    const specs = ['one', 'two'].map((configDigest, index): Spec => {
      const nodeId = `n${index}`;
      return {
        member: memberState({ nodeId, ordinal: index + 1, configDigest, silentMs: index === dead ? 1 : 0 }),
        facts: nodeFacts({ nodeId, configDigest }), drained: false,
      };
    });
    let current: GatewayDecision | undefined = { number: 4, version: '1.0.0', configDigest: holder === 0 ? 'one' : 'two' };
    let memory = emptyDecisionMemory;
    for (let atMs = 16_000; atMs <= minuteMs; atMs += 1000) {
      const done = step({ specs: aged(specs, atMs), current, nowMs: atMs, memory });
      ({ current, memory } = done);
      assert.equal(done.leader === undefined, dead === holder && atMs < minuteMs);
    }
    assert.equal(current?.configDigest, dead === 0 ? 'two' : 'one');
  }));
});

test('a restart of everything changes nothing, in whatever order the nodes come back', () => {
  const delays = fc.array(fc.integer({ min: 0, max: 50_000 }), { minLength: 8, maxLength: 8 });
  const live = view.map((specs) => specs.map((each): Spec => ({ ...each, member: { ...each.member, silentMs: 0, registered: true } })));
  fc.assert(fc.property(live, decision, delays, (specs, start, waits) => {
    const members = specs.map(({ member }) => member);
    const before = decideGateway({ members, current: start, nowMs: 0 }, emptyDecisionMemory).decision ?? start;
    if (before === undefined || members.every(({ configDigest }) => configDigest !== before.configDigest)) return;
    if (members.every((member) => member.version !== before.version)) return;
    let memory = emptyDecisionMemory;
    for (let atMs = 0; atMs <= minuteMs; atMs += 2500) {
      const seen = members.map((member, index) => ({ ...member, silentMs: atMs >= (waits[index] ?? 0) ? 0 : 5000 + atMs }));
      const done = decideGateway({ members: seen, current: before, nowMs: atMs }, memory);
      memory = done.memory;
      assert.equal(done.decision, undefined, `decided anew after ${atMs} ms`);
    }
  }), { numRuns: 500 });
});
