import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Clock, type Logger, newId, type Random, Secret, sleep } from '@dmg/base';
import { createDispatcher, type Dispatcher } from '@dmg/dispatcher';
import { lifecycleErrors, type RunningRoot } from '@dmg/lifecycle';
import type { AliveReport, DesiredState } from '@dmg/model';
import { RedisLedger } from '@dmg/redis';
import { verifyDesiredState, verifyJob } from '@dmg/security';
import { ServiceBusJobQueue } from '@dmg/service-bus';
import { createMeter, type Health, type PrometheusMeter, startMetricsServer } from '@dmg/telemetry';
import { LocalWorker, maximumConcurrentJobs } from '@dmg/worker';
import { executorEnvironment, type NodeConfig } from './config.ts';
import { aliveLoop, Contact, desiredStateLoop } from './contact.ts';
import { ControlPlaneClient } from './control-plane-client.ts';
import { machineSample, readMachineCounters } from './machine-sample.ts';
import { NodeState, type Registration } from './node-state.ts';
import { ensureRegistration } from './registration.ts';
import { ReportOutbox } from './report-outbox.ts';
import { lockStateFolder } from './state-lock.ts';

export interface HostOptions {
  readonly config: NodeConfig;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const aliveTimes = { idleMs: 5000, busyMs: 1000, lookMs: 250 };
/** How long the start waits for the first desired state. */
const firstDesiredStateMs = 2000;
/** What running copies get to stop in order; their sinks stay open and they go on after the restart. */
const drainGraceMs = 1000;

/** Starts the node: worker, dispatcher, contact with the control plane, metrics. Control only; copies run in executors. */
export async function startHost(options: HostOptions, stopRequested: AbortSignal): Promise<RunningRoot> {
  const { config, clock, logger } = options;
  const state = await NodeState.open(config.stateFolder);
  const lock = await lockStateFolder(config.stateFolder);
  const registration = await ensureRegistration({
    state, key: config.gatewayKey, nodeName: config.nodeName, version: options.version, clock, logger, signal: stopRequested,
  });
  if (registration.nodeName !== config.nodeName) {
    logger.warn({ name: registration.nodeName, asked: config.nodeName }, 'node keeps the name it registered with');
  }
  const meter = createMeter();
  const parts = buildParts(options, state, registration, meter);
  const { worker, dispatcher, outbox, client } = parts;
  await worker.start();
  const keptReports = await outbox.resume();
  if (keptReports > 0) logger.info({ keptReports }, 'kept reports are delivered');
  const stopping = new AbortController();
  const loops = startLoops(options, registration, parts, stopping.signal);
  // What was cancelled must be known before a job that an old ledger remembers is placed; without a control plane work goes on.
  await Promise.race([parts.applied.first, sleep(clock, firstDesiredStateMs, stopRequested).catch(() => undefined)]);
  dispatcher.start();
  const metrics = await startMetricsServer({
    host: config.metricsHost, port: config.metricsPort, meter,
    live: () => ({ ok: true, evidence: 'the host answers' }),
    ready: () => readiness(parts),
  });
  logger.info({ node: registration.nodeName, gateway: registration.gatewayName, limit: worker.slots.limit }, 'node started');
  return {
    ready: { name: registration.nodeName, gateway: registration.gatewayName, pid: process.pid, metrics: `${metrics.url}/metrics` },
    async stop() {
      // Ends are still taken and written while running copies stop, so that the ledger says which jobs wait for the next start.
      await worker.drain(drainGraceMs);
      await dispatcher.stop();
      stopping.abort();
      outbox.stop();
      await Promise.all(loops);
      await dispatcher.close();
      await worker.close();
      await parts.ledger.close();
      await metrics.close();
      client.close();
      await lock.release();
    },
  };
}

interface Parts {
  readonly client: ControlPlaneClient;
  readonly outbox: ReportOutbox;
  readonly contact: Contact;
  readonly ledger: RedisLedger;
  readonly queue: ServiceBusJobQueue;
  readonly worker: LocalWorker;
  readonly dispatcher: Dispatcher;
  /** The largest limit that this machine takes. */
  readonly maximumJobs: number;
  /** Version of the desired state that was applied last. */
  readonly applied: { version: number; readonly first: Promise<void>; readonly isFirst: () => void };
}

function buildParts(options: HostOptions, state: NodeState, registration: Registration, meter: PrometheusMeter): Parts {
  const { config, clock, random, logger } = options;
  if (config.redis === undefined) throw missing('DMG_REDIS', 'the URL of the Redis that the nodes of this gateway share');
  if (config.serviceBus === undefined) throw missing('DMG_SERVICE_BUS', 'the connection string of the Service Bus namespace');
  const { endpoint, caPem, nodeToken, nodeId, nodeName, gatewayId, queueName, signingKey } = registration;
  const client = new ControlPlaneClient({ endpoint, caPem, token: new Secret(nodeToken), clock });
  const outbox = new ReportOutbox({ client, state, clock, random, logger });
  const contact = new Contact({ logger, onRestored: () => outbox.contactRestored() });
  const ledger = new RedisLedger({ url: config.redis, gatewayId, clock, random, logger });
  const queue = new ServiceBusJobQueue({ connection: { connectionString: config.serviceBus }, queueName, clock, logger, meter });
  const verify = (signedJob: string) => verifyJob(signedJob, { signingKey, gatewayId, wallMs: clock.wallMs() });
  const first = Promise.withResolvers<void>();
  const machine = { cores: availableParallelism(), memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity) };
  const worker = new LocalWorker({
    nodeId, nodeName,
    executorModule: fileURLToPath(new URL('./executor.ts', import.meta.url)),
    executorEnvironment: executorEnvironment(config),
    takeExecutorLine: (line) => void process.stderr.write(`${line}\n`),
    concurrentJobsLimit: registration.concurrentJobsLimit,
    runDirectory: state.runFolder,
    // A job that is not signed for us is refused, not an error of ours.
    verify: (signedJob) => verify(signedJob).catch(() => undefined),
    clock, random, logger, meter,
  });
  const dispatcher = createDispatcher({
    queue, ledger, workers: [worker], reports: outbox, verify, clock, random, logger, meter, nodeId, nodeName, address: nodeName,
  });
  const applied = { version: 0, first: first.promise, isFirst: first.resolve };
  return { client, outbox, contact, ledger, queue, worker, dispatcher, maximumJobs: maximumConcurrentJobs(machine), applied };
}

function missing(setting: string, what: string): Error {
  return lifecycleErrors.BAD_SETTING.create({ setting, reason: 'it is not set', remedy: `Set ${setting} to ${what}.` });
}

function startLoops(options: HostOptions, registration: Registration, parts: Parts, signal: AbortSignal): Promise<void>[] {
  const { clock, random, logger } = options;
  const { client, contact } = parts;
  const { signingKey, gatewayId, nodeId } = registration;
  return [
    aliveLoop({
      client, contact, clock, times: aliveTimes, signal,
      collect: createCollector(options, registration, parts),
      situation: () => situationOf(parts),
    }),
    desiredStateLoop({
      client, contact, clock, random, logger, signal,
      verify: (jws) => verifyDesiredState(jws, { signingKey, gatewayId, nodeId }),
      apply: (desired) => applyDesiredState(desired, parts),
    }),
  ];
}

/** Idempotent: the whole document, again and again (DESIGN-RULES 21). */
function applyDesiredState(desired: DesiredState, parts: Parts): void {
  const { worker, dispatcher } = parts;
  parts.applied.version = desired.version;
  worker.setLimit(Math.min(desired.concurrentJobsLimit, parts.maximumJobs));
  for (const jobId of desired.cancel) {
    dispatcher.cancelJob(jobId);
    worker.cancelJob(jobId);
  }
  parts.applied.isFirst();
}

function createCollector(options: HostOptions, registration: Registration, parts: Parts): () => Promise<AliveReport> {
  const bootId = newId(options.random);
  let before = readMachineCounters();
  return async () => {
    const after = await readMachineCounters();
    const metrics = machineSample(await before, after);
    before = Promise.resolve(after);
    const { worker, dispatcher } = parts;
    return {
      nodeName: registration.nodeName,
      version: options.version,
      bootId,
      desiredVersion: parts.applied.version,
      running: worker.running().map(({ jobId, tryNumber, attemptId, progress }) => ({
        jobId, tryNumber, attemptId, ...(progress === undefined ? {} : { progress }),
      })),
      slots: { ...worker.slots, maximum: parts.maximumJobs },
      metrics,
      ...dispatcherPart(dispatcher),
      troubles: troublesOf(parts),
    };
  };
}

function situationOf(parts: Parts): { text: string; busy: boolean } {
  const running = parts.worker.running().map(({ attemptId }) => attemptId);
  const { epoch, waiting } = parts.dispatcher.report() ?? {};
  return { text: JSON.stringify([running, troublesOf(parts), parts.worker.slots.limit, epoch, waiting?.length]), busy: running.length > 0 };
}

function dispatcherPart(dispatcher: Dispatcher): Pick<AliveReport, 'dispatcher'> {
  const report = dispatcher.report();
  return report === undefined ? {} : { dispatcher: report };
}

function troublesOf(parts: Parts): { part: string; reason: string }[] {
  const queueTrouble = parts.queue.state().trouble;
  const ledgerTrouble = parts.dispatcher.trouble;
  return [
    ...(queueTrouble === undefined ? [] : [{ part: 'queue', reason: queueTrouble }]),
    ...(ledgerTrouble === undefined ? [] : [{ part: 'redis', reason: ledgerTrouble }]),
  ];
}

function readiness(parts: Parts): Health {
  const troubles = troublesOf(parts).map(({ part, reason }) => `${part}: ${reason}`);
  if (parts.contact.trouble !== undefined) troubles.push(`control plane: ${parts.contact.trouble}`);
  return troubles.length === 0 ? { ok: true, evidence: 'takes work' } : { ok: false, evidence: troubles.join('; ') };
}
