import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '@dmg/model';
import { placeJobs, placementKind, type WaitingJob } from './placement.ts';

const job = (jobId: string, sendNo: number, more: Partial<WaitingJob> = {}): WaitingJob =>
  ({ jobId, sendNo, step: 'copy', ineligible: new Map(), ...more });

test('the oldest sendNo goes first, closing a sink goes before everything', () => {
  const waiting = [job('young', 9), job('old', 2), job('closing', 30, { step: 'abort' })];
  const placed = placeJobs(waiting, [{ nodeId: 'n1', status: 'Online', freeSlots: 2 }]);
  assert.deepEqual(placed.assignments.map((one) => one.jobId), ['closing', 'old']);
});

test('a job that no live node may run holds up nobody and says why', () => {
  const bound = job('bound', 1, { ineligible: new Map([['n1', 'store abc is not here']]) });
  const placed = placeJobs([bound, job('free', 2)], [{ nodeId: 'n1', status: 'Online', freeSlots: 1 }]);
  assert.deepEqual(placed.assignments.map((one) => one.jobId), ['free']);
  assert.deepEqual(placed.passedOver, [{ jobId: 'bound', reason: 'n1: store abc is not here' }]);
});

test('Limited takes jobs only when no Online node is alive, and other classes never', () => {
  const limited = { nodeId: 'n2', status: 'Limited', freeSlots: 4 } as const;
  assert.deepEqual(placeJobs([job('a', 1)], [{ nodeId: 'n1', status: 'Online', freeSlots: 0 }, limited]).assignments, []);
  assert.equal(placeJobs([job('a', 1)], [limited]).assignments.length, 1);
  const none = placeJobs([job('a', 1)], [{ nodeId: 'n3', status: 'Inactive', freeSlots: 4 }]);
  assert.match(none.passedOver[0]?.reason ?? '', /no node is alive/);
});

test('jobs spread over the freest nodes', () => {
  const nodes = [{ nodeId: 'n1', status: 'Online', freeSlots: 1 }, { nodeId: 'n2', status: 'Online', freeSlots: 3 }] as const;
  assert.deepEqual(placeJobs([job('a', 1), job('b', 2), job('c', 3)], nodes).assignments.map((one) => one.nodeId), ['n2', 'n2', 'n1']);
});

test('a kind names the stores at both ends and no secret', () => {
  const end = (connector: string, connection: Job['activity']['source']['connection']): Job['activity']['source'] =>
    ({ connector, connection, location: { folderPath: 'x' }, settings: {}, format: { type: 'Binary' } });
  const activity: Job['activity'] = {
    type: 'Copy', source: end('file', { host: '/data', password: { encryptedCredential: 'e1' } }),
    sink: end('azure-blob', { accountName: 'acc' }), parallelCopies: 0, validateDataConsistency: false,
  };
  const whole: Job = {
    formatVersion: 1, jobId: 'j', gatewayId: 'g', tryNumber: 1, finalTry: true, activity,
    policy: { timeoutMs: 1, retry: 0, retryIntervalMs: 0 },
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'ar' },
  };
  assert.equal(placementKind(whole), 'file [["host","/data"]] > azure-blob [["accountName","acc"]]');
});
