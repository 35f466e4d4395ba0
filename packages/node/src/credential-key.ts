import { type Clock, firstLine, type Logger, sleep } from '@dmg/base';
import { isEncryptedSecret, type Job, type JsonObject } from '@dmg/model';
import { credentialKeyId, unwrapWithKey, wrapForKey } from '@dmg/security';
import type { NodeState } from './node-state.ts';

/** Between two rounds of asking the other nodes, unless a stream to one of them comes up before. */
const askAgainMs = 2000;

export interface CredentialKeyOptions {
  readonly state: NodeState;
  /** Id of the gateway's credential key, as the registration told it. */
  readonly gatewayKeyId: string;
  /** Private key of this node's certificate: what comes is wrapped to it. */
  readonly identityKeyPem: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The private half of the gateway's credential key on this node: made here by the first node, got from another node by all others
 * (DESIGN §10, DESIGN-RULES 22). It travels only over a stream on which both have proved themselves, wrapped to the asker's own key.
 */
export class CredentialKey {
  readonly #options: CredentialKeyOptions;
  #privateJwk: JsonObject | undefined;
  /** Another node can be asked. */
  #news = Promise.withResolvers<void>();

  private constructor(options: CredentialKeyOptions, privateJwk: JsonObject | undefined) {
    this.#options = options;
    this.#privateJwk = privateJwk;
  }

  static async open(options: CredentialKeyOptions): Promise<CredentialKey> {
    const kept = await options.state.readCredentialKey();
    const isGateways = kept !== undefined && (await credentialKeyId(publicHalf(kept))) === options.gatewayKeyId;
    return new CredentialKey(options, isGateways ? kept : undefined);
  }

  /** Why this node cannot decrypt the gateway's credentials; undefined when it can. */
  get trouble(): string | undefined {
    if (this.#privateJwk !== undefined) return undefined;
    return 'the gateway\'s credential key has not come yet from a node that has it';
  }

  /** Why this node must not run the job now; undefined when it may. */
  ineligible(job: Job): string | undefined {
    if (this.#privateJwk !== undefined) return undefined;
    const { source, sink, log } = job.activity;
    const ends = [source, sink, ...(log === undefined ? [] : [log.store])];
    const needsKey = ends.some(({ connection }) => Object.values(connection).some(isEncryptedSecret));
    return needsKey ? 'the node does not have the gateway\'s credential key yet' : undefined;
  }

  /** What is sent to a node that asks, wrapped to its key; undefined when we do not have it either. */
  async give(asker: { readonly nodeId: string; readonly publicKeyPem: string }): Promise<Uint8Array | undefined> {
    if (this.#privateJwk === undefined) return undefined;
    const wrapped = await wrapForKey(Buffer.from(JSON.stringify(this.#privateJwk)), asker.publicKeyPem);
    this.#options.logger.info({ nodeId: asker.nodeId }, 'credential key given to another node of the gateway');
    return Buffer.from(wrapped);
  }

  /** A stream to another node is open: it is asked at once. */
  askAgain(): void {
    this.#news.resolve();
  }

  /** Asks the other nodes until one has given the key. Never rejects. */
  async obtain(ask: () => Promise<Uint8Array | undefined>, signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    while (!signal.aborted && this.#privateJwk === undefined) {
      this.#news = Promise.withResolvers();
      try {
        const wrapped = await ask();
        if (wrapped !== undefined) await this.#take(wrapped);
      } catch (error) {
        logger.warn({ reason: firstLine(error) }, 'credential key not obtained, will be tried again');
      }
      if (this.#privateJwk === undefined) await this.#pause(signal);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const pause = sleep(this.#options.clock, askAgainMs, AbortSignal.any([signal, over.signal])).catch(() => undefined); // Ended early.
    await Promise.race([pause, this.#news.promise]);
    over.abort();
  }

  async #take(wrapped: Uint8Array): Promise<void> {
    const { state, gatewayKeyId, identityKeyPem, logger } = this.#options;
    const privateJwk = keyIn(await unwrapWithKey(Buffer.from(wrapped).toString(), identityKeyPem));
    if (privateJwk === undefined || (await credentialKeyId(publicHalf(privateJwk))) !== gatewayKeyId) {
      logger.warn({}, 'another node gave a credential key that is not the gateway\'s');
      return;
    }
    await state.writeCredentialKey(privateJwk);
    this.#privateJwk = privateJwk;
    logger.info({}, 'credential key obtained from another node of the gateway');
  }
}

/** Undefined when it is none. The parser's error would quote what it read, so nobody gets to see it. */
function keyIn(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

export function publicHalf(privateJwk: JsonObject): JsonObject {
  const { d: _privateScalar, ...publicJwk } = privateJwk;
  return publicJwk;
}
