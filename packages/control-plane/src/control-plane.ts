import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asDmgError, type Clock, firstLine, type Logger, type Meter, type Random, Secret } from '@dmg/base';
import { defaultResendOptions, type JobSender, type ResendOptions } from '@dmg/core';
import type { ConnectorSpec } from '@dmg/model';
import {
  createKeptFileOnce, createSigningKey, ensureServerIdentity, hashToken, loadMasterSecret, type MasterSecret, newToken, readKeptFile,
  type ServerIdentity, type SigningKey, writeKeptFile,
} from '@dmg/security';
import { type Db, openDatabase } from './database/open-database.ts';
import { DefinitionStore } from './definitions/definition-store.ts';
import { FactoryStore } from './definitions/factory-store.ts';
import { JobBuilder } from './dispatch/job-builder.ts';
import { JobWatch } from './dispatch/job-watch.ts';
import { OutboxLoop } from './dispatch/outbox-loop.ts';
import { controlPlaneErrors } from './errors.ts';
import { NodeCertificates } from './gateways/certificates.ts';
import { DesiredStates } from './gateways/desired-state.ts';
import { GatewayStore } from './gateways/gateway-store.ts';
import { addNodeRoutes } from './gateways/node-routes.ts';
import { NodeJudge } from './gateways/node-status.ts';
import { PresenceBoard } from './gateways/presence.ts';
import { Registration } from './gateways/registration.ts';
import { StoreBook } from './gateways/stores.ts';
import { GatewayGauges } from './monitoring/gateway-gauges.ts';
import { GatewayLoads } from './monitoring/gateway-load.ts';
import { PickupDelays } from './monitoring/pickup-delays.ts';
import { choosePort } from './port-choice.ts';
import { type App, createApp, requireApiVersion, requireToken } from './rest/app.ts';
import { addDefinitionRoutes } from './rest/definition-routes.ts';
import { addFactoryRoutes } from './rest/factory-routes.ts';
import { addGatewayRoutes } from './rest/gateway-routes.ts';
import { GatewayViews } from './rest/gateway-views.ts';
import { addRunRoutes } from './rest/run-routes.ts';
import { WaitReasons } from './rest/wait-reasons.ts';
import { RunTracker } from './tracking/run-tracker.ts';

export interface ControlPlaneOptions {
  readonly stateFolder: string;
  readonly host: string;
  /** 0: the port of the last start, else any free one. */
  readonly port: number;
  /** Names and addresses by which nodes and users come; the first one stands in gateway keys. */
  readonly names: readonly string[];
  readonly sender: JobSender;
  readonly specs: readonly ConnectorSpec[];
  readonly masterSecret?: Secret | undefined;
  readonly token?: Secret | undefined;
  readonly resend?: Partial<ResendOptions>;
  readonly timeoutBackstopMs?: number;
  readonly desiredPollMs?: number;
  /** How often the gauges of gateways and nodes are set. */
  readonly monitoringMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

export interface ControlPlane {
  readonly endpoint: string;
  readonly caFile: string;
  readonly caPem: string;
  readonly tokenFile: string;
  /** False when the database does not answer. */
  healthy(): Promise<boolean>;
  close(): Promise<void>;
}

/** Everything that is made once and used by many. */
interface Foundations {
  readonly options: ControlPlaneOptions;
  readonly db: Db;
  readonly master: MasterSecret;
  readonly signingKey: SigningKey;
  readonly identity: ServerIdentity;
  readonly tokenHash: string;
  readonly tokenFile: string;
}

/** Starts the control plane on its state folder. What was accepted before goes on from where it stood. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { stateFolder, names, host, clock } = options;
  await mkdir(stateFolder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw controlPlaneErrors.DATABASE_UNUSABLE.create({ path: stateFolder, reason: firstLine(error) }, { cause: error });
  });
  const db = await openDatabase(join(stateFolder, 'control-plane.db'));
  try {
    const master = await loadMasterSecret({ path: join(stateFolder, 'master-secret'), given: options.masterSecret });
    await requireSameMaster(db, master);
    const certified = isWildcard(host) ? names : [...names, host];
    const identity = await ensureServerIdentity({ folder: stateFolder, names: certified, clock });
    const tokenFile = join(stateFolder, 'token');
    const token = await ensureToken(tokenFile, options.token);
    const foundations: Foundations = {
      options, db, master, identity, tokenFile, tokenHash: hashToken(token), signingKey: await createSigningKey(master),
    };
    return await serve(foundations);
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

async function serve(foundations: Foundations): Promise<ControlPlane> {
  const { options, db, identity, tokenFile } = foundations;
  const { logger, clock, random, meter, host, stateFolder } = options;
  const app = createApp({ keyPem: identity.keyPem, chainPem: identity.chainPem, clock, random, logger, meter });
  const portFile = join(stateFolder, 'port');
  // Gateway keys carry the port, so it is chosen before the routes are made; requests are answered only once they are all there.
  const port = await choosePort(options.host, options.port, portFile, logger);
  const advertised = options.names[0] ?? (isWildcard(host) ? '127.0.0.1' : host);
  const parts = assemble(foundations, `${bracketed(advertised)}:${port}`);
  await parts.presence.start();
  await parts.watch.start();
  addRoutes(app, foundations, parts, `${bracketed(advertised)}:${port}`);
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw controlPlaneErrors.PORT_UNUSABLE.create({ host, port, reason: firstLine(error) }, { cause: error });
  }
  const stopping = new AbortController();
  const loops = [parts.outbox.run(stopping.signal), parts.watch.run(stopping.signal), parts.gauges.run(stopping.signal)];
  for (const loop of loops) loop.catch((error: unknown) => logger.error({ error: asDmgError(error) }, 'a loop of the control plane ended'));
  parts.outbox.wake();
  return {
    endpoint: `https://${bracketed(isWildcard(host) ? '127.0.0.1' : host)}:${port}`,
    caFile: identity.caFile,
    caPem: identity.caPem,
    tokenFile,
    healthy: () => isHealthy(db),
    async close() {
      stopping.abort();
      parts.desired.close();
      // A client that does not finish its request must not hold us.
      const cut = clock.after(3000, () => app.server.closeAllConnections());
      await app.close();
      cut.cancel();
      await Promise.allSettled(loops);
      await options.sender.close();
      await db.destroy();
    },
  };
}

interface Parts {
  readonly factories: FactoryStore;
  readonly definitions: DefinitionStore;
  readonly gateways: GatewayStore;
  readonly registration: Registration;
  readonly certificates: NodeCertificates;
  readonly stores: StoreBook;
  readonly presence: PresenceBoard;
  readonly desired: DesiredStates;
  readonly tracker: RunTracker;
  readonly watch: JobWatch;
  readonly builder: JobBuilder;
  readonly outbox: OutboxLoop;
  readonly judge: NodeJudge;
  readonly views: GatewayViews;
  readonly gauges: GatewayGauges;
  readonly waitReasons: WaitReasons;
}

function assemble({ options, db, master, signingKey }: Foundations, serviceHost: string): Parts {
  const { clock, random, logger, meter, sender, specs } = options;
  const gateways = new GatewayStore({ db, clock, random, master });
  const presence = new PresenceBoard({ db, clock });
  const certificates = new NodeCertificates({ master, clock });
  const desired = new DesiredStates({
    db, clock, signingKey, ...(options.desiredPollMs === undefined ? {} : { pollMs: options.desiredPollMs }),
  });
  const tracker = new RunTracker({ db, clock, logger, meter });
  const resend = { ...defaultResendOptions, ...options.resend };
  const delays = new PickupDelays({ clock });
  const watch = new JobWatch({ tracker, delays, clock, logger, meter, resend, timeoutBackstopMs: options.timeoutBackstopMs ?? 60_000 });
  const builder = new JobBuilder({ db, master, signingKey, clock });
  const outbox = new OutboxLoop({
    db, builder, tracker, sender, clock, random, logger, meter, onSent: (jobId, sendNo) => watch.sent(jobId, sendNo),
  });
  const loads = new GatewayLoads({ presence, watch, delays });
  const judge = new NodeJudge({ presence });
  const views = new GatewayViews({ store: gateways, judge, loads, serviceHost });
  const { monitoringMs: everyMs } = options;
  const gauges = new GatewayGauges({ db, views, loads, clock, logger, meter, ...(everyMs === undefined ? {} : { everyMs }) });
  tracker.onChange((change) => {
    if (change.outbox.size > 0) outbox.wake();
    for (const gatewayId of change.desired) desired.changed(gatewayId);
  });
  return {
    factories: new FactoryStore({ db, clock, random }),
    definitions: new DefinitionStore({ db, clock, master, specs }),
    registration: new Registration({ db, clock, random, logger, signingKey, presence, certificates }),
    stores: new StoreBook({ db }),
    waitReasons: new WaitReasons({
      db, clock, gateways: views, queueTrouble: (gatewayId) => outbox.troubleOf(gatewayId),
      whyStranded: (gatewayId, jobId) => presence.whyStranded(gatewayId, jobId),
    }),
    gateways, presence, certificates, desired, tracker, watch, builder, outbox, judge, views, gauges,
  };
}

function addRoutes(app: App, { options, db, master, identity, tokenHash }: Foundations, parts: Parts, endpoint: string): void {
  const { clock, random, logger, meter, specs } = options;
  const authorize = requireToken(tokenHash);
  app.addHook('onRequest', async (request) => {
    if (!/^\/subscriptions(\/|$)/i.test(request.url)) return;
    await authorize(request);
    await requireApiVersion(request);
  });
  app.get('/healthz', async (_request, reply) => {
    const ok = await isHealthy(db);
    return reply.status(ok ? 200 : 503).send({ ok, evidence: ok ? 'the database answers' : 'the database does not answer' });
  });
  addFactoryRoutes(app, parts.factories);
  addGatewayRoutes(app, { ...parts, master, endpoint, caFingerprint: identity.caFingerprint });
  addDefinitionRoutes(app, parts);
  addRunRoutes(app, { ...parts, db, specs, clock, random });
  addNodeRoutes(app, { ...parts, db, logger, meter });
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** A host as it stands in a URL. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

async function isHealthy(db: Db): Promise<boolean> {
  try {
    await db.selectFrom('meta').select('key').limit(1).execute();
    return true;
  } catch {
    return false; // That it failed is the answer.
  }
}

/** The database holds hashes and sealed texts of one master secret; under another one every key and secret would be wrong. */
async function requireSameMaster(db: Db, master: MasterSecret): Promise<void> {
  const check = master.derive('check').toString('hex');
  await db
    .insertInto('meta')
    .values({ key: 'master-check', value: check })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  const row = await db.selectFrom('meta').select('value').where('key', '=', 'master-check').executeTakeFirstOrThrow();
  if (row.value !== check) throw controlPlaneErrors.OTHER_MASTER_SECRET.create();
}

/** The bearer token of the REST API: the one given, else the one on disk, which is made at the first start. */
async function ensureToken(file: string, given: Secret | undefined): Promise<Secret> {
  if (given !== undefined) {
    await writeKeptFile(file, `${given.reveal()}\n`, 0o600);
    return given;
  }
  const existing = await readKeptFile(file, { secret: true });
  return new Secret((existing ?? (await createKeptFileOnce(file, `${newToken().reveal()}\n`, 0o600))).trim());
}
