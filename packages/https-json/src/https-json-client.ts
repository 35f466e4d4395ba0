import { Agent, request } from 'node:https';
import { type Clock, firstLine, isDmgError, type Secret, withDeadline } from '@dmg/base';
import { httpsErrors } from './errors.ts';

export interface HttpsJsonOptions {
  /** `https://host:port`. */
  readonly endpoint: string;
  /** The server's own CA; nothing else is trusted. */
  readonly caPem: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: Secret;
  readonly clock: Clock;
  /** Limit of a call that names none, in milliseconds. */
  readonly callLimitMs?: number;
}

export interface CallOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly limitMs?: number;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const answerBytesMax = 16 * 1024 * 1024;

export class HttpsJsonClient {
  readonly endpoint: string;
  readonly #options: HttpsJsonOptions;
  readonly #agent: Agent;

  constructor(options: HttpsJsonOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
    this.#agent = new Agent({ ca: options.caPem, keepAlive: true, maxSockets: 8 });
  }

  /**
   * The body of a 2xx answer. Otherwise throws `DMG_HTTPS_REFUSED` with the server's code, sentence and remedy (error body of
   * Azure's shape, `{error:{code,message,fix}}`), `DMG_HTTPS_UNAVAILABLE` the same way for 5xx and 429,
   * `DMG_HTTPS_NOT_UNDERSTOOD`, `DMG_HTTPS_UNREACHABLE` or `DMG_BASE_DEADLINE`.
   *
   * @param what the sentence's verb and object: *Cannot ‹what›: …*
   */
  async call(what: string, options: CallOptions): Promise<unknown> {
    const answer = await this.#send(what, options);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    const error = (answer.body as { error?: { code?: unknown; message?: unknown; fix?: unknown } } | undefined)?.error;
    if (typeof error?.code !== 'string') {
      throw httpsErrors.NOT_UNDERSTOOD.create({ what, endpoint: this.endpoint, status: answer.status });
    }
    // What the server could not do may go well later; what it refuses will be refused again.
    const kind = answer.status >= 500 || answer.status === 429 ? httpsErrors.UNAVAILABLE : httpsErrors.REFUSED;
    throw kind.create({
      what,
      endpoint: this.endpoint,
      status: answer.status,
      code: error.code,
      reason: typeof error.message === 'string' ? error.message : 'no reason was given.',
      remedy: typeof error.fix === 'string' ? error.fix : 'The log of the control plane has more.',
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(what: string, options: CallOptions): Promise<Answer> {
    const limitMs = options.limitMs ?? this.#options.callLimitMs ?? 5000;
    try {
      return await withDeadline(
        { clock: this.#options.clock, limitMs, what: `${what} at ${this.endpoint}`, signal: options.signal },
        (signal) => this.#exchange(options, signal),
      );
    } catch (error) {
      if (isDmgError(error) || options.signal?.aborted) throw error;
      throw httpsErrors.UNREACHABLE.create({ endpoint: this.endpoint, reason: firstLine(error) }, { cause: error });
    }
  }

  #exchange(options: CallOptions, signal: AbortSignal): Promise<Answer> {
    const { token } = this.#options;
    const payload = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const headers = {
      accept: 'application/json',
      ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': payload.length }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
      ...options.headers,
    };
    return new Promise((resolve, reject) => {
      const url = new URL(options.path, this.endpoint);
      const outgoing = request(url, { method: options.method, headers, agent: this.#agent, signal }, (incoming) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > answerBytesMax) outgoing.destroy(new Error(`the answer is larger than ${answerBytesMax} bytes`));
          else chunks.push(chunk);
        });
        incoming.on('error', reject);
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: parseBody(Buffer.concat(chunks)) }));
      });
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }
}

function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined; // `call` says that the answer is not understood.
  }
}
