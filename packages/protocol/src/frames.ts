import type { Fault } from '@dmg/base';
import type { DispatchAnswer, WorkerEvent } from '@dmg/core';
import type { AssistShare, AttemptStep, Epoch, NodeFacts, ProtocolVersion, RunningAttempt } from '@dmg/model';
import type { ProtocolRange } from './protocol-versions.ts';

/** What goes over a stream, as the rest of the package sees it. The wire's own form is known to `codec/` only. */
export type ClientFrame =
  | OpenFrame
  | { readonly type: 'hello'; readonly requestId: number; readonly epoch: Epoch }
  | DispatchFrame
  | { readonly type: 'cancel' | 'supersede'; readonly requestId: number; readonly attemptId: string }
  | { readonly type: 'tellAssistants'; readonly requestId: number; readonly attemptId: string; readonly assistants: number }
  | HeartbeatFrame
  | GoodbyeFrame;

export interface OpenFrame {
  readonly type: 'open';
  readonly versions: readonly ProtocolRange[];
  readonly gatewayId: string;
  readonly targetNodeId: string;
  readonly facts: NodeFacts;
}

export interface DispatchFrame {
  readonly type: 'dispatch';
  readonly requestId: number;
  readonly signedJob: string;
  readonly attemptId: string;
  readonly step: AttemptStep;
  readonly epoch: Epoch;
  readonly jobId: string;
  readonly share?: AssistShare;
}

export interface HeartbeatFrame {
  readonly type: 'heartbeat';
  readonly facts: NodeFacts;
}

export interface GoodbyeFrame {
  readonly type: 'goodbye';
  /** Empty: there is nothing to take over. */
  readonly successor: string;
  readonly reason: string;
}

/** The side that was called. */
export type ServerFrame =
  | { readonly type: 'opened'; readonly protocol: ProtocolVersion; readonly facts: NodeFacts }
  | { readonly type: 'refused'; readonly reason: ConnectRefusal; readonly evidence: string }
  | HelloAnswerFrame
  | { readonly type: 'dispatchAnswer'; readonly requestId: number; readonly answer: DispatchAnswer }
  | { readonly type: 'cancelAnswer'; readonly requestId: number }
  | { readonly type: 'requestFailed'; readonly requestId: number; readonly fault: Fault }
  | HeartbeatFrame
  | { readonly type: 'event'; readonly event: ToldEvent }
  | GoodbyeFrame;

export interface HelloAnswerFrame {
  readonly type: 'helloAnswer';
  readonly requestId: number;
  readonly answer: HelloPart;
}

export type HelloPart =
  /** `more`: another part of the list follows. */
  | {
    readonly accepted: true; readonly attempts: readonly RunningAttempt[]; readonly limit: number; readonly used: number;
    readonly more: boolean;
  }
  | { readonly accepted: false; readonly known: Epoch };

/** Events of a worker that others are told of. Whether it is reachable they see themselves. */
export type ToldEvent = Extract<WorkerEvent, { type: 'progress' | 'ended' | 'slots' }>;

export type ConnectRefusal = 'protocol' | 'wrongTarget' | 'closing';
