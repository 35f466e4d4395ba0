import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeStatus } from '@dmg/model';
import fc from 'fast-check';
import { placeJobs, type PlacementNode, type WaitingJob } from './placement.ts';

const nodeIds = ['n1', 'n2', 'n3', 'n4'];
const statuses: readonly NodeStatus[] = ['Online', 'Limited', 'Inactive', 'Offline'];
const nodes: fc.Arbitrary<PlacementNode[]> = fc.uniqueArray(
  fc.record({ nodeId: fc.constantFrom(...nodeIds), status: fc.constantFrom(...statuses), freeSlots: fc.integer({ min: -1, max: 3 }) }),
  { selector: (node) => node.nodeId },
);
const jobs: fc.Arbitrary<WaitingJob[]> = fc.uniqueArray(
  fc.record({
    jobId: fc.integer({ min: 0, max: 20 }).map((n) => `j${n}`),
    sendNo: fc.integer({ min: 0, max: 10 }),
    step: fc.constantFrom('copy' as const, 'abort' as const),
    ineligible: fc.subarray(nodeIds).map((ids) => new Map(ids.map((id) => [id, 'no such folder']))),
  }),
  { selector: (job) => job.jobId },
);

function live(all: readonly PlacementNode[]): readonly PlacementNode[] {
  const online = all.filter((node) => node.status === 'Online');
  return online.length > 0 ? online : all.filter((node) => node.status === 'Limited');
}

test('placement keeps slots, classes, eligibility and order for every view', () => {
  fc.assert(fc.property(jobs, nodes, (waiting, all) => {
    const { assignments, passedOver } = placeJobs(waiting, all);
    const alive = live(all);
    const byId = new Map(waiting.map((job) => [job.jobId, job]));
    assert.equal(new Set(assignments.map((one) => one.jobId)).size, assignments.length, 'a job got two nodes');
    for (const node of all) {
      const given = assignments.filter((one) => one.nodeId === node.nodeId).length;
      assert.ok(given <= (alive.includes(node) ? Math.max(0, node.freeSlots) : 0), `${node.nodeId} got ${given}`);
    }
    for (const one of assignments) assert.ok(!byId.get(one.jobId)?.ineligible.has(one.nodeId), 'a job got a node that may not run it');
    const passed = new Set(passedOver.map((one) => one.jobId));
    const assigned = new Set(assignments.map((one) => one.jobId));
    for (const job of waiting) {
      const eligible = alive.filter((node) => !job.ineligible.has(node.nodeId));
      assert.equal(passed.has(job.jobId), eligible.length === 0, 'passed over exactly without an eligible node');
      if (assigned.has(job.jobId) || passed.has(job.jobId)) continue;
      // Left waiting: its nodes are full, and with nobody younger of the same step.
      for (const node of eligible) {
        const here = assignments.filter((one) => one.nodeId === node.nodeId);
        assert.equal(here.length, Math.max(0, node.freeSlots), 'left waiting beside a free slot');
        for (const one of here) {
          const other = byId.get(one.jobId);
          assert.ok(other !== undefined && (other.step === job.step ? other.sendNo <= job.sendNo : other.step === 'abort'), 'overtaken');
        }
      }
    }
  }), { numRuns: 500 });
});
