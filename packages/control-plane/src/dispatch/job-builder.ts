import type { Clock } from '@dmg/base';
import type { CopyActivity, CopyEnd, Job, JobPolicy, JsonObject, JsonValue } from '@dmg/model';
import { encryptSecret, type MasterSecret, openSealedSecret, type SigningKey, signJob } from '@dmg/security';
import type { Db } from '../database/open-database.ts';
import { controlPlaneErrors } from '../errors.ts';
import { type SecretPlace, secretKey, secretPlaceOf } from '../definitions/secret-places.ts';

/** A signed job stays valid as long as marks are kept at sinks; a message that is older would meet a sink that forgot it. */
const jobLifeMs = 30 * 24 * 3600 * 1000;

export interface SignedJob {
  readonly runId: string;
  readonly activityName: string;
  readonly jws: string;
}

/** Makes the signed Job of a stored activity run: its secrets are opened and at once encrypted to the gateway's key. */
export class JobBuilder {
  readonly #db: Db;
  readonly #master: MasterSecret;
  readonly #signingKey: SigningKey;
  readonly #clock: Clock;

  constructor(options: { db: Db; master: MasterSecret; signingKey: SigningKey; clock: Clock }) {
    this.#db = options.db;
    this.#master = options.master;
    this.#signingKey = options.signingKey;
    this.#clock = options.clock;
  }

  /** The job in its current try; undefined when it is unknown or belongs to another gateway. `NO_NODE` while none is registered. */
  async build(jobId: string, gatewayId: string): Promise<SignedJob | undefined> {
    const row = await this.#db
      .selectFrom('activity_runs')
      .innerJoin('pipeline_runs', 'pipeline_runs.run_id', 'activity_runs.run_id')
      .innerJoin('factories', 'factories.id', 'activity_runs.factory_id')
      .innerJoin('gateways', 'gateways.id', 'activity_runs.gateway_id')
      .selectAll('activity_runs')
      .select(['pipeline_runs.pipeline_name', 'factories.name as factory_name', 'gateways.credential_key', 'gateways.name as gateway_name'])
      .where('activity_runs.job_id', '=', jobId)
      .where('activity_runs.gateway_id', '=', gatewayId)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    if (row.credential_key === null) throw controlPlaneErrors.NO_NODE.create({ gateway: row.gateway_name });
    const policy = JSON.parse(row.policy) as JobPolicy;
    const publicJwk = JSON.parse(row.credential_key) as JsonObject;
    const sealed = JSON.parse(row.sealed_secrets) as Record<string, string>;
    const encrypt = async (place: SecretPlace): Promise<JsonValue> => {
      const text = sealed[secretKey(place)];
      if (text === undefined) throw controlPlaneErrors.SECRET_MISSING.create({ ...place });
      const secret = openSealedSecret(this.#master, text, { factoryId: row.factory_id, ...place });
      return { ...(await encryptSecret(secret, publicJwk)) };
    };
    const tryNumber = Math.max(1, row.try_number);
    const job: Job = {
      formatVersion: 1,
      jobId,
      gatewayId,
      origin: {
        factoryName: row.factory_name, pipelineName: row.pipeline_name, runId: row.run_id,
        activityName: row.name, activityRunId: row.activity_run_id,
      },
      policy,
      tryNumber,
      finalTry: tryNumber > policy.retry,
      activity: await withSecrets(JSON.parse(row.activity) as CopyActivity, encrypt),
    };
    const jws = await signJob(job, { key: this.#signingKey, expiresAtMs: this.#clock.wallMs() + jobLifeMs });
    return { runId: row.run_id, activityName: row.name, jws };
  }
}

async function withSecrets(activity: CopyActivity, encrypt: (place: SecretPlace) => Promise<JsonValue>): Promise<CopyActivity> {
  const { source, sink, log } = activity;
  const end = async (given: CopyEnd): Promise<CopyEnd> =>
    ({ ...given, connection: (await replace(given.connection, encrypt)) as JsonObject });
  return {
    ...activity, source: await end(source), sink: await end(sink),
    ...(log === undefined ? {} : { log: { ...log, store: await end(log.store) } }),
  };
}

async function replace(value: JsonValue, encrypt: (place: SecretPlace) => Promise<JsonValue>): Promise<JsonValue> {
  const place = secretPlaceOf(value);
  if (place !== undefined) return encrypt(place);
  if (Array.isArray(value)) return Promise.all(value.map((each: JsonValue) => replace(each, encrypt)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as JsonObject).map(async ([name, each]) => [name, await replace(each, encrypt)] as const);
  return Object.fromEntries(await Promise.all(entries));
}
