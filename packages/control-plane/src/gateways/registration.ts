import { type Clock, hasCode, type Logger, newUuid, type Random } from '@dmg/base';
import { offlineAfterMs } from '@dmg/core';
import { compareVersions, type NodeCertificate, type RegisterRequest, type RegisterResponse } from '@dmg/model';
import {
  credentialKeyId, type GatewayKey, gatewayKeySecretMatches, hashToken, newToken, parseGatewayKey, type SigningKey,
} from '@dmg/security';
import type { Transaction } from 'kysely';
import type { Db } from '../database/open-database.ts';
import type { Database, GatewayRow, NodeRow } from '../database/schema.ts';
import { queueNameOf } from '../dispatch/outbox-loop.ts';
import { controlPlaneErrors } from '../errors.ts';
import type { NodeCertificates } from './certificates.ts';
import { bumpDesiredVersion } from './desired-version.ts';
import { decisionOf } from './gateway-store.ts';
import type { PresenceBoard } from './presence.ts';

/** What a node computed from its machine is believed within these bounds. */
const concurrentJobsLimitMaximum = 64;

/** A node that may come in, and what it would come to. */
interface Applicant {
  readonly gateway: GatewayRow;
  /** The row of the same name, when it comes back. */
  readonly known: NodeRow | undefined;
  /** All other nodes, in order of registration. */
  readonly others: readonly NodeRow[];
  readonly request: RegisterRequest;
  /** Id of the credential key that it brings. */
  readonly keyId: string;
}

interface Admitted {
  readonly gateway: GatewayRow;
  readonly node: NodeRow;
  readonly credentialKeyId: string;
  readonly certificate: NodeCertificate;
}

/** Lets nodes in: decided by the database in one transaction, so that of five at the same moment one is refused. */
export class Registration {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #signingKey: SigningKey;
  readonly #presence: PresenceBoard;
  readonly #certificates: NodeCertificates;

  constructor(options: {
    db: Db; clock: Clock; random: Random; logger: Logger; signingKey: SigningKey; presence: PresenceBoard; certificates: NodeCertificates;
  }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#signingKey = options.signingKey;
    this.#presence = options.presence;
    this.#certificates = options.certificates;
  }

  /** Registers a node. One that comes back under its name gets a new token, and its old one ends. */
  async register(request: RegisterRequest): Promise<RegisterResponse> {
    const key = parseGatewayKey(request.key);
    const keyId = await credentialKeyId(request.credentialPublicKey).catch((error: unknown) => {
      if (hasCode(error, 'DMG_SECURITY_CREDENTIAL_KEY_UNUSABLE')) throw error;
      throw controlPlaneErrors.BODY_REFUSED.create({ path: 'credentialPublicKey', reason: 'is no public key' }, { cause: error });
    });
    const token = newToken();
    const { gateway, node, certificate, credentialKeyId: gatewayKeyId } = await this.#db.transaction().execute(
      (trx) => this.#admit(trx, { key, request, keyId, tokenHash: hashToken(token) }),
    );
    this.#logger.info(
      { gatewayId: gateway.id, gateway: gateway.name, node: node.name, version: node.version, keyName: node.key_name }, 'node registered',
    );
    return {
      gatewayId: gateway.id, gatewayName: gateway.name, nodeId: node.id, nodeName: node.name, nodeToken: token.reveal(),
      queueName: queueNameOf(gateway.id), signingKey: this.#signingKey.publicJwk, concurrentJobsLimit: node.concurrent_jobs_limit,
      credentialKeyId: gatewayKeyId, certificate,
    };
  }

  async #admit(
    trx: Transaction<Database>,
    { key, request, keyId, tokenHash }: { key: GatewayKey; request: RegisterRequest; keyId: string; tokenHash: string },
  ): Promise<Admitted> {
    const gateway = await gatewayOf(trx, key);
    const nodes = await trx
      .selectFrom('nodes')
      .selectAll()
      .where('gateway_id', '=', gateway.id)
      .orderBy('registered_at')
      .orderBy('name_key')
      .execute();
    const known = nodes.find((each) => each.name_key === request.nodeName.toLowerCase());
    const applicant: Applicant = { gateway, known, others: nodes.filter((each) => each !== known), request, keyId };
    refuseFull(applicant);
    this.#refuseTakenName(applicant);
    refuseSharedMachine(applicant);
    refuseOldVersion(applicant);
    const gatewayKeyId = await this.#agreeOnCredentialKey(trx, applicant);
    const node: NodeRow = {
      id: known?.id ?? newUuid(this.#random), gateway_id: gateway.id, name: known?.name ?? request.nodeName,
      name_key: request.nodeName.toLowerCase(), machine_name: request.machineName, version: request.version, key_name: key.keyName,
      token_hash: tokenHash, registered_at: known?.registered_at ?? this.#clock.wallMs(), last_alive_at: known?.last_alive_at ?? null,
      boot_id: null, last_start_at: known?.last_start_at ?? null,
      concurrent_jobs_limit: known?.concurrent_jobs_limit ?? firstLimit(request.defaultConcurrentJobsLimit),
      slots_max: known?.slots_max ?? null, address: known?.address ?? '', config_digest: known?.config_digest ?? '',
      credential_key_id: keyId, drain_grace_ms: known?.drain_grace_ms ?? null,
    };
    await trx.insertInto('nodes').values(node).onConflict((conflict) => conflict.column('id').doUpdateSet(node)).execute();
    await bumpDesiredVersion(trx, gateway.id);
    const certificate = await this.#certificates.issue(trx, node, request.certificateRequest);
    return { gateway, node, credentialKeyId: gatewayKeyId, certificate };
  }

  /**
   * A name belongs to the node that works under it. A machine that lost its state may have its name back once the old node is
   * silent; two that live at once would end each other's registration in turn, and with it their jobs' reports.
   */
  #refuseTakenName({ gateway, known, request, keyId }: Applicant): void {
    if (known === undefined || known.token_hash === null || this.#presence.of(known.id) === undefined) return;
    const silentMs = this.#presence.silentMs(known.id);
    // Since it registered it may have got the gateway's key from a peer.
    const hasItsKey = keyId === (known.credential_key_id ?? gateway.credential_key_id) || keyId === gateway.credential_key_id;
    const isSame = isSameMachine(known, request) && hasItsKey;
    if (isSame || silentMs > offlineAfterMs) return;
    throw controlPlaneErrors.NODE_NAME_TAKEN.create({
      node: known.name, gateway: gateway.name, seconds: Math.round(silentMs / 1000), waitSeconds: offlineAfterMs / 1000,
    });
  }

  /**
   * The gateway's credential key is that of its first node. A node that brings another one is let in and gets the gateway's private
   * half from a node that has it (DESIGN §10). Only when there is no other node does its own count: nobody could hand it the old one.
   * Answers the id of the gateway's key.
   */
  async #agreeOnCredentialKey(trx: Transaction<Database>, { gateway, others, request, keyId }: Applicant): Promise<string> {
    if (gateway.credential_key_id === keyId) return keyId;
    if (gateway.credential_key_id !== null) {
      const fields = { gateway: gateway.name, node: request.nodeName };
      if (others.length > 0) {
        const isHeld = others.some(({ id, token_hash: hash }) => hash !== null && this.#presence.of(id) !== undefined);
        if (isHeld) this.#logger.info(fields, 'node brings another credential key and has to fetch that of the gateway from a peer');
        else {
          this.#logger.warn(
            fields, 'node brings another credential key and no other node was heard; it is Limited until one comes that has the key',
          );
        }
        return gateway.credential_key_id;
      }
      this.#logger.warn(
        fields, 'credential key of the gateway replaced by its only node; what users encrypted to the old one must be saved again',
      );
    }
    const { kty, crv, x, y } = request.credentialPublicKey;
    const publicOnly = JSON.stringify({ kty, crv, x, y, kid: keyId, use: 'enc' });
    await trx.updateTable('gateways').set({ credential_key: publicOnly, credential_key_id: keyId }).where('id', '=', gateway.id).execute();
    return keyId;
  }
}

/** The gateway that the key names, if the key is one of its two. Unknown gateway and wrong secret are not told apart. */
async function gatewayOf(trx: Transaction<Database>, key: GatewayKey): Promise<GatewayRow> {
  const gateway = await trx.selectFrom('gateways').selectAll().where('id', '=', key.gatewayId).executeTakeFirst();
  const stored = key.keyName === 'authKey1' ? gateway?.key1_hash : gateway?.key2_hash;
  const isRight = stored !== undefined && gatewayKeySecretMatches(key.secret, stored);
  if (gateway === undefined || !isRight) throw controlPlaneErrors.KEY_REFUSED.create();
  return gateway;
}

/** A node that vanished keeps its place; one that comes back under its own name needs none. */
function refuseFull({ gateway, known, others, request }: Applicant): void {
  if (known !== undefined || others.length < gateway.nodes_max) return;
  const names = others.map(({ name, last_alive_at: at }) => `${name}, last heard ${at === null ? 'never' : new Date(at).toISOString()}`);
  throw controlPlaneErrors.GATEWAY_FULL.create({
    node: request.nodeName, gateway: gateway.name, count: others.length, nodes: names.join('; '),
  });
}

/** One node a machine, so that a machine that fails takes one node along. A node that was let in once is not asked again. */
function refuseSharedMachine({ gateway, known, others, request }: Applicant): void {
  if (request.sharesMachine || (known !== undefined && isSameMachine(known, request))) return;
  const other = others.find((each) => isSameMachine(each, request));
  if (other === undefined) return;
  throw controlPlaneErrors.MACHINE_TAKEN.create({
    node: request.nodeName, machine: request.machineName, other: other.name, gateway: gateway.name,
  });
}

/**
 * A node that is older than what the gateway goes by is refused; a newer one is let in, and is Limited until the gateway follows. During
 * an update both its versions are good. The only node may run any version: by it the gateway goes then.
 */
function refuseOldVersion({ gateway, others, request }: Applicant): void {
  const required = decisionOf(gateway)?.version;
  if (required === undefined || others.length === 0 || compareVersions(request.version, required) >= 0) return;
  if (request.version === gateway.target_version) return;
  throw controlPlaneErrors.VERSION_TOO_OLD.create({
    node: request.nodeName, version: request.version, gateway: gateway.name, required,
  });
}

function isSameMachine(node: NodeRow, request: RegisterRequest): boolean {
  return node.machine_name.toLowerCase() === request.machineName.toLowerCase();
}

function firstLimit(computed: number): number {
  return Math.min(Math.max(Math.trunc(computed), 1), concurrentJobsLimitMaximum);
}
