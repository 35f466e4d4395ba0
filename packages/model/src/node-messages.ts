import type { JsonObject } from './json.ts';
import type { AttemptOutcome, AttemptProgress } from './attempt.ts';

/**
 * What nodes and the control plane say to each other over HTTPS, under `/gateway/v1/`. Bodies are JSON. All but `register`
 * carry `Authorization: Bearer <nodeToken>`.
 */

/** POST /gateway/v1/register */
export interface RegisterRequest {
  /** The gateway key; it names the gateway. */
  readonly key: string;
  readonly nodeName: string;
  readonly machineName: string;
  readonly version: string;
  /** Public half of the gateway's credential key as this node holds it; the first registration sets it. */
  readonly credentialPublicKey: JsonObject;
}

export interface RegisterResponse {
  readonly gatewayId: string;
  readonly gatewayName: string;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly nodeToken: string;
  /** Queue name in the Service Bus namespace. */
  readonly queueName: string;
  /** Public JWK with which jobs and desired-state documents are signed. */
  readonly signingKey: JsonObject;
  readonly concurrentJobsLimit: number;
}

/** POST /gateway/v1/alive every 5 s: the complete list of what the node runs (DESIGN-RULES 10.3). */
export interface AliveReport {
  readonly nodeName: string;
  readonly version: string;
  /** Random per start of the node process. */
  readonly bootId: string;
  readonly desiredVersion: number;
  readonly running: readonly RunningReport[];
  readonly slots: { readonly limit: number; readonly used: number; readonly maximum: number };
  readonly metrics: {
    readonly cpuPercent: number;
    readonly availableMemoryMb: number;
    readonly sentBytes: number;
    readonly receivedBytes: number;
  };
  /** From the dispatcher only. */
  readonly dispatcher?: DispatcherReport;
  /** What does not work for this node now: `redis`, `queue`, `credentialKey`. Empty: all well. */
  readonly troubles: readonly { readonly part: string; readonly reason: string }[];
}

export interface RunningReport {
  readonly jobId: string;
  readonly tryNumber: number;
  readonly attemptId: string;
  readonly progress?: AttemptProgress;
}

export interface DispatcherReport {
  readonly epoch: string;
  readonly waiting: readonly string[];
  /** Highest `sendNo` received; 0: none. */
  readonly receivedUpTo: number;
  readonly queueEmpty: boolean;
}

/** POST /gateway/v1/reports, until acknowledged. */
export interface JobReport {
  readonly jobId: string;
  readonly tryNumber: number;
  /** Empty when the job ended before any attempt was made (cancelled while it waited). */
  readonly attemptId: string;
  readonly nodeName: string;
  readonly outcome: AttemptOutcome;
  readonly startedAt: string;
  readonly endedAt: string;
}

export interface DeadLetterReport {
  readonly messageId: string;
  readonly reason: string;
  readonly description: string;
  readonly deliveryCount: number;
}

/** GET /gateway/v1/desired-state?known=<version>: a long poll; answers `{ jws }` whose payload this is. */
export interface DesiredState {
  readonly gatewayId: string;
  readonly nodeId: string;
  readonly version: number;
  readonly concurrentJobsLimit: number;
  /** Jobs that must end cancelled; a job stays listed until its end is reported. */
  readonly cancel: readonly string[];
}
