/**
 * What nodes tell of themselves, to each other on their streams and to the control plane with every alive report, and what is agreed
 * upon for the whole gateway. Times are durations: no decision compares clocks of two machines.
 */

/** A part of a node's surroundings that does not work for it now. */
export type TroubledPart = 'redis' | 'queue' | 'controlPlane' | 'credentialKey' | 'disk';

export interface NodeTrouble {
  readonly part: TroubledPart;
  readonly reason: string;
}

/** The dispatcher as a node sees it: the one it obeys, or the one it is. */
export interface DispatcherSight {
  readonly nodeId: string;
  /** `formatEpoch` of the grant it leads under. */
  readonly epoch: string;
  /** 0 while the streams to it and from it are open (always, for the dispatcher itself); else for how long one of them has been missing. */
  readonly lostForMs: number;
}

/** Which wire a node speaks. Minors N and N−1 of one major understand each other (DESIGN-RULES 17). */
export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

export interface NodeFacts {
  readonly nodeId: string;
  readonly nodeName: string;
  /** Random per start of the node process. */
  readonly bootId: string;
  /** Release of the node, `major.minor.patch`. */
  readonly version: string;
  readonly protocol: ProtocolVersion;
  /** Host and port at which other nodes reach its gRPC server; empty: it has none yet. */
  readonly address: string;
  /** Digest of what all nodes must agree in: encryption mode, CA fingerprint, protocol major; and those in words. */
  readonly configDigest: string;
  readonly config: string;
  /** `initializeFailed` stays until the next start; `stageReason` says why. */
  readonly stage: 'initializing' | 'running' | 'upgrading' | 'initializeFailed';
  readonly stageReason: string;
  readonly slots: { readonly limit: number; readonly used: number; readonly maximum: number };
  /** It takes no jobs because it stops or because the user drains it. */
  readonly draining: boolean;
  readonly troubles: readonly NodeTrouble[];
  /** The dispatcher that it obeys; undefined: it knows none. */
  readonly dispatcher: DispatcherSight | undefined;
}

/** What all nodes go by: made by a dispatcher, kept by the control plane and by every node (DESIGN-RULES 17). */
export interface GatewayDecision {
  /** Grows with each decision. */
  readonly number: number;
  /** The logical version. */
  readonly version: string;
  readonly configDigest: string;
}

/** A registered node, as the control plane tells the others of it. Only members are spoken to. */
export interface Member {
  readonly nodeId: string;
  readonly nodeName: string;
  /** Empty: not known yet. */
  readonly address: string;
}

/** A registered node as the control plane heard it last; what versions and configuration are decided by. */
export interface MemberState {
  readonly nodeId: string;
  readonly nodeName: string;
  /** Order of registration, from 1. */
  readonly ordinal: number;
  readonly version: string;
  readonly configDigest: string;
  /** Milliseconds since it was last heard; very large when it never was. */
  readonly silentMs: number;
  /** `registration` still good; false after its key was regenerated. */
  readonly registered: boolean;
}
