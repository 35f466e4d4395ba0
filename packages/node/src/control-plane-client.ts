import { HttpsJsonClient, httpsErrors, type HttpsJsonOptions } from '@dmg/https-json';
import type {
  AliveAnswer, AliveReport, CertificateRequest, DeadLetterReport, JobReport, NodeCertificate, RegisterRequest, RegisterResponse, StoreClaim,
} from '@dmg/model';

/** What a node says to the control plane: outbound HTTPS only. Shapes and paths: `@dmg/model`, `node-messages.ts`. */
export class ControlPlaneClient {
  readonly #https: HttpsJsonClient;

  constructor(options: HttpsJsonOptions) {
    this.#https = new HttpsJsonClient(options);
  }

  register(body: RegisterRequest): Promise<RegisterResponse> {
    return this.#https.call('register this node', { method: 'POST', path: '/gateway/v1/register', body }) as Promise<RegisterResponse>;
  }

  async alive(body: AliveReport, options: { readonly signal?: AbortSignal } = {}): Promise<AliveAnswer> {
    const what = 'report that this node is alive';
    return (await this.#https.call(what, { method: 'POST', path: '/gateway/v1/alive', body, ...options })) as AliveAnswer;
  }

  renewCertificate(body: CertificateRequest, options: { readonly signal?: AbortSignal } = {}): Promise<NodeCertificate> {
    const what = 'renew the certificate of this node';
    return this.#https.call(what, { method: 'POST', path: '/gateway/v1/certificate', body, ...options }) as Promise<NodeCertificate>;
  }

  claimStore(body: StoreClaim): Promise<{ storeId: string }> {
    const what = 'claim a local path for this gateway';
    return this.#https.call(what, { method: 'POST', path: '/gateway/v1/stores', body }) as Promise<{ storeId: string }>;
  }

  async report(reports: readonly JobReport[]): Promise<void> {
    await this.#https.call('report the end of a job', { method: 'POST', path: '/gateway/v1/reports', body: { reports } });
  }

  async deadLettered(deadLetters: readonly DeadLetterReport[]): Promise<void> {
    await this.#https.call('report dead letters', { method: 'POST', path: '/gateway/v1/dead-letters', body: { deadLetters } });
  }

  /**
   * A long poll for the signed desired state: answers when its version differs from `known`, or after about 25 s with the same.
   */
  desiredState(known: number, signal: AbortSignal): Promise<string> {
    return this.#jws('read the desired state', `/gateway/v1/desired-state?known=${known}`, { signal, limitMs: 40_000 });
  }

  signedJob(address: string): Promise<string> {
    return this.#jws('fetch a job', address, {});
  }

  close(): void {
    this.#https.close();
  }

  async #jws(what: string, path: string, options: { signal?: AbortSignal; limitMs?: number }): Promise<string> {
    const answer = (await this.#https.call(what, { method: 'GET', path, ...options })) as { jws?: unknown } | undefined;
    if (typeof answer?.jws === 'string') return answer.jws;
    throw httpsErrors.NOT_UNDERSTOOD.create({ what, endpoint: this.#https.endpoint, status: 200 });
  }
}
