import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '@dmg/base';
import type { JsonObject, Receipt } from '@dmg/model';
import { activityError, copyActivityOutput, type CopyOutputFacts, restGatewayState, restNodeStatus } from './index.ts';

const receipt: Receipt = {
  formatVersion: 1, jobId: 'j', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
  filesRead: 1, filesWritten: 2, bytesRead: 2_048_000, bytesWritten: 10,
  rowsRead: 5, rowsWritten: 5, rowsSkipped: 0, chunks: 1, hash: '00', attempts: ['a'], finishedBy: {
    attemptId: 'a', nodeName: 'n', epoch: '1.x',
  }, finishedAt: '2024-01-01T00:00:00Z',
};
const details = { planMs: 10, copyMs: 1500, finishMs: 20, readMs: 700, writeMs: 900, parallelCopies: 2 };
const facts = {
  gatewayName: 'gw', sourceType: 'FileServer', sinkType: 'AzureBlobStorage', validateDataConsistency: false,
  sourceFormat: 'DelimitedText', sinkFormat: 'DelimitedText',
  startedAt: '2024-01-01T00:00:00Z', queuedMs: 1001, durationMs: 2000,
} as const;

test('output has the field names of Data Factory, and the receipt', () => {
  const output = copyActivityOutput(receipt, details, facts);
  const { executionDetails, receipt: shown, ...rest } = output;
  assert.deepEqual(rest, {
    dataRead: 2_048_000, dataWritten: 10, filesRead: 1, filesWritten: 2, filesSkipped: 0, rowsRead: 5, rowsCopied: 5, rowsSkipped: 0,
    sourcePeakConnections: 2, sinkPeakConnections: 2,
    copyDuration: 2, throughput: 1000, errors: [], effectiveIntegrationRuntime: 'gw', usedParallelCopies: 2,
    durationInQueue: { integrationRuntimeQueue: 2 }, dataConsistencyVerification: { VerificationResult: 'NotVerified' },
    billingReference: {
      activityType: 'DataMovement', billableDuration: [{ meterType: 'SelfhostedIR', duration: 0.000556, unit: 'Hours' }],
    },
    perfRecommendation: [],
  });
  assert.deepEqual(shown, receipt);
  assert.deepEqual(Array.isArray(executionDetails) && executionDetails.length, 1);
  assert.doesNotThrow(() => JSON.stringify(output));
  const binary = { ...facts, sourceFormat: 'Binary', sinkFormat: 'Binary' } as const;
  assert.equal('rowsRead' in copyActivityOutput(receipt, details, binary), false);
});

test('files are counted where there are files, rows in any case', () => {
  const counted = (change: Partial<CopyOutputFacts>): string[] =>
    Object.keys(copyActivityOutput(receipt, details, { ...facts, ...change })).filter((name) => /^(files|rows)/.test(name));
  const rows = ['rowsRead', 'rowsCopied', 'rowsSkipped'];
  assert.deepEqual(counted({ sourceFormat: 'Table' }), ['filesWritten', ...rows]);
  assert.deepEqual(counted({ sinkFormat: 'Table' }), ['filesRead', 'filesSkipped', ...rows]);
  assert.deepEqual(counted({ sourceFormat: 'Table', sinkFormat: 'Table' }), rows);
});

test('a verification is claimed only where the sink was read again', () => {
  const result = (verification: Receipt['verification']): unknown =>
    copyActivityOutput({ ...receipt, verification }, details, { ...facts, validateDataConsistency: true }).dataConsistencyVerification;
  assert.deepEqual(result('acknowledged'), { VerificationResult: 'Unsupported', InconsistentData: 'None' });
  assert.deepEqual(result('reread'), { VerificationResult: 'Verified', InconsistentData: 'None' });
  const table = { ...facts, validateDataConsistency: true, sinkFormat: 'Table' } as const;
  const counted = (rowsWritten: number): unknown =>
    copyActivityOutput({ ...receipt, rowsWritten }, details, table).dataConsistencyVerification;
  assert.deepEqual(counted(5), { VerificationResult: 'Verified', InconsistentData: 'None' });
  assert.deepEqual(counted(4), { VerificationResult: 'Unsupported', InconsistentData: 'None' });
});

test('where time went, what was skipped, and where the log stands', () => {
  const skipped = { ...receipt, rowsRead: 2005, rowsSkipped: 2000, filesSkipped: 1 };
  const busy = { ...details, firstByteMs: 1200, memoryWaitMs: 1400, sourcePeakConnections: 3, sinkPeakConnections: 4 };
  const log = { path: 'c/logs/run/', form: 'rows' } as const;
  const waiting = { ...facts, queuedMs: 90_000, validateDataConsistency: true, log };
  const output = copyActivityOutput(skipped, busy, waiting);
  assert.deepEqual([output.filesSkipped, output.rowsSkipped, output.sourcePeakConnections, output.sinkPeakConnections], [1, 2000, 3, 4]);
  assert.deepEqual([output.redirectRowPath, output.logFilePath], ['c/logs/run/', undefined]);
  assert.deepEqual(output.dataConsistencyVerification, { VerificationResult: 'Unsupported', InconsistentData: 'Skipped' });
  const tips = output.perfRecommendation as readonly JsonObject[];
  const rules = tips.map((tip) => tip.RuleName);
  assert.deepEqual(rules, ['SelfHostedIRLongQueue', 'SkipIncompatibleRows', 'BuffersExhausted']);
  const [execution] = output.executionDetails as readonly JsonObject[];
  assert.deepEqual(execution?.detailedDurations, { queuingDuration: 90, timeToFirstByte: 2, transferDuration: 2 });
  const profile = execution?.profile as { readonly transfer: JsonObject } | undefined;
  assert.deepEqual(profile?.transfer.details, {
    timeToFirstByte: 2,
    listingSource: { type: 'FileServer', workingDuration: 1 }, readingFromSource: { type: 'FileServer', workingDuration: 1 },
    writingToSink: { type: 'AzureBlobStorage', workingDuration: 1 }, waitingForMemory: { workingDuration: 2 },
    finishing: { type: 'AzureBlobStorage', workingDuration: 1 },
  });
  const session = copyActivityOutput(receipt, details, { ...facts, log: { path: 'p/', form: 'session' } });
  assert.deepEqual([session.logFilePath, session.redirectRowPath], ['p/', undefined]);
  assert.equal('redirectRowPath' in copyActivityOutput(receipt, details, { ...facts, log }), false);
});

test('errors name who must act', () => {
  const fault: Fault = {
    code: 'DMG_X_Y', category: 'config', retry: 'never', scope: 'job', message: 'Cannot do it: no.', fix: 'Do that.', params: {},
  };
  assert.deepEqual(
    activityError(fault, 'copy'),
    { errorCode: 'DMG_X_Y', message: 'Cannot do it: no. Do that.', failureType: 'UserError', target: 'copy', details: '' },
  );
  assert.equal(activityError({ ...fault, category: 'transient', detail: 'cause' }, 'copy').failureType, 'SystemError');
});

test('every status has a word of the REST API', () => {
  assert.equal(restNodeStatus.Inactive, 'Limited');
  assert.deepEqual(Object.values(restGatewayState), ['NeedRegistration', 'Online', 'Limited', 'Offline']);
});
