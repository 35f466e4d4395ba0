import type { JsonObject } from './json.ts';
import type { AssistStep, AttemptOutcome, AttemptProgress } from './attempt.ts';
import type { GatewayDecision, Member, MemberState, NodeFacts } from './cluster.ts';
import type { Judgement, NodeStatus } from './status.ts';

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
  /** The node may share its machine with another node of the gateway. Otherwise one a machine is let in. */
  readonly sharesMachine: boolean;
  /**
   * Public half of the credential key that this node holds, or has just made. The first registration sets the gateway's; a node that
   * brings another one gets the gateway's private half from a node that has it (DESIGN §10).
   */
  readonly credentialPublicKey: JsonObject;
  /** PKCS#10 request (PEM) signed with the node's own key, for its certificate. */
  readonly certificateRequest: string;
  /** What the node computed from its machine (published formula): the limit it starts with. */
  readonly defaultConcurrentJobsLimit: number;
}

/** A certificate for streams between nodes: the node's own, and the gateway's CA that the peers' are checked against. */
export interface NodeCertificate {
  readonly certificatePem: string;
  readonly caPem: string;
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
  /** Id (`kid`) of the gateway's credential key; the node may hold another one and has to fetch it then. */
  readonly credentialKeyId: string;
  readonly certificate: NodeCertificate;
}

/** POST /gateway/v1/certificate: a fresh certificate before the old one ends; the answer is a `NodeCertificate`. */
export interface CertificateRequest {
  /** PKCS#10 (PEM), signed with the node's own key. */
  readonly certificateRequest: string;
}

/**
 * POST /gateway/v1/stores: the first use of a local path. The answer is `{ storeId }`, the one that was claimed first for this path:
 * only nodes that find the same id there may run jobs on it (DESIGN-RULES 6).
 */
export interface StoreClaim {
  readonly path: string;
  readonly storeId: string;
}

/** POST /gateway/v1/alive every 5 s: the complete list of what the node runs (DESIGN-RULES 10.3). */
export interface AliveReport {
  readonly facts: NodeFacts;
  readonly desiredVersion: number;
  readonly running: readonly RunningReport[];
  readonly metrics: {
    readonly cpuPercent: number;
    readonly availableMemoryMb: number;
    readonly sentBytes: number;
    readonly receivedBytes: number;
  };
  /** From the dispatcher only. */
  readonly dispatcher?: DispatcherReport;
}

/** Answer to an alive report: how the control plane judges the node, and whom it heard when. */
export interface AliveAnswer {
  readonly judgement: Judgement<NodeStatus>;
  /** All registered nodes of the gateway, this one included. */
  readonly roster: readonly MemberState[];
}

export interface RunningReport {
  readonly jobId: string;
  readonly tryNumber: number;
  readonly attemptId: string;
  /** It assists the attempt that leads the job, or keeps its snapshot; absent: it leads. Only who leads shows that the job is not lost. */
  readonly assists?: AssistStep;
  readonly progress?: AttemptProgress;
}

export interface DispatcherReport {
  readonly epoch: string;
  /** False: it led once and does not now; its lists still count. */
  readonly leading: boolean;
  /** What it has decided for the gateway; kept when its number is larger than that of the one before. */
  readonly decision?: GatewayDecision;
  readonly waiting: readonly string[];
  /** Jobs among them that no live node may run, and why; not all when there are very many. */
  readonly stranded?: readonly { readonly jobId: string; readonly reason: string }[];
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
  /** All registered nodes, this one included. Whoever is not among them is not spoken to and not answered. */
  readonly members: readonly Member[];
  /** What versions and configuration the gateway goes by; undefined before the first decision. */
  readonly decision?: GatewayDecision;
  /** The version that an update in progress goes to (DESIGN-RULES 17). */
  readonly targetVersion?: string;
  /** The user wants this node to take no jobs; what runs may finish for so long and is then handed over. */
  readonly drain?: { readonly graceMs: number };
  /** Local paths that are bound to the nodes which find this store id there. */
  readonly stores: readonly StoreClaim[];
}
