import { firstLine } from '@dmg/base';
import { isolatedAfterMs } from '@dmg/core';
import { type AliveReport, type DesiredState, isAssistStep, type NodeCertificate, nodeStatuses } from '@dmg/model';
import { verifyDesiredState } from '@dmg/security';
import type { Health } from '@dmg/telemetry';
import { maximumConcurrentJobs } from '@dmg/worker';
import { aliveLoop, desiredStateLoop } from './contact.ts';
import { diskTroubleOf } from './disk-space.ts';
import { machineSample, readMachineCounters } from './machine-sample.ts';
import { nodeMetrics } from './metrics.ts';
import { renewalLoop } from './node-identity.ts';
import type { HostOptions, Life, NodeParts } from './node-life.ts';
import { leadingEpoch, machineSize } from './node-parts.ts';

const aliveTimes = { idleMs: 5000, busyMs: 1000, lookMs: 250 };

/** Contact with the control plane, and the certificate's renewal; they end with `life.stopping`. */
export function startLoops(life: Life): Promise<void>[] {
  const { options, state, registration, parts, stopping } = life;
  const { clock, random, logger } = options;
  const { client, contact, view, identity, mesh } = parts;
  const { signal } = stopping;
  const { nodeName } = registration;
  let certificate = registration.certificate;
  let keptVersion: number | undefined;
  const keep = async (renewed: NodeCertificate): Promise<void> => {
    certificate = renewed;
    await state.writeRegistration({ ...registration, certificate });
    mesh.setIdentity({ keyPem: identity.keyPem, ...certificate });
  };
  const announce = announcer(parts);
  return [
    aliveLoop({
      client, contact, clock, times: aliveTimes, signal,
      collect: createCollector(options, parts),
      takeAnswer: (answer) => {
        view.takeAnswer(answer);
        showStatus(life);
      },
      situation: () => {
        if (contact.trouble !== undefined) view.forgetAnswer();
        showStatus(life);
        announce();
        return situationOf(parts);
      },
    }),
    desiredStateLoop({
      client, contact, clock, random, logger, signal,
      verify: (jws) => verify(life, jws),
      apply: async (desired, jws) => {
        applyDesiredState(life, desired);
        life.ordered.resolve();
        if (desired.version === keptVersion) return;
        try {
          await state.writeDesiredState(jws);
          keptVersion = desired.version;
        } catch (error) {
          // A full disk keeps no cancel and no limit from being in force. It is written with the next answer.
          logger.warn({ reason: firstLine(error) }, 'desired state is in force and could not be kept');
        }
      },
    }),
    renewalLoop({
      identity, nodeName, clock, logger, signal, keep, current: () => certificate,
      renew: (certificateRequest) => client.renewCertificate({ certificateRequest }, { signal }),
    }),
  ];
}

/** Tells the other nodes at once what decides where jobs go; a heartbeat later they would still act on what was. */
function announcer({ view, mesh }: NodeParts): () => void {
  let told: string | undefined;
  return () => {
    const { slots, draining, troubles, stage } = view.facts();
    const text = JSON.stringify([slots.limit, draining, troubles.map(({ part }) => part), stage]);
    if (text === told) return;
    told = text;
    mesh.announce();
  };
}

function verify({ registration: { signingKey, gatewayId, nodeId } }: Life, jws: string): Promise<DesiredState> {
  return verifyDesiredState(jws, { signingKey, gatewayId, nodeId });
}

/** Who is a member, and what is decided and bound, is known before the control plane has answered, and without it. */
export async function applyKept(life: Life): Promise<void> {
  const kept = await life.state.readDesiredState();
  if (kept === undefined) return;
  try {
    const { cancel: _old, ...desired } = await verify(life, kept);
    applyDesiredState(life, { ...desired, cancel: [] });
  } catch (error) {
    life.options.logger.warn({ reason: firstLine(error) }, 'kept desired state is not used');
  }
}

/** Idempotent: the whole document, again and again (DESIGN-RULES 21). */
function applyDesiredState({ parts }: Life, desired: DesiredState): void {
  const { worker, dispatcher, mesh, view, situation } = parts;
  situation.desiredVersion = desired.version;
  situation.stores = desired.stores;
  view.applyDesired(desired);
  mesh.setMembers(desired.members);
  worker.setLimit(Math.min(desired.concurrentJobsLimit, maximumConcurrentJobs(machineSize())));
  worker.setDraining(desired.drain);
  for (const jobId of desired.cancel) {
    dispatcher.cancelJob(jobId);
    worker.cancelJob(jobId);
  }
}

/** Collects the node's alive report. */
export function createCollector({ config }: HostOptions, parts: NodeParts): () => Promise<AliveReport> {
  let before = readMachineCounters();
  return async () => {
    const after = await readMachineCounters();
    const metrics = machineSample(await before, after);
    before = Promise.resolve(after);
    const { worker, dispatcher, view, situation } = parts;
    situation.diskTrouble = await diskTroubleOf(config.stateFolder);
    const report = dispatcher.report();
    const decision = view.decision();
    return {
      facts: view.facts(),
      desiredVersion: situation.desiredVersion,
      running: worker.running().map(({ jobId, tryNumber, attemptId, step, progress }) => ({
        jobId, tryNumber, attemptId, ...(isAssistStep(step) ? { assists: step } : {}), ...(progress === undefined ? {} : { progress }),
      })),
      metrics,
      ...(report === undefined ? {} : { dispatcher: { ...report, ...(report.leading && decision !== undefined ? { decision } : {}) } }),
    };
  };
}

/** What a change of makes an alive report due at once; and whether the next one is due soon. */
function situationOf({ worker, view, dispatcher, situation }: NodeParts): { text: string; work: string; busy: boolean } {
  const running = worker.running().map(({ attemptId }) => attemptId);
  const { slots, draining, troubles, stage, dispatcher: sight, address } = view.facts();
  const { waiting, stranded, leading } = dispatcher.report() ?? {};
  const lost = sight === undefined ? undefined : [sight.lostForMs > 0, sight.lostForMs >= isolatedAfterMs];
  const text = JSON.stringify([
    slots.limit, draining, troubles, stage, address, sight?.nodeId, lost, leading, stranded?.length, situation.desiredVersion,
    view.decision(), view.cutOff(),
  ]);
  return { text, work: JSON.stringify([running, waiting?.length]), busy: running.length > 0 || !view.agrees() };
}

function showStatus({ parts: { view }, meter }: Life): void {
  const { status } = view.judgement();
  for (const each of nodeStatuses) meter.set(nodeMetrics.status, each === status ? 1 : 0, { status: each });
}

/** A dispatcher that cannot renew its lease is on its way out, and restarting it helps nobody: the host answers, so it lives. */
export function liveness({ dispatcher }: NodeParts): Health {
  return { ok: true, evidence: `the host answers; dispatcher: ${dispatcher.status().state}` };
}

/** Whether jobs should be expected to run here. */
export function readiness({ view, dispatcher }: NodeParts): Health {
  const { status, evidence } = view.judgement();
  const role = leadingEpoch(dispatcher) === undefined ? 'worker' : 'dispatcher and worker';
  const ok = status === 'Online' || (status === 'Limited' && !view.facts().draining);
  return { ok, evidence: `${status}, ${role}: ${evidence}` };
}
