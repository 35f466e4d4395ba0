import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeStatus } from '@dmg/model';
import fc from 'fast-check';
import { type AssistedLead, placeAssistants } from './assist-placement.ts';
import type { PlacementNode } from './placement.ts';

const nodeIds = ['n1', 'n2', 'n3', 'n4'];
const statuses: readonly NodeStatus[] = ['Online', 'Online', 'Online', 'Limited', 'Offline'];
const nodes: fc.Arbitrary<PlacementNode[]> = fc.uniqueArray(
  fc.record({ nodeId: fc.constantFrom(...nodeIds), status: fc.constantFrom(...statuses), freeSlots: fc.integer({ min: -1, max: 3 }) }),
  { selector: (node) => node.nodeId },
);
const leads: fc.Arbitrary<AssistedLead[]> = fc.uniqueArray(
  fc.record({
    jobId: fc.integer({ min: 0, max: 9 }).map((n) => `j${n}`),
    sendNo: fc.integer({ min: 0, max: 5 }),
    nodeId: fc.constantFrom(...nodeIds),
    assistantsWanted: fc.integer({ min: 0, max: 4 }),
    snapshotHeld: fc.boolean(),
    assistants: fc.subarray(nodeIds).chain((ids) => fc.boolean().map((keeps) => ids.map((nodeId, at) => {
      const step = keeps && at === 0 ? 'keep' as const : 'assist' as const;
      return { attemptId: nodeId, nodeId, step, index: keeps ? at : at + 1 };
    }))),
    ineligible: fc.subarray(nodeIds).map((ids) => new Set(ids)),
  }),
  { selector: (lead) => lead.jobId, maxLength: 4 },
);

test('assistants keep to slots, nodes and wishes, and leave no wanted slot unused', () => {
  fc.assert(fc.property(leads, nodes, fc.constantFrom(0, 0, 0, 2), (all, places, waiting) => {
    const given = placeAssistants(all, places, waiting);
    const free = new Map(places.map(({ nodeId, status, freeSlots }) => [nodeId, status === 'Online' ? Math.max(0, freeSlots) : 0]));
    for (const { nodeId, step } of given) if (step === 'assist') free.set(nodeId, (free.get(nodeId) ?? 0) - 1);
    for (const [nodeId, left] of free) assert.ok(left >= 0, `${nodeId} is above its limit`);
    if (waiting > 0) assert.deepEqual(given.filter(({ step }) => step === 'assist'), [], 'a waiting job comes first');
    for (const { nodeId } of given) assert.equal(places.find((node) => node.nodeId === nodeId)?.status, 'Online');
    for (const lead of all) {
      const mine = given.filter(({ jobId }) => jobId === lead.jobId);
      const after = [...lead.assistants, ...mine];
      const assists = after.filter(({ step }) => step === 'assist');
      const fresh = mine.filter(({ step }) => step === 'assist');
      if (fresh.length > 0) assert.ok(assists.length <= lead.assistantsWanted, 'more than it asked for');
      for (const { nodeId, index, of } of mine) {
        assert.ok(nodeId !== lead.nodeId && !lead.ineligible.has(nodeId));
        assert.ok(index < of);
      }
      for (const { nodeId } of fresh) assert.equal(assists.filter((one) => one.nodeId === nodeId).length, 1, 'two of one job on a node');
      assert.equal(new Set(assists.map(({ index }) => index)).size, assists.length, 'two have one place');
      assert.ok(assists.every(({ index }) => index >= 1));
      const keepers = mine.filter(({ step }) => step === 'keep').length;
      const elsewhere = after.filter(({ nodeId }) => nodeId !== lead.nodeId).length;
      assert.ok(keepers <= (lead.snapshotHeld && elsewhere === keepers ? 1 : 0), 'a keeper beside others, or without a snapshot');
      const couldKeep = places.some(({ nodeId, status }) => status === 'Online' && nodeId !== lead.nodeId && !lead.ineligible.has(nodeId));
      if (lead.snapshotHeld && couldKeep) assert.ok(elsewhere > 0, 'the snapshot would end with one node');
      if (waiting > 0 || assists.length >= lead.assistantsWanted) continue;
      for (const [nodeId, left] of free) {
        const could = nodeId !== lead.nodeId && !lead.ineligible.has(nodeId) && !assists.some((one) => one.nodeId === nodeId);
        assert.ok(!could || left === 0, `${nodeId} could assist ${lead.jobId}`);
      }
    }
  }), { numRuns: 500 });
});
