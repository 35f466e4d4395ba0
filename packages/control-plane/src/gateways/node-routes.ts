import type { Logger, Meter } from '@dmg/base';
import type { AliveAnswer, AliveReport, DeadLetterReport, JobReport } from '@dmg/model';
import { hashToken } from '@dmg/security';
import type { FastifyRequest } from 'fastify';
import type { Db } from '../database/open-database.ts';
import type { GatewayRow, NodeRow } from '../database/schema.ts';
import type { JobBuilder } from '../dispatch/job-builder.ts';
import type { JobWatch } from '../dispatch/job-watch.ts';
import type { OutboxLoop } from '../dispatch/outbox-loop.ts';
import { controlPlaneErrors } from '../errors.ts';
import { deadLettersTotal, longPollsActive } from '../metrics.ts';
import { type App, bearerToken } from '../rest/app.ts';
import type { RunTracker } from '../tracking/run-tracker.ts';
import type { NodeCertificates } from './certificates.ts';
import type { DesiredStates } from './desired-state.ts';
import type { GatewayStore } from './gateway-store.ts';
import {
  readAlive, readCertificateRequest, readDeadLetters, readRegister, readReports, readStoreClaim,
} from './node-messages-schema.ts';
import type { NodeJudge } from './node-status.ts';
import type { PresenceBoard } from './presence.ts';
import type { Registration } from './registration.ts';
import { rosterOf } from './roster.ts';
import type { StoreBook } from './stores.ts';

export interface NodeRoutesOptions {
  readonly db: Db;
  readonly gateways: GatewayStore;
  readonly registration: Registration;
  readonly certificates: NodeCertificates;
  readonly stores: StoreBook;
  readonly judge: NodeJudge;
  readonly presence: PresenceBoard;
  readonly desired: DesiredStates;
  readonly tracker: RunTracker;
  readonly watch: JobWatch;
  readonly builder: JobBuilder;
  readonly outbox: OutboxLoop;
  readonly logger: Logger;
  readonly meter: Meter;
}

interface Caller {
  readonly node: NodeRow;
  readonly gateway: GatewayRow;
  readonly tokenHash: string;
}

/** What nodes call, outbound from them: `@dmg/model`, node-messages.ts. All but `register` need the node's token. */
export function addNodeRoutes(app: App, options: NodeRoutesOptions): void {
  const { registration, desired, builder, outbox } = options;
  app.post('/gateway/v1/register', async (request) => {
    const answer = await registration.register(readRegister(request.body));
    outbox.wake();
    desired.changed(answer.gatewayId);
    return answer;
  });
  app.post('/gateway/v1/certificate', async (request) => {
    const { node } = await callerOf(options, request);
    return options.certificates.issue(options.db, node, readCertificateRequest(request.body).certificateRequest);
  });
  app.post('/gateway/v1/stores', async (request) => {
    const { node, gateway } = await callerOf(options, request);
    const { storeId, isNew } = await options.stores.claim({ gatewayId: gateway.id, nodeId: node.id }, readStoreClaim(request.body));
    if (isNew) desired.changed(gateway.id);
    return { storeId };
  });
  app.post('/gateway/v1/alive', async (request) => takeAlive(options, await callerOf(options, request), readAlive(request.body)));
  app.post('/gateway/v1/reports', async (request) => {
    const { gateway } = await callerOf(options, request);
    const results = [];
    for (const report of readReports(request.body)) results.push(await takeReport(options, gateway, report));
    return { results };
  });
  app.post('/gateway/v1/dead-letters', async (request) => {
    const { gateway } = await callerOf(options, request);
    for (const deadLetter of readDeadLetters(request.body)) await takeDeadLetter(options, gateway, deadLetter);
    return {};
  });
  app.get<{ Querystring: { known?: string } }>('/gateway/v1/desired-state', async (request, reply) => {
    const { node, gateway, tokenHash } = await callerOf(options, request);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    options.meter.set(longPollsActive, desired.waiting + 1);
    const known = Number(request.query.known ?? 0);
    const jws = await desired.poll({ gatewayId: gateway.id, nodeId: node.id, tokenHash, known, signal: gone.signal });
    options.meter.set(longPollsActive, desired.waiting);
    return { jws };
  });
  app.get<{ Params: { jobId: string } }>('/gateway/v1/jobs/:jobId', async (request) => {
    const { gateway } = await callerOf(options, request);
    const job = await builder.build(request.params.jobId, gateway.id);
    if (job === undefined) throw controlPlaneErrors.NOT_FOUND.create({ what: 'the job', name: request.params.jobId });
    return { jws: job.jws };
  });
}

async function callerOf({ gateways }: NodeRoutesOptions, request: FastifyRequest): Promise<Caller> {
  const token = bearerToken(request);
  const tokenHash = token === undefined ? undefined : hashToken(token);
  const found = tokenHash === undefined ? undefined : await gateways.nodeByToken(tokenHash);
  if (found === undefined || tokenHash === undefined) throw controlPlaneErrors.NODE_NOT_REGISTERED.create();
  return { ...found, tokenHash };
}

/** What the node says of itself is taken under the name and id of its token; what the others must know of it is handed on. */
async function takeAlive(options: NodeRoutesOptions, { node, gateway }: Caller, received: AliveReport): Promise<AliveAnswer> {
  const { gateways, presence, desired, watch, judge, logger } = options;
  const report: AliveReport = { ...received, facts: { ...received.facts, nodeId: node.id, nodeName: node.name } };
  await presence.note(node, report);
  await watch.alive(gateway.id, node.name, report);
  const { address } = report.facts;
  // A node that starts anew has no address for a moment; the others keep the one they know.
  const isMoved = address !== '' && address !== node.address;
  if (isMoved) await gateways.setAddress(node, address);
  const decided = report.dispatcher?.leading === true ? report.dispatcher.decision : undefined;
  const isDecided = decided !== undefined && (await gateways.keepDecision(gateway.id, decided));
  if (isDecided) logger.info({ gateway: gateway.name, node: node.name, decision: { ...decided } }, 'decision of the dispatcher kept');
  if (isMoved || isDecided) desired.changed(gateway.id);
  const nodes = await gateways.nodes(gateway.id);
  const judgement = judge.judgementFor(isDecided ? { ...gateway, decision: JSON.stringify(decided) } : gateway, nodes, node.id);
  if (judgement === undefined) throw controlPlaneErrors.NODE_NOT_REGISTERED.create();
  return { judgement, roster: rosterOf(nodes, presence) };
}

/** Idempotent: the first end counts, and every repetition is acknowledged. A job that is not known here is acknowledged too. */
async function takeReport(
  { db, tracker, logger }: NodeRoutesOptions, gateway: GatewayRow, report: JobReport,
): Promise<Record<string, unknown>> {
  const { jobId, tryNumber, nodeName } = report;
  const row = await db
    .selectFrom('activity_runs')
    .select(['run_id', 'name'])
    .where('job_id', '=', jobId)
    .where('gateway_id', '=', gateway.id)
    .executeTakeFirst();
  if (row === undefined) {
    logger.warn({ jobId, nodeName, gateway: gateway.name }, 'end of an unknown job reported');
    return { jobId, accepted: false, note: 'No such job is known for this gateway.' };
  }
  const verdict = await tracker.apply(row.run_id, { type: 'reported', activity: row.name, tryNumber, outcome: report.outcome }, { report });
  logger.info(
    { jobId, runId: row.run_id, activity: row.name, tryNumber, nodeName, outcome: report.outcome.kind, verdict }, 'end of a try reported',
  );
  return {
    jobId,
    accepted: verdict === 'changed',
    ...(verdict === 'late' ? { note: 'The run had ended already; this success is kept as a note.' } : {}),
  };
}

/** A message id is `<jobId>.<send>`. Only the message that was sent last says something about the job. */
async function takeDeadLetter(
  { db, tracker, logger, meter }: NodeRoutesOptions, gateway: GatewayRow, report: DeadLetterReport,
): Promise<void> {
  const { messageId, reason, description, deliveryCount } = report;
  meter.add(deadLettersTotal, 1);
  const [jobId = '', send = ''] = messageId.split('.');
  const row = await db
    .selectFrom('activity_runs')
    .leftJoin('outbox', 'outbox.job_id', 'activity_runs.job_id')
    .select(['run_id', 'name', 'sends', 'dead_letters', 'outbox.job_id as outbox_job_id', 'outbox.message_id'])
    .where('activity_runs.job_id', '=', jobId)
    .where('activity_runs.gateway_id', '=', gateway.id)
    .executeTakeFirst();
  logger.warn(
    { gateway: gateway.name, messageId, reason, description, deliveryCount, known: row !== undefined }, 'the queue gave a message up',
  );
  if (row === undefined || Number(send) !== row.sends) return;
  if (row.outbox_job_id !== null && row.message_id !== messageId) return; // Already to be sent again.
  const poison = controlPlaneErrors.POISON_MESSAGE.create({
    count: row.dead_letters + 1, reason: reason === '' ? 'no stated reason' : reason,
  }).toFault();
  await tracker.apply(row.run_id, { type: 'deadLettered', activity: row.name, poison });
}
