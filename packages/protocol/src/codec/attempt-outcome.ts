import type { AttemptDetails, AttemptOutcome } from '@dmg/model';
import type { AttemptDetails as WireDetails, AttemptDetails__Output } from '../generated/dmg/cluster/v1/AttemptDetails.ts';
import type { AttemptOutcome as WireOutcome, AttemptOutcome__Output } from '../generated/dmg/cluster/v1/AttemptOutcome.ts';
import type { SinkState__Output } from '../generated/dmg/cluster/v1/SinkState.ts';
import { decodeFault, encodeFault } from './fault.ts';
import { bad, enumCodec, readCount, readMeasure, readMessage, writeCount } from './fields.ts';
import { decodeReceipt, encodeReceipt } from './receipt.ts';

type SinkState = Extract<AttemptOutcome, { kind: 'failed' }>['sink'];

const sinks = enumCodec('AttemptOutcome.sink', {
  open: 'SINK_STATE_OPEN', aborted: 'SINK_STATE_ABORTED', unconfirmed: 'SINK_STATE_UNCONFIRMED',
} as const satisfies Record<SinkState, SinkState__Output>);

type Fields<Kind extends 'succeeded' | 'failed' | 'cancelled' | 'lost'> = Required<NonNullable<WireOutcome[Kind]>>;

export function encodeOutcome(outcome: AttemptOutcome): WireOutcome {
  switch (outcome.kind) {
    case 'succeeded':
      return {
        succeeded: { receipt: encodeReceipt(outcome.receipt), details: encodeDetails(outcome.details) } satisfies Fields<'succeeded'>,
      };
    case 'failed':
      return { failed: { fault: encodeFault(outcome.fault), sink: sinks.encode(outcome.sink) } satisfies Fields<'failed'> };
    case 'cancelled':
      return { cancelled: { sink: sinks.encode(outcome.sink) } satisfies Fields<'cancelled'> };
    case 'stopped':
      return { stopped: {} };
    case 'lost':
      return { lost: { reason: outcome.reason } satisfies Fields<'lost'> };
  }
}

export function decodeOutcome(field: string, wire: AttemptOutcome__Output | null | undefined): AttemptOutcome {
  const { outcome, succeeded, failed, cancelled, lost } = readMessage(field, wire);
  switch (outcome) {
    case 'succeeded': {
      const { receipt, details } = readMessage('AttemptOutcome.succeeded', succeeded);
      return { kind: 'succeeded', receipt: decodeReceipt(receipt), details: decodeDetails(details) };
    }
    case 'failed': {
      const { fault, sink } = readMessage('AttemptOutcome.failed', failed);
      return { kind: 'failed', fault: decodeFault('Failed.fault', fault), sink: sinks.decode(sink) };
    }
    case 'cancelled': {
      const sink = sinks.decode(readMessage('AttemptOutcome.cancelled', cancelled).sink);
      if (sink === 'open') throw bad('Cancelled.sink', 'open');
      return { kind: 'cancelled', sink };
    }
    case 'stopped':
      return { kind: 'stopped' };
    case 'lost':
      return { kind: 'lost', reason: readMessage('AttemptOutcome.lost', lost).reason };
    case undefined:
      throw bad('AttemptOutcome.outcome', 'missing');
  }
}

function encodeDetails(details: AttemptDetails): WireDetails {
  const { planMs, copyMs, finishMs, readMs, writeMs, parallelCopies, memoryWaitMs = 0, firstByteMs = 0 } = details;
  return {
    planMs, copyMs, finishMs, readMs, writeMs, parallelCopies: writeCount('AttemptDetails.parallel_copies', parallelCopies),
    memoryWaitMs, firstByteMs,
    sourcePeakConnections: writeCount('AttemptDetails.source_peak_connections', details.sourcePeakConnections ?? 0),
    sinkPeakConnections: writeCount('AttemptDetails.sink_peak_connections', details.sinkPeakConnections ?? 0),
  } satisfies Required<WireDetails>;
}

function decodeDetails(wire: AttemptDetails__Output | null): AttemptDetails {
  const { planMs, copyMs, finishMs, readMs, writeMs, parallelCopies, ...later } = readMessage('Succeeded.details', wire);
  // Nodes of earlier versions do not say these, and 0 says nothing.
  const memoryWaitMs = readMeasure('AttemptDetails.memory_wait_ms', later.memoryWaitMs);
  const firstByteMs = readMeasure('AttemptDetails.first_byte_ms', later.firstByteMs);
  const sourcePeakConnections = readCount('AttemptDetails.source_peak_connections', later.sourcePeakConnections);
  const sinkPeakConnections = readCount('AttemptDetails.sink_peak_connections', later.sinkPeakConnections);
  return {
    planMs: readMeasure('AttemptDetails.plan_ms', planMs),
    copyMs: readMeasure('AttemptDetails.copy_ms', copyMs),
    finishMs: readMeasure('AttemptDetails.finish_ms', finishMs),
    readMs: readMeasure('AttemptDetails.read_ms', readMs),
    writeMs: readMeasure('AttemptDetails.write_ms', writeMs),
    parallelCopies: readCount('AttemptDetails.parallel_copies', parallelCopies),
    ...(memoryWaitMs === 0 ? {} : { memoryWaitMs }),
    ...(firstByteMs === 0 ? {} : { firstByteMs }),
    ...(sourcePeakConnections === 0 ? {} : { sourcePeakConnections }),
    ...(sinkPeakConnections === 0 ? {} : { sinkPeakConnections }),
  };
}
