import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { newId, Secret } from '@dmg/base';
import { leaseSettings } from '@dmg/core';
import { LeaseKeeper, createDispatcher, type Dispatcher } from '@dmg/dispatcher';
import { engineMetrics } from '@dmg/engine';
import { lifecycleErrors } from '@dmg/lifecycle';
import { type Epoch, formatEpoch, type Job, type NodeFacts, type NodeTrouble } from '@dmg/model';
import { Mesh, protocolVersion } from '@dmg/protocol';
import { RedisLeaseStore, RedisLedger } from '@dmg/redis';
import { verifyJob } from '@dmg/security';
import { ServiceBusJobQueue } from '@dmg/service-bus';
import type { PrometheusMeter } from '@dmg/telemetry';
import { LocalWorker, type MachineSize, maximumConcurrentJobs } from '@dmg/worker';
import { agreedConfiguration, listenPlace } from './cluster-settings.ts';
import { ClusterView } from './cluster-view.ts';
import { executorEnvironment } from './config.ts';
import { Contact } from './contact.ts';
import { ControlPlaneClient } from './control-plane-client.ts';
import { CredentialKey } from './credential-key.ts';
import type { HostOptions, NodeParts, Situation } from './node-life.ts';
import { NodeIdentity } from './node-identity.ts';
import type { NodeState, Registration } from './node-state.ts';
import { ReportOutbox } from './report-outbox.ts';
import { createStoreBinding } from './store-binding.ts';
import { rememberVerified } from './verified-jobs.ts';

/** Of executors: control comes before copying (DESIGN-RULES 23). */
const executorNiceness = 10;

/** The part of this machine that the limits are computed from. In a container both are the container's. */
export function machineSize(): MachineSize {
  return { cores: availableParallelism(), memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity) };
}

export async function buildParts(
  options: HostOptions, { state, registration, meter }: { state: NodeState; registration: Registration; meter: PrometheusMeter },
): Promise<NodeParts> {
  const { config, clock, random, logger } = options;
  const { endpoint, caPem, nodeToken, nodeId, nodeName, gatewayId, queueName, signingKey } = registration;
  const unregistered = Promise.withResolvers<void>();
  const client = new ControlPlaneClient({ endpoint, caPem, token: new Secret(nodeToken), clock });
  const outbox = new ReportOutbox({ client, state, clock, random, logger });
  const contact = new Contact({ logger, onRestored: () => outbox.contactRestored(), onUnregistered: () => unregistered.resolve() });
  const identity = await NodeIdentity.open(state);
  const credentialKey = await CredentialKey.open({
    state, gatewayKeyId: registration.credentialKeyId, identityKeyPem: identity.keyPem, clock, logger,
  });
  const situation: Situation = {
    desiredVersion: 0, stores: [], stage: 'initializing', stageReason: '', stopping: false, address: '', diskTrouble: undefined,
  };
  const verify = rememberVerified((signedJob) => verifyJob(signedJob, { signingKey, gatewayId, wallMs: clock.wallMs() }), clock);
  const worker = buildWorker(options, { state, registration, meter, verify, credentialKey, situation, client });
  const mesh = new Mesh({
    gatewayId, nodeId, nodeName, encryption: config.encryption,
    identity: { keyPem: identity.keyPem, certificatePem: registration.certificate.certificatePem, caPem: registration.certificate.caPem },
    listen: listenPlace(config),
    self: () => view.facts(),
    worker, readJob: verify,
    credentialKey: { give: (asker) => credentialKey.give(asker) },
    clock, random, logger, meter,
  });
  const { ledger, leaseStore, queue } = buildStores(options, { gatewayId, queueName, meter });
  // The view is asked already while these two are made.
  const leading: { lease?: LeaseKeeper; epoch?: Epoch | undefined } = {};
  const view = new ClusterView({
    nodeId, nodeName, clock,
    facts: createFacts(options, registration, { worker, queue, contact, credentialKey, situation, lease: () => leading.lease }),
    peers: () => mesh.peers(),
    // Asked with every look at a node: the dispatcher's own status would count all its jobs each time.
    leadingEpoch: () => leading.epoch && formatEpoch(leading.epoch),
    leaseHolder: () => leading.lease?.leader,
  });
  const lease = leading.lease = new LeaseKeeper({
    store: leaseStore, clock, random, logger, meter, nodeId, address: () => situation.address,
    settings: leaseSettings({ leaseMs: config.leaseMs, renewMs: config.renewMs }),
    standing: () => view.standing(),
    onRelease: (successor) => mesh.goodbye(successor),
  });
  const dispatcher = createDispatcher({
    queue, ledger, workers: mesh.workers, reports: outbox, verify, epochs: lease,
    statusOf: (id) => view.statusOf(id), obeyed: () => worker.promised,
    onLeading: (epoch) => void (leading.epoch = epoch),
    clock, random, logger, meter, nodeId, nodeName,
  });
  return {
    client, outbox, contact, ledger, leaseStore, lease, queue, worker, mesh, dispatcher, view, identity, credentialKey, situation,
    unregistered: unregistered.promise,
  };
}

function buildStores(
  { config, clock, random, logger }: HostOptions,
  { gatewayId, queueName, meter }: { gatewayId: string; queueName: string; meter: PrometheusMeter },
): Pick<NodeParts, 'ledger' | 'leaseStore' | 'queue'> {
  if (config.redis.length === 0) throw missing('DMG_REDIS', 'the URL of the Redis that the nodes of this gateway share');
  if (config.serviceBus === undefined) throw missing('DMG_SERVICE_BUS', 'the connection string of the Service Bus namespace');
  const masters = { masters: config.redis, gatewayId, clock, random, logger, commandTimeoutMs: config.leaseMs / 4 };
  return {
    ledger: new RedisLedger(masters),
    leaseStore: new RedisLeaseStore({ ...masters, leaseMs: config.leaseMs }),
    queue: new ServiceBusJobQueue({ connection: { connectionString: config.serviceBus }, queueName, clock, logger, meter }),
  };
}

interface WorkerParts extends Pick<NodeParts, 'credentialKey' | 'situation' | 'client'> {
  readonly state: NodeState;
  readonly registration: Registration;
  readonly meter: PrometheusMeter;
  readonly verify: (signedJob: string) => Promise<Job>;
}

function buildWorker(options: HostOptions, parts: WorkerParts): LocalWorker {
  const { config, clock, random, logger } = options;
  const { state, registration, meter, verify, credentialKey, situation, client } = parts;
  const boundElsewhere = createStoreBinding({
    claims: () => situation.stores, claim: (claim) => client.claimStore(claim), logger, clock,
  });
  return new LocalWorker({
    nodeId: registration.nodeId, nodeName: registration.nodeName,
    executorModule: fileURLToPath(new URL('./executor.ts', import.meta.url)),
    executorEnvironment: executorEnvironment(config),
    executorNiceness,
    takeExecutorLine: (line) => void process.stderr.write(`${line}\n`),
    concurrentJobsLimit: Math.min(registration.concurrentJobsLimit, maximumConcurrentJobs(machineSize())),
    runDirectory: state.runFolder,
    // A job that is not signed for us is refused, not an error of ours.
    verify: (signedJob) => verify(signedJob).catch(() => undefined),
    executorCounters: Object.values(engineMetrics),
    ineligible: async (job) => situation.diskTrouble ?? credentialKey.ineligible(job) ?? await boundElsewhere(job),
    clock, random, logger, meter,
  });
}

interface FactParts extends Pick<NodeParts, 'worker' | 'queue' | 'contact' | 'credentialKey' | 'situation'> {
  /** Undefined while it is being made. */
  readonly lease: () => LeaseKeeper | undefined;
}

function createFacts(
  { config, version, random }: HostOptions, registration: Registration, parts: FactParts,
): () => Omit<NodeFacts, 'dispatcher'> {
  const { nodeId, nodeName, certificate } = registration;
  const bootId = newId(random);
  const agreed = agreedConfiguration(config.encryption, certificate.caPem, protocolVersion);
  const maximum = maximumConcurrentJobs(machineSize());
  return () => ({
    nodeId, nodeName, bootId, version, protocol: protocolVersion, address: parts.situation.address,
    configDigest: agreed.digest, config: agreed.words,
    stage: parts.situation.stage, stageReason: parts.situation.stageReason,
    slots: { ...parts.worker.slots, maximum },
    draining: parts.situation.stopping || parts.worker.draining,
    // What it is winding up is no trouble.
    troubles: parts.situation.stopping ? [] : troublesOf(parts),
  });
}

function troublesOf({ queue, contact, credentialKey, situation, lease }: FactParts): readonly NodeTrouble[] {
  const redis = lease()?.redisTrouble;
  const found: readonly (readonly [NodeTrouble['part'], string | undefined])[] = [
    ['queue', queue.state().trouble], ['controlPlane', contact.trouble], ['credentialKey', credentialKey.trouble],
    ['disk', situation.diskTrouble],
  ];
  const others = found.flatMap(([part, reason]) => (reason === undefined ? [] : [{ part, reason }]));
  return redis === undefined ? others : [redis, ...others];
}

/** The epoch under which this node leads now; undefined when it does not. */
export function leadingEpoch(dispatcher: Dispatcher): string | undefined {
  const { state, epoch } = dispatcher.status();
  return state === 'leading' ? epoch : undefined;
}

function missing(setting: string, what: string): Error {
  return lifecycleErrors.BAD_SETTING.create({ setting, reason: 'it is not set', remedy: `Set ${setting} to ${what}.` });
}
