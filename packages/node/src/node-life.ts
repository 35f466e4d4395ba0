import type { Clock, Logger, Random } from '@dmg/base';
import type { Dispatcher, LeaseKeeper } from '@dmg/dispatcher';
import type { NodeFacts, StoreClaim } from '@dmg/model';
import type { Mesh } from '@dmg/protocol';
import type { RedisLeaseStore, RedisLedger } from '@dmg/redis';
import type { ServiceBusJobQueue } from '@dmg/service-bus';
import type { PrometheusMeter } from '@dmg/telemetry';
import type { LocalWorker } from '@dmg/worker';
import type { ClusterView } from './cluster-view.ts';
import type { NodeConfig } from './config.ts';
import type { Contact } from './contact.ts';
import type { ControlPlaneClient } from './control-plane-client.ts';
import type { CredentialKey } from './credential-key.ts';
import type { NodeIdentity } from './node-identity.ts';
import type { NodeState, Registration } from './node-state.ts';
import type { ReportOutbox } from './report-outbox.ts';

export interface HostOptions {
  readonly config: NodeConfig;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What changes while the node runs and is shared by its parts. */
export interface Situation {
  /** Version of the desired state that was applied last; 0: none. */
  desiredVersion: number;
  stores: readonly StoreClaim[];
  stage: NodeFacts['stage'];
  stageReason: string;
  stopping: boolean;
  address: string;
  diskTrouble: string | undefined;
}

/** Everything a node is made of, built and not yet started. */
export interface NodeParts {
  readonly client: ControlPlaneClient;
  readonly outbox: ReportOutbox;
  readonly contact: Contact;
  readonly ledger: RedisLedger;
  readonly leaseStore: RedisLeaseStore;
  readonly lease: LeaseKeeper;
  readonly queue: ServiceBusJobQueue;
  readonly worker: LocalWorker;
  readonly mesh: Mesh;
  readonly dispatcher: Dispatcher;
  readonly view: ClusterView;
  readonly identity: NodeIdentity;
  readonly credentialKey: CredentialKey;
  readonly situation: Situation;
  /** Resolves when the control plane has said that this node is registered no more. */
  readonly unregistered: Promise<void>;
}

/** One life of a node: what it is registered as, what it is made of, and how its loops are ended. */
export interface Life {
  readonly options: HostOptions;
  readonly state: NodeState;
  readonly registration: Registration;
  readonly parts: NodeParts;
  readonly meter: PrometheusMeter;
  readonly stopping: AbortController;
  /** The first desired state was applied. */
  readonly ordered: PromiseWithResolvers<void>;
}
