import { type Clock, hasCode, type Logger, newUuid, type Random } from '@dmg/base';
import type { RegisterRequest, RegisterResponse } from '@dmg/model';
import {
  credentialKeyId, type GatewayKey, gatewayKeySecretMatches, hashToken, newToken, parseGatewayKey, type SigningKey,
} from '@dmg/security';
import type { Transaction } from 'kysely';
import type { Db } from '../database/open-database.ts';
import type { Database, GatewayRow, NodeRow } from '../database/schema.ts';
import { queueNameOf } from '../dispatch/outbox-loop.ts';
import { controlPlaneErrors } from '../errors.ts';
import { bumpDesiredVersion } from './gateway-store.ts';
import { offlineAfterMs } from './node-status.ts';
import type { PresenceBoard } from './presence.ts';

/** Registered nodes of a gateway at most (DESIGN-RULES 19). */
export const nodesMax = 4;
/** Limit of a node until somebody changes it; the node itself goes no higher than its machine bears. */
export const concurrentJobsLimitDefault = 8;

/** A node that may come in, and what it would come to. */
interface Applicant {
  readonly gateway: GatewayRow;
  readonly nodes: readonly NodeRow[];
  /** The row of the same name, when it comes back. */
  readonly known: NodeRow | undefined;
  readonly request: RegisterRequest;
  readonly keyId: string;
}

/** Lets nodes in: decided by the database in one transaction, so that of five at the same moment one is refused. */
export class Registration {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #signingKey: SigningKey;
  readonly #presence: PresenceBoard;

  constructor(options: { db: Db; clock: Clock; random: Random; logger: Logger; signingKey: SigningKey; presence: PresenceBoard }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#signingKey = options.signingKey;
    this.#presence = options.presence;
  }

  /** Registers a node. One that comes back under its name gets a new token, and its old one ends. */
  async register(request: RegisterRequest): Promise<RegisterResponse> {
    const key = parseGatewayKey(request.key);
    const keyId = await credentialKeyId(request.credentialPublicKey).catch((error: unknown) => {
      if (hasCode(error, 'DMG_SECURITY_CREDENTIAL_KEY_UNUSABLE')) throw error;
      throw controlPlaneErrors.BODY_REFUSED.create({ path: 'credentialPublicKey', reason: 'is no public key' }, { cause: error });
    });
    const token = newToken();
    const { gateway, node } = await this.#db.transaction().execute(async (trx) => {
      const admitted = await admit(trx, key);
      const nodes = await trx.selectFrom('nodes').selectAll().where('gateway_id', '=', admitted.id).orderBy('registered_at').execute();
      const known = nodes.find((each) => each.name_key === request.nodeName.toLowerCase());
      if (known === undefined && nodes.length >= nodesMax) throw full(request.nodeName, admitted, nodes);
      const applicant: Applicant = { gateway: admitted, nodes, known, request, keyId };
      this.#refuseTakenName(applicant);
      await this.#agreeOnCredentialKey(trx, applicant);
      const row: NodeRow = {
        id: known?.id ?? newUuid(this.#random), gateway_id: admitted.id, name: known?.name ?? request.nodeName,
        name_key: request.nodeName.toLowerCase(), machine_name: request.machineName, version: request.version, key_name: key.keyName,
        token_hash: hashToken(token), registered_at: known?.registered_at ?? this.#clock.wallMs(),
        last_alive_at: known?.last_alive_at ?? null,
        boot_id: null, last_start_at: known?.last_start_at ?? null,
        concurrent_jobs_limit: known?.concurrent_jobs_limit ?? concurrentJobsLimitDefault, slots_max: known?.slots_max ?? null,
      };
      await trx.insertInto('nodes').values(row).onConflict((conflict) => conflict.column('id').doUpdateSet(row)).execute();
      await bumpDesiredVersion(trx, admitted.id);
      return { gateway: admitted, node: row };
    });
    this.#logger.info({ gatewayId: gateway.id, gateway: gateway.name, node: node.name, keyName: node.key_name }, 'node registered');
    return {
      gatewayId: gateway.id, gatewayName: gateway.name, nodeId: node.id, nodeName: node.name, nodeToken: token.reveal(),
      queueName: queueNameOf(gateway.id), signingKey: this.#signingKey.publicJwk, concurrentJobsLimit: node.concurrent_jobs_limit,
    };
  }

  /**
   * A name belongs to the node that works under it. A machine that lost its state may have its name back once the old node is
   * silent; two that live at once would end each other's registration in turn, and with it their jobs' reports.
   */
  #refuseTakenName({ gateway, known, request, keyId }: Applicant): void {
    if (known === undefined || known.token_hash === null || this.#presence.of(known.id) === undefined) return;
    const silentMs = this.#presence.silentMs(known.id);
    const isSame = known.machine_name === request.machineName && gateway.credential_key_id === keyId;
    if (isSame || silentMs > offlineAfterMs) return;
    throw controlPlaneErrors.NODE_NAME_TAKEN.create({
      node: known.name, gateway: gateway.name, seconds: Math.round(silentMs / 1000), waitSeconds: offlineAfterMs / 1000,
    });
  }

  /** All nodes must hold the same credential key. The only node there is may bring another: nobody could use the old one. */
  async #agreeOnCredentialKey(
    trx: Transaction<Database>,
    { gateway, nodes, known, request, keyId }: Applicant,
  ): Promise<void> {
    if (gateway.credential_key_id === keyId) return;
    const others = nodes.filter((node) => node.id !== known?.id);
    if (gateway.credential_key_id !== null && others.length > 0) {
      throw controlPlaneErrors.OTHER_CREDENTIAL_KEY.create({
        node: request.nodeName, gateway: gateway.name, nodes: others.map(({ name }) => name).join(', '),
      });
    }
    if (gateway.credential_key_id !== null) {
      this.#logger.warn(
        { gateway: gateway.name, node: request.nodeName },
        'credential key of the gateway replaced by its only node; what users encrypted to the old one must be saved again',
      );
    }
    const { kty, crv, x, y } = request.credentialPublicKey;
    const publicOnly = JSON.stringify({ kty, crv, x, y, kid: keyId, use: 'enc' });
    await trx.updateTable('gateways').set({ credential_key: publicOnly, credential_key_id: keyId }).where('id', '=', gateway.id).execute();
  }
}

/** The gateway that the key names, if the key is one of its two. Unknown gateway and wrong secret are not told apart. */
async function admit(trx: Transaction<Database>, key: GatewayKey): Promise<GatewayRow> {
  const gateway = await trx.selectFrom('gateways').selectAll().where('id', '=', key.gatewayId).executeTakeFirst();
  const stored = key.keyName === 'authKey1' ? gateway?.key1_hash : gateway?.key2_hash;
  const isRight = stored !== undefined && gatewayKeySecretMatches(key.secret, stored);
  if (gateway === undefined || !isRight) throw controlPlaneErrors.KEY_REFUSED.create();
  return gateway;
}

function full(node: string, gateway: GatewayRow, nodes: readonly NodeRow[]): Error {
  const names = nodes.map(({ name, last_alive_at: at }) => `${name}, last heard ${at === null ? 'never' : new Date(at).toISOString()}`);
  return controlPlaneErrors.GATEWAY_FULL.create({ node, gateway: gateway.name, count: nodes.length, nodes: names.join('; ') });
}
