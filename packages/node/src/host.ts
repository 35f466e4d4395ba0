import { firstLine, isDmgError, sleep, withDeadline } from '@dmg/base';
import { checkLeaseSettings, leaseSettings } from '@dmg/core';
import type { RunningRoot } from '@dmg/lifecycle';
import { createMeter, startMetricsServer } from '@dmg/telemetry';
import { defaultConcurrentJobsLimit } from '@dmg/worker';
import { nodeErrors } from './errors.ts';
import type { HostOptions, Life } from './node-life.ts';
import { applyKept, createCollector, liveness, readiness, startLoops } from './node-loops.ts';
import { buildParts, machineSize } from './node-parts.ts';
import { NodeState } from './node-state.ts';
import { ensureRegistration } from './registration.ts';
import { lockStateFolder } from './state-lock.ts';

/** How long the start waits for the first desired state. */
const firstDesiredStateMs = 2000;
/** How long the end waits for a control plane that may be away. */
const lastReportMs = 1000;

/** Starts the node: worker, streams, candidate for the lease, contact with the control plane, metrics. Copies run in executors. */
export async function startHost(options: HostOptions, stopRequested: AbortSignal): Promise<RunningRoot> {
  const { config, clock, logger } = options;
  const state = await NodeState.open(config.stateFolder);
  const lock = await lockStateFolder(config.stateFolder);
  const registration = await ensureRegistration({
    state, key: config.gatewayKey, nodeName: config.nodeName, sharesMachine: config.sharesMachine,
    defaultConcurrentJobsLimit: defaultConcurrentJobsLimit(machineSize()), version: options.version, clock, logger, signal: stopRequested,
  });
  if (registration.nodeName !== config.nodeName) {
    logger.warn({ name: registration.nodeName, asked: config.nodeName }, 'node keeps the name it registered with');
  }
  const meter = createMeter();
  const parts = await buildParts(options, { state, registration, meter });
  const life: Life = { options, state, registration, parts, meter, stopping: new AbortController(), ordered: Promise.withResolvers() };
  const loops: Promise<void>[] = [];
  try {
    await startParts(life, loops, stopRequested);
  } catch (error) {
    await sayWhyNotStarted(life, error);
    throw error;
  }
  const metrics = await startMetricsServer({
    host: config.metricsHost, port: config.metricsPort, meter,
    live: () => liveness(parts),
    ready: () => readiness(parts),
  });
  const { nodeName, gatewayName } = registration;
  // Its jobs are the others' as soon as it is no member any more, so nothing is waited for then.
  let { drainGraceMs } = config;
  const ended = parts.unregistered.then(() => {
    drainGraceMs = 0;
    return nodeErrors.REGISTRATION_REFUSED.create({ nodeName, gatewayName });
  });
  parts.worker.measureFromNow();
  logger.info({ node: nodeName, gateway: gatewayName, limit: parts.worker.slots.limit, address: parts.situation.address }, 'node started');
  return {
    ready: {
      name: nodeName, gateway: gatewayName, pid: process.pid, address: parts.situation.address, metrics: `${metrics.url}/metrics`,
    },
    ended,
    async stop() {
      await stopParts(life, loops, drainGraceMs);
      await metrics.close();
      parts.client.close();
      await lock.release();
    },
  };
}

async function startParts(life: Life, loops: Promise<void>[], stopRequested: AbortSignal): Promise<void> {
  const { options, parts, ordered } = life;
  const { clock, logger } = options;
  const { worker, mesh, outbox, lease, dispatcher, situation } = parts;
  await refuseUnsafe(life);
  await worker.start();
  situation.address = (await mesh.start()).address;
  const keptReports = await outbox.resume();
  if (keptReports > 0) logger.info({ keptReports }, 'kept reports are delivered');
  await applyKept(life);
  loops.push(...startLoops(life));
  mesh.onUp(() => parts.credentialKey.askAgain());
  mesh.onGone(({ nodeId, refused }) => void (refused && lease.leaderGone(nodeId)));
  mesh.onGoodbye(({ successor }) => {
    if (successor === life.registration.nodeId) lease.invited();
    else if (successor !== undefined) lease.othersInvited();
  });
  // What was cancelled must be known before a job that an old ledger remembers is placed; without a control plane work goes on.
  await Promise.race([ordered.promise, sleep(clock, firstDesiredStateMs, stopRequested).catch(() => undefined)]);
  situation.stage = 'running';
  mesh.announce();
  lease.start();
  dispatcher.start();
  // Until it has come this node takes few jobs or none; that it is here now the dispatcher must know at once.
  loops.push(parts.credentialKey.obtain(() => mesh.fetchCredentialKey(), life.stopping.signal).then(() => mesh.announce()));
}

/** Settings and a Redis with which a dispatcher could not keep its promises (DESIGN-RULES 26). One that is away is no reason. */
async function refuseUnsafe({ options, parts: { leaseStore } }: Life): Promise<void> {
  const { config, logger } = options;
  const settings = leaseSettings({ leaseMs: config.leaseMs, renewMs: config.renewMs });
  try {
    for (const warning of await leaseStore.check()) logger.warn({ code: warning.code, fix: warning.fix }, warning.message);
    checkLeaseSettings(settings, await leaseStore.measureRoundTripMs());
  } catch (error) {
    if (!isDmgError(error) || error.category !== 'transient') throw error;
    logger.warn({ code: error.code, reason: error.message }, 'redis could not be checked');
    checkLeaseSettings(settings);
  }
}

/** The control plane shows it as InitializeFailed until it is started again. */
async function sayWhyNotStarted(life: Life, error: unknown): Promise<void> {
  const { situation, mesh } = life.parts;
  situation.stage = 'initializeFailed';
  situation.stageReason = firstLine(error);
  await sayLast(life);
  mesh.close().catch(() => undefined);
}

/** One report more before the end: else the control plane would take this node for what it was until it has been silent for long. */
async function sayLast({ options, parts }: Life): Promise<void> {
  const { clock, logger } = options;
  const collect = createCollector(options, parts);
  try {
    await withDeadline({ clock, limitMs: lastReportMs, what: 'tell the control plane how this node ends' }, async () => {
      await parts.client.alive(await collect());
    });
  } catch (error) {
    logger.debug({ reason: firstLine(error) }, 'control plane not told how the node ends');
  }
}

/** Hands over first and stops after it: a clean stop costs the gateway nothing. */
async function stopParts(life: Life, loops: readonly Promise<void>[], drainGraceMs: number): Promise<void> {
  const { parts, stopping } = life;
  const { worker, mesh, dispatcher, lease, outbox, ledger, leaseStore, situation, view } = parts;
  situation.stopping = true;
  mesh.announce();
  const successor = view.successor();
  if (successor === undefined) {
    // Nobody takes over: ends are still taken and written while running copies stop, so that the ledger says which jobs wait for the
    // next start.
    await worker.drain(drainGraceMs);
    await dispatcher.stop();
    await lease.stop();
  } else {
    const drained = worker.drain(drainGraceMs);
    await dispatcher.stop(successor);
    await lease.stop(successor);
    await drained;
  }
  stopping.abort();
  await sayLast(life);
  outbox.stop();
  await Promise.all(loops);
  await dispatcher.close();
  await worker.close();
  await mesh.close();
  await ledger.close();
  await leaseStore.close();
}
