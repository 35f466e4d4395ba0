import type { DispatchAnswer } from '@dmg/core';
import type { ConnectRefusal, HelloAnswerFrame, HelloPart, ServerFrame } from '../frames.ts';
import type { CancelAnswer } from '../generated/dmg/cluster/v1/CancelAnswer.ts';
import type { ConnectRefusal__Output } from '../generated/dmg/cluster/v1/ConnectRefusal.ts';
import type { DispatchAnswer as WireDispatchAnswer, DispatchAnswer__Output } from '../generated/dmg/cluster/v1/DispatchAnswer.ts';
import type { HelloAccepted } from '../generated/dmg/cluster/v1/HelloAccepted.ts';
import type { HelloAnswer, HelloAnswer__Output } from '../generated/dmg/cluster/v1/HelloAnswer.ts';
import type { Opened } from '../generated/dmg/cluster/v1/Opened.ts';
import type { Refused } from '../generated/dmg/cluster/v1/Refused.ts';
import type { RequestFailed } from '../generated/dmg/cluster/v1/RequestFailed.ts';
import type { ServerFrame as WireFrame, ServerFrame__Output } from '../generated/dmg/cluster/v1/ServerFrame.ts';
import { decodeRunningAttempt, encodeRunningAttempt, refusalReasonWords } from './attempt.ts';
import { decodeGoodbye, decodeHeartbeat, encodeGoodbye, encodeHeartbeat, readRequestId, writeRequestId } from './client-frame.ts';
import { decodeEpoch, encodeEpoch } from './epoch.ts';
import { decodeFault, encodeFault } from './fault.ts';
import { bad, enumCodec, readCount, readMessage, writeCount } from './fields.ts';
import { decodeFacts, decodeVersion, encodeFacts, encodeVersion } from './node-facts.ts';
import { decodeEvent, encodeEvent } from './worker-event.ts';

const refusals = enumCodec('Refused.reason', {
  protocol: 'CONNECT_REFUSAL_PROTOCOL',
  wrongTarget: 'CONNECT_REFUSAL_WRONG_TARGET',
  closing: 'CONNECT_REFUSAL_CLOSING',
} as const satisfies Record<ConnectRefusal, ConnectRefusal__Output>);

export function encodeServerFrame(frame: ServerFrame): WireFrame {
  switch (frame.type) {
    case 'opened':
      return { opened: { protocol: encodeVersion(frame.protocol), facts: encodeFacts(frame.facts) } satisfies Required<Opened> };
    case 'refused':
      return { refused: { reason: refusals.encode(frame.reason), evidence: frame.evidence } satisfies Required<Refused> };
    case 'helloAnswer':
      return { helloAnswer: encodeHelloAnswer(frame) };
    case 'dispatchAnswer':
      return { dispatchAnswer: encodeDispatchAnswer(frame.requestId, frame.answer) };
    case 'cancelAnswer':
      return { cancelAnswer: { requestId: writeRequestId(frame.requestId) } satisfies Required<CancelAnswer> };
    case 'requestFailed':
      return {
        requestFailed: { requestId: writeRequestId(frame.requestId), fault: encodeFault(frame.fault) } satisfies Required<RequestFailed>,
      };
    case 'heartbeat':
      return encodeHeartbeat(frame);
    case 'event':
      return { event: encodeEvent(frame.event) };
    case 'goodbye':
      return { goodbye: encodeGoodbye(frame) };
  }
}

/** Throws `DMG_PROTOCOL_BAD_FIELD`. */
export function decodeServerFrame(wire: ServerFrame__Output): ServerFrame {
  switch (wire.frame) {
    case 'opened': {
      const { protocol, facts } = readMessage('ServerFrame.opened', wire.opened);
      return { type: 'opened', protocol: decodeVersion('Opened.protocol', protocol), facts: decodeFacts('Opened.facts', facts) };
    }
    case 'refused': {
      const { reason, evidence } = readMessage('ServerFrame.refused', wire.refused);
      return { type: 'refused', reason: refusals.decode(reason), evidence };
    }
    case 'helloAnswer':
      return decodeHelloAnswer(readMessage('ServerFrame.hello_answer', wire.helloAnswer));
    case 'dispatchAnswer': {
      const answer = readMessage('ServerFrame.dispatch_answer', wire.dispatchAnswer);
      return { type: 'dispatchAnswer', requestId: readRequestId(answer.requestId), answer: decodeDispatchAnswer(answer) };
    }
    case 'cancelAnswer':
      return { type: 'cancelAnswer', requestId: readRequestId(readMessage('ServerFrame.cancel_answer', wire.cancelAnswer).requestId) };
    case 'requestFailed': {
      const { requestId, fault } = readMessage('ServerFrame.request_failed', wire.requestFailed);
      return { type: 'requestFailed', requestId: readRequestId(requestId), fault: decodeFault('RequestFailed.fault', fault) };
    }
    case 'heartbeat':
      return decodeHeartbeat(wire.heartbeat);
    case 'event':
      return { type: 'event', event: decodeEvent(wire.event) };
    case 'goodbye':
      return decodeGoodbye(wire.goodbye);
    case undefined:
      throw bad('ServerFrame.frame', 'missing, or of a kind that is not known');
  }
}

function encodeHelloAnswer({ requestId, answer }: HelloAnswerFrame): HelloAnswer {
  const id = writeRequestId(requestId);
  return answer.accepted ? { requestId: id, accepted: encodeAccepted(answer) } : { requestId: id, known: encodeEpoch(answer.known) };
}

function encodeAccepted({ attempts, limit, used, more }: Extract<HelloPart, { accepted: true }>): HelloAccepted {
  return {
    attempts: attempts.map(encodeRunningAttempt),
    limit: writeCount('HelloAccepted.limit', limit),
    used: writeCount('HelloAccepted.used', used),
    more,
  } satisfies Required<HelloAccepted>;
}

function decodeHelloAnswer({ requestId, answer, accepted, known }: HelloAnswer__Output): HelloAnswerFrame {
  const id = readRequestId(requestId);
  if (answer === 'known') {
    return { type: 'helloAnswer', requestId: id, answer: { accepted: false, known: decodeEpoch('HelloAnswer.known', known) } };
  }
  const { attempts, limit, used, more } = readMessage('HelloAnswer.answer', accepted);
  return {
    type: 'helloAnswer',
    requestId: id,
    answer: {
      accepted: true,
      attempts: attempts.map(decodeRunningAttempt),
      limit: readCount('HelloAccepted.limit', limit),
      used: readCount('HelloAccepted.used', used),
      more,
    },
  };
}

function encodeDispatchAnswer(requestId: number, answer: DispatchAnswer): WireDispatchAnswer {
  return {
    requestId: writeRequestId(requestId),
    accepted: answer.accepted,
    reason: answer.accepted ? 'REFUSAL_REASON_UNSPECIFIED' : refusalReasonWords.encode(answer.reason),
    evidence: answer.accepted ? '' : answer.evidence,
  } satisfies Required<WireDispatchAnswer>;
}

function decodeDispatchAnswer({ accepted, reason, evidence }: DispatchAnswer__Output): DispatchAnswer {
  if (!accepted) return { accepted: false, reason: refusalReasonWords.decode(reason), evidence };
  // Accepted and refused at once: whoever sent it means something that we do not know.
  if (reason !== 'REFUSAL_REASON_UNSPECIFIED') throw bad('DispatchAnswer.reason', 'given although the dispatch was accepted');
  return { accepted: true };
}
