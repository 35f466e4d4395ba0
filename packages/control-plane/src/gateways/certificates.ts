import { type Clock, Secret } from '@dmg/base';
import type { NodeCertificate } from '@dmg/model';
import {
  createGatewayCa, type GatewayCa, issueNodeCertificate, type MasterSecret, openSealedSecret, type SealContext, sealSecret,
} from '@dmg/security';
import type { Kysely } from 'kysely';
import type { Database, GatewayRow, NodeRow } from '../database/schema.ts';

/** Certifies the nodes of each gateway by the gateway's own CA, which is made when its first node comes. */
export class NodeCertificates {
  readonly #master: MasterSecret;
  readonly #clock: Clock;

  constructor(options: { master: MasterSecret; clock: Clock }) {
    this.#master = options.master;
    this.#clock = options.clock;
  }

  /**
   * A certificate that names this node, whatever the request says of its subject. Throws `DMG_SECURITY_CERTIFICATE_REQUEST_REFUSED`.
   * Inside a transaction, nothing stays of a CA whose first certificate was refused.
   */
  async issue(db: Kysely<Database>, node: Pick<NodeRow, 'id' | 'gateway_id' | 'name'>, request: string): Promise<NodeCertificate> {
    const ca = await this.#caOf(db, node.gateway_id);
    const certificatePem = await issueNodeCertificate({
      ca, request, gatewayId: node.gateway_id, nodeId: node.id, nodeName: node.name, clock: this.#clock,
    });
    return { certificatePem, caPem: ca.certificatePem };
  }

  async #caOf(db: Kysely<Database>, gatewayId: string): Promise<GatewayCa> {
    const kept = this.#open(gatewayId, await read(db, gatewayId));
    if (kept !== undefined) return kept;
    const made = await createGatewayCa({ gatewayId, clock: this.#clock });
    // Of two made at the same moment the first that is kept counts.
    await db
      .updateTable('gateways')
      .set({
        ca_certificate: made.certificatePem,
        ca_key_sealed: sealSecret(this.#master, new Secret(made.privateKeyPem), sealContext(gatewayId)),
      })
      .where('id', '=', gatewayId)
      .where('ca_certificate', 'is', null)
      .execute();
    return this.#open(gatewayId, await read(db, gatewayId)) ?? made;
  }

  #open(gatewayId: string, { ca_certificate: certificatePem, ca_key_sealed: sealed }: CaColumns): GatewayCa | undefined {
    if (certificatePem === null || sealed === null) return undefined;
    return { certificatePem, privateKeyPem: openSealedSecret(this.#master, sealed, sealContext(gatewayId)).reveal() };
  }
}

type CaColumns = Pick<GatewayRow, 'ca_certificate' | 'ca_key_sealed'>;

function read(db: Kysely<Database>, gatewayId: string): Promise<CaColumns> {
  return db.selectFrom('gateways').select(['ca_certificate', 'ca_key_sealed']).where('id', '=', gatewayId).executeTakeFirstOrThrow();
}

function sealContext(gatewayId: string): SealContext {
  return { gatewayId, property: 'caKey' };
}
