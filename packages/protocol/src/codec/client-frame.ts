import type { AssistShare, NodeFacts } from '@dmg/model';
import type { ClientFrame, DispatchFrame, GoodbyeFrame, HeartbeatFrame, OpenFrame } from '../frames.ts';
import type { AssistShare as WireShare, AssistShare__Output as WireShare__Output } from '../generated/dmg/cluster/v1/AssistShare.ts';
import type { Cancel } from '../generated/dmg/cluster/v1/Cancel.ts';
import type { ClientFrame as WireFrame, ClientFrame__Output } from '../generated/dmg/cluster/v1/ClientFrame.ts';
import type { Dispatch, Dispatch__Output } from '../generated/dmg/cluster/v1/Dispatch.ts';
import type { Goodbye, Goodbye__Output } from '../generated/dmg/cluster/v1/Goodbye.ts';
import type { Heartbeat, Heartbeat__Output } from '../generated/dmg/cluster/v1/Heartbeat.ts';
import type { Hello } from '../generated/dmg/cluster/v1/Hello.ts';
import type { Open, Open__Output } from '../generated/dmg/cluster/v1/Open.ts';
import type { ProtocolRange as WireRange } from '../generated/dmg/cluster/v1/ProtocolRange.ts';
import type { Supersede } from '../generated/dmg/cluster/v1/Supersede.ts';
import type { TellAssistants, TellAssistants__Output } from '../generated/dmg/cluster/v1/TellAssistants.ts';
import type { ProtocolRange } from '../protocol-versions.ts';
import { attemptSteps } from './attempt.ts';
import { decodeEpoch, encodeEpoch } from './epoch.ts';
import { bad, readCount, readMessage, readText, writeCount } from './fields.ts';
import { decodeFacts, encodeFacts } from './node-facts.ts';
import { madeOnce } from './repeated-frames.ts';

type Telling = Extract<ClientFrame, { type: 'tellAssistants' }>;

export function encodeClientFrame(frame: ClientFrame): WireFrame {
  switch (frame.type) {
    case 'open':
      return { open: encodeOpen(frame) };
    case 'hello':
      return { hello: { requestId: writeRequestId(frame.requestId), epoch: encodeEpoch(frame.epoch) } satisfies Required<Hello> };
    case 'dispatch':
      return { dispatch: encodeDispatch(frame) };
    case 'cancel':
      return { cancel: { requestId: writeRequestId(frame.requestId), attemptId: frame.attemptId } satisfies Required<Cancel> };
    case 'supersede':
      return { supersede: { requestId: writeRequestId(frame.requestId), attemptId: frame.attemptId } satisfies Required<Supersede> };
    case 'tellAssistants':
      return { tellAssistants: encodeTelling(frame) };
    case 'heartbeat':
      return encodeHeartbeat(frame);
    case 'goodbye':
      return { goodbye: encodeGoodbye(frame) };
  }
}

/** Throws `DMG_PROTOCOL_BAD_FIELD`. */
export function decodeClientFrame(wire: ClientFrame__Output): ClientFrame {
  switch (wire.frame) {
    case 'open':
      return decodeOpen(readMessage('ClientFrame.open', wire.open));
    case 'hello': {
      const { requestId, epoch } = readMessage('ClientFrame.hello', wire.hello);
      return { type: 'hello', requestId: readRequestId(requestId), epoch: decodeEpoch('Hello.epoch', epoch) };
    }
    case 'dispatch':
      return decodeDispatch(readMessage('ClientFrame.dispatch', wire.dispatch));
    case 'cancel': {
      const { requestId, attemptId } = readMessage('ClientFrame.cancel', wire.cancel);
      return { type: 'cancel', requestId: readRequestId(requestId), attemptId: readText('Cancel.attempt_id', attemptId) };
    }
    case 'supersede': {
      const { requestId, attemptId } = readMessage('ClientFrame.supersede', wire.supersede);
      return { type: 'supersede', requestId: readRequestId(requestId), attemptId: readText('Supersede.attempt_id', attemptId) };
    }
    case 'tellAssistants':
      return decodeTelling(readMessage('ClientFrame.tell_assistants', wire.tellAssistants));
    case 'heartbeat':
      return decodeHeartbeat(wire.heartbeat);
    case 'goodbye':
      return decodeGoodbye(wire.goodbye);
    case undefined:
      throw bad('ClientFrame.frame', 'missing, or of a kind that is not known');
  }
}

/**
 * The wires that a caller offers, read from its first frame before anything else of it: what else it says may be in a form that only a
 * later release understands.
 */
export function decodeOffer(wire: ClientFrame__Output): readonly ProtocolRange[] {
  return readMessage('ClientFrame.open', wire.open).versions.map(({ major, minorMin, minorMax }) => ({ major, minorMin, minorMax }));
}

function encodeOpen({ versions, gatewayId, targetNodeId, facts }: OpenFrame): Open {
  return { versions: versions.map(encodeRange), gatewayId, targetNodeId, facts: encodeFacts(facts) } satisfies Required<Open>;
}

function decodeOpen({ versions, gatewayId, targetNodeId, facts }: Open__Output): OpenFrame {
  return {
    type: 'open',
    versions: versions.map(({ major, minorMin, minorMax }) => ({ major, minorMin, minorMax })),
    gatewayId: readText('Open.gateway_id', gatewayId),
    targetNodeId: readText('Open.target_node_id', targetNodeId),
    facts: decodeFacts('Open.facts', facts),
  };
}

function encodeRange({ major, minorMin, minorMax }: ProtocolRange): WireRange {
  return {
    major: writeCount('ProtocolRange.major', major),
    minorMin: writeCount('ProtocolRange.minor_min', minorMin),
    minorMax: writeCount('ProtocolRange.minor_max', minorMax),
  } satisfies Required<WireRange>;
}

function encodeDispatch({ requestId, signedJob, attemptId, step, epoch, jobId, share }: DispatchFrame): Dispatch {
  return {
    requestId: writeRequestId(requestId), signedJob, attemptId, step: attemptSteps.encode(step), epoch: encodeEpoch(epoch), jobId,
    share: share === undefined ? null : encodeShare(share),
  } satisfies Required<Dispatch>;
}

function encodeShare({ index, of }: AssistShare): WireShare {
  return {
    index: writeCount('AssistShare.index', index), of: writeCount('AssistShare.of', of),
  } satisfies Required<WireShare>;
}

function decodeShare({ index, of }: WireShare__Output): AssistShare {
  return { index: readCount('AssistShare.index', index, 1), of: readCount('AssistShare.of', of, 1) };
}

function decodeDispatch({ requestId, signedJob, attemptId, step, epoch, jobId, share }: Dispatch__Output): DispatchFrame {
  return {
    type: 'dispatch',
    requestId: readRequestId(requestId),
    signedJob: readText('Dispatch.signed_job', signedJob),
    attemptId: readText('Dispatch.attempt_id', attemptId),
    step: attemptSteps.decode(step),
    epoch: decodeEpoch('Dispatch.epoch', epoch),
    jobId: readText('Dispatch.job_id', jobId),
    ...(share === null ? {} : { share: decodeShare(share) }),
  };
}

function encodeTelling({ requestId, attemptId, assistants }: Telling): TellAssistants {
  return {
    requestId: writeRequestId(requestId), attemptId, assistants: writeCount('TellAssistants.assistants', assistants),
  } satisfies Required<TellAssistants>;
}

function decodeTelling({ requestId, attemptId, assistants }: TellAssistants__Output): Telling {
  return {
    type: 'tellAssistants', requestId: readRequestId(requestId), attemptId: readText('TellAssistants.attempt_id', attemptId), assistants,
  };
}

/** A frame of either side. */
export function encodeHeartbeat({ facts }: HeartbeatFrame): { readonly heartbeat: Heartbeat } {
  return heartbeatOf(facts);
}

const heartbeatOf = madeOnce((facts: NodeFacts) => ({ heartbeat: { facts: encodeFacts(facts) } satisfies Required<Heartbeat> }));

export function decodeHeartbeat(wire: Heartbeat__Output | null | undefined): HeartbeatFrame {
  return frameOf(readMessage('frame.heartbeat', wire));
}

const frameOf = madeOnce(({ facts }: Heartbeat__Output) => ({ type: 'heartbeat', facts: decodeFacts('Heartbeat.facts', facts) } as const));

export function encodeGoodbye({ successor, reason }: GoodbyeFrame): Goodbye {
  return { successor, reason } satisfies Required<Goodbye>;
}

export function decodeGoodbye(wire: Goodbye__Output | null | undefined): GoodbyeFrame {
  const { successor, reason } = readMessage('frame.goodbye', wire);
  return { type: 'goodbye', successor, reason };
}

/** Ids of requests begin at 1, so that a forgotten one is seen. */
export function readRequestId(value: number): number {
  return readCount('request_id', value, 1);
}

export function writeRequestId(value: number): number {
  return writeCount('request_id', value);
}
