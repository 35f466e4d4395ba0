import type { Secret } from '@dmg/base';
import type {
  AliveAnswer, AliveReport, AttemptOutcome, DesiredState, Job, JobReport, NodeFacts, Receipt, RegisterRequest, RegisterResponse,
  RunningReport,
} from '@dmg/model';
import {
  createCertificateRequest, createCredentialKeyPair, createNodeKeyPair, type CredentialKeyPair, decryptSecret, verifyDesiredState,
  verifyJob,
} from '@dmg/security';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** What a test changes in an alive report; of the facts only those that matter to it. */
export type AliveChange = Omit<Partial<AliveReport>, 'facts'> & { readonly facts?: Partial<NodeFacts> };

/** Calls the node-facing endpoints the way a node does, with its own key pair and verification. */
export class FakeNode {
  readonly endpoint: string;
  readonly name: string;
  readonly keys: CredentialKeyPair;
  registration: RegisterResponse | undefined;
  #privateKeyPem: string | undefined;

  constructor(endpoint: string, name: string, keys: CredentialKeyPair) {
    this.endpoint = endpoint;
    this.name = name;
    this.keys = keys;
  }

  static async create(endpoint: string, name: string, keys?: CredentialKeyPair): Promise<FakeNode> {
    return new FakeNode(endpoint, name, keys ?? (await createCredentialKeyPair()));
  }

  async call(method: 'GET' | 'POST', path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> {
    const token = this.registration?.nodeToken;
    const response = await fetch(`${this.endpoint}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** Every fake node is a machine of its own unless `change` says otherwise. */
  async register(key: string, change: Partial<RegisterRequest> = {}): Promise<Answer> {
    const request: RegisterRequest = {
      key, nodeName: this.name, machineName: `machine-of-${this.name.toLowerCase()}`, version: '0.1.0', sharesMachine: false,
      credentialPublicKey: this.keys.publicJwk, certificateRequest: await this.certificateRequest(), defaultConcurrentJobsLimit: 8,
      ...change,
    };
    const answer = await this.call('POST', '/gateway/v1/register', request);
    if (answer.status === 200) this.registration = answer.body as RegisterResponse;
    return answer;
  }

  async certificateRequest(): Promise<string> {
    this.#privateKeyPem ??= (await createNodeKeyPair()).privateKeyPem;
    return createCertificateRequest({ privateKeyPem: this.#privateKeyPem, nodeName: this.name });
  }

  /** The key of its certificate; there once it has asked for one. */
  get privateKeyPem(): string {
    if (this.#privateKeyPem === undefined) throw new Error('the node has asked for no certificate');
    return this.#privateKeyPem;
  }

  get registered(): RegisterResponse {
    if (this.registration === undefined) throw new Error('the node is not registered');
    return this.registration;
  }

  alive({ facts, ...change }: AliveChange = {}): Promise<Answer> {
    const report: AliveReport = {
      facts: {
        nodeId: this.registration?.nodeId ?? 'unregistered', nodeName: this.name, bootId: 'boot-1', version: '0.1.0',
        protocol: { major: 1, minor: 0 }, address: '', configDigest: 'digest-1', config: 'tls', stage: 'running', stageReason: '',
        slots: { limit: 8, used: 0, maximum: 16 }, draining: false, troubles: [], dispatcher: undefined, ...facts,
      },
      desiredVersion: 0, running: [], metrics: { cpuPercent: 12, availableMemoryMb: 2048, sentBytes: 10, receivedBytes: 20 }, ...change,
    };
    return this.call('POST', '/gateway/v1/alive', report);
  }

  /** What an alive report is answered. */
  async aliveAnswer(change: AliveChange = {}): Promise<AliveAnswer> {
    const { status, body } = await this.alive(change);
    if (status !== 200) throw new Error(`the alive report was answered with ${status}`);
    return body as AliveAnswer;
  }

  /** Says that it runs these jobs. */
  runs(...jobs: readonly Job[]): Promise<Answer> {
    const running = jobs.map((job): RunningReport => ({
      jobId: job.jobId, tryNumber: job.tryNumber, attemptId: 'a1',
      progress: { step: 'copy', bytesTotal: 1000, bytesRead: 500, bytesWritten: 400, rowsWritten: 0, filesTotal: 2, filesWritten: 1 },
    }));
    return this.alive({ running, facts: { slots: { limit: 8, used: jobs.length, maximum: 16 } } });
  }

  report(job: Pick<Job, 'jobId' | 'tryNumber'>, outcome: AttemptOutcome): Promise<Answer> {
    const report: JobReport = {
      jobId: job.jobId, tryNumber: job.tryNumber, attemptId: 'a1', nodeName: this.name, outcome,
      startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:02.000Z',
    };
    return this.call('POST', '/gateway/v1/reports', { reports: [report] });
  }

  async desired(known = 0, signal?: AbortSignal): Promise<DesiredState> {
    const { status, body } = await this.call('GET', `/gateway/v1/desired-state?known=${known}`, undefined, signal);
    if (status !== 200) throw new Error(`the desired state was answered with ${status}`);
    return verifyDesiredState((body as { jws: string }).jws, this.registered);
  }

  /** The job of a message, fetched where the message carries only its address, and verified as a worker does. */
  async job(body: string): Promise<Job> {
    let jws = body;
    if (body.startsWith('{')) {
      const { address } = JSON.parse(body) as { address: string };
      jws = ((await this.call('GET', address)).body as { jws: string }).jws;
    }
    return verifyJob(jws, { ...this.registered, wallMs: 0 });
  }

  decrypt(encrypted: unknown): Promise<Secret> {
    return decryptSecret(encrypted as { encryptedCredential: string }, this.keys.privateJwk);
  }
}

export function receiptOf(job: Pick<Job, 'jobId'>): Receipt {
  return {
    formatVersion: 1, jobId: job.jobId, generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
    filesRead: 2,
    filesWritten: 2, bytesRead: 2_048_000, bytesWritten: 2_048_000, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0, chunks: 2,
    hash: '00000000000000ff',
    attempts: ['a1'], finishedBy: { attemptId: 'a1', nodeName: 'node-1', epoch: '1.x' }, finishedAt: '2026-01-01T00:00:02.000Z',
  };
}

export function success(job: Pick<Job, 'jobId'>): AttemptOutcome {
  return {
    kind: 'succeeded',
    receipt: receiptOf(job),
    details: { planMs: 10, copyMs: 1900, finishMs: 90, readMs: 800, writeMs: 1100, parallelCopies: 4 },
  };
}
