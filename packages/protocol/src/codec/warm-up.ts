import { type AttemptDetails, type Epoch, formatEpoch, type NodeFacts, type Receipt, type RunningAttempt } from '@dmg/model';
import type { ClientFrame, ServerFrame } from '../frames.ts';
import { protocolVersion } from '../protocol-versions.ts';
import { decodeClientFrame, encodeClientFrame } from './client-frame.ts';
import { clusterService } from './cluster-service.ts';
import { decodeServerFrame, encodeServerFrame } from './server-frame.ts';

const epoch: Epoch = { n: 1, token: '0'.repeat(32) };
const facts: NodeFacts = {
  nodeId: '-', nodeName: '-', bootId: '-', version: '0.0.0', protocol: protocolVersion, address: '-', configDigest: '-', config: '-',
  stage: 'initializing', stageReason: '-', slots: { limit: 1, used: 1, maximum: 1 }, draining: false,
  troubles: [{ part: 'redis', reason: '-' }], dispatcher: { nodeId: '-', epoch: formatEpoch(epoch), lostForMs: 0 },
};
const attempt: RunningAttempt = {
  jobId: '-', tryNumber: 1, attemptId: '-', step: 'copy', signedJob: '-',
  progress: { step: 'copy', bytesTotal: 1, bytesRead: 0, bytesWritten: 0, rowsWritten: 0, filesTotal: 1, filesWritten: 0 },
};
const receipt: Receipt = {
  formatVersion: 1, jobId: '-', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
  filesRead: 0, filesWritten: 0, bytesRead: 0, bytesWritten: 0, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 0,
  hash: '0'.repeat(16), attempts: ['-'], finishedBy: { attemptId: '-', nodeName: '-', epoch: formatEpoch(epoch) },
  finishedAt: '1970-01-01T00:00:00Z',
};
const details: AttemptDetails = { planMs: 0, copyMs: 0, finishMs: 0, readMs: 0, writeMs: 0, parallelCopies: 1 };

/**
 * Sends a frame of each kind through the codec, to nobody: the code for a kind of message is generated when the first of its kind is
 * made or read, which would hold up a node that already serves for tens of milliseconds.
 */
export function warmUpCodec(): void {
  const { jobId, attemptId, progress } = attempt;
  const ended = { type: 'ended', jobId, tryNumber: 1, attemptId, startedAtMs: 0, endedAtMs: 1 } as const;
  const clientFrames: readonly ClientFrame[] = [
    { type: 'open', versions: [{ major: 1, minorMin: 0, minorMax: 1 }], gatewayId: '-', targetNodeId: '-', facts },
    { type: 'hello', requestId: 1, epoch },
    { type: 'dispatch', requestId: 1, signedJob: '-', attemptId, step: 'copy', epoch, jobId },
    { type: 'cancel', requestId: 1, attemptId },
    { type: 'supersede', requestId: 1, attemptId },
    { type: 'tellAssistants', requestId: 1, attemptId, assistants: 1 },
    { type: 'heartbeat', facts },
    { type: 'goodbye', successor: '-', reason: '-' },
  ];
  const serverFrames: readonly ServerFrame[] = [
    { type: 'opened', protocol: protocolVersion, facts },
    { type: 'helloAnswer', requestId: 1, answer: { accepted: true, attempts: [attempt], limit: 1, used: 1, more: false } },
    { type: 'helloAnswer', requestId: 1, answer: { accepted: false, known: epoch } },
    { type: 'dispatchAnswer', requestId: 1, answer: { accepted: true } },
    { type: 'cancelAnswer', requestId: 1 },
    { type: 'heartbeat', facts },
    { type: 'event', event: { type: 'slots', limit: 1, used: 1 } },
    ...(progress === undefined ? [] : [{ type: 'event', event: { type: 'progress', jobId, attemptId, progress } } as const]),
    { type: 'event', event: { ...ended, outcome: { kind: 'succeeded', receipt, details } } },
    { type: 'event', event: { ...ended, outcome: { kind: 'stopped' } } },
    { type: 'goodbye', successor: '-', reason: '-' },
  ];
  const { Connect } = clusterService;
  for (const frame of clientFrames) decodeClientFrame(Connect.requestDeserialize(Connect.requestSerialize(encodeClientFrame(frame))));
  for (const frame of serverFrames) decodeServerFrame(Connect.responseDeserialize(Connect.responseSerialize(encodeServerFrame(frame))));
}
