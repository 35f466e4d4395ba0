import { asDmgError, type DmgError, firstLine, type Logger } from '@dmg/base';
import type { JobRecord } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import type { RedisConnection } from './connection.ts';
import { redisErrors } from './errors.ts';
import type { GatewayKeys } from './gateway-keys.ts';
import { ledgerScripts, type Script } from './scripts.ts';

/** Records that are read in one go; a batch has to fit into the deadline of a command. */
const readBatch = 100;

export type Silence = { readonly kind: 'silent'; readonly error: DmgError };
export type PutAnswer = { readonly kind: 'ok' | 'old' | 'stale' } | Silence;
export type RemoveAnswer = { readonly kind: 'ok' | 'stale' } | Silence;
export type ReadAnswer = {
  readonly kind: 'read';
  readonly records: readonly JobRecord[];
  /** Id of the data set that all of it was read from; empty: there is none, or it changed while we read. */
  readonly life: string;
} | Silence;

/** Records of one data set, by job id, each with its order in the index. */
interface Known {
  readonly life: string;
  readonly generation: number;
  readonly records: ReadonlyMap<string, { readonly order: string; readonly record: JobRecord }>;
}

const nothing: Known = { life: '', generation: 0, records: new Map() };

/** What may stand in a script's answer and what it means. */
const putAnswers: ReadonlyMap<unknown, 'ok' | 'old' | 'stale'> = new Map([['OK', 'ok'], ['OLD', 'old'], ['STALE', 'stale']]);
const removeAnswers: ReadonlyMap<unknown, 'ok' | 'stale'> = new Map([['OK', 'ok'], ['STALE', 'stale']]);

/** The records at one master. No method rejects. */
export class LedgerMaster {
  readonly #connection: RedisConnection;
  readonly #keys: GatewayKeys;
  readonly #logger: Logger;
  /** What was read last. Two records of a job with the same order are the same, as long as the data set is. */
  #known: Known = nothing;

  constructor(options: { readonly connection: RedisConnection; readonly keys: GatewayKeys; readonly logger: Logger }) {
    this.#connection = options.connection;
    this.#keys = options.keys;
    this.#logger = options.logger;
  }

  /** Host and port, for logs. */
  get address(): string {
    return this.#connection.address;
  }

  /** `text`: the record as JSON, which is the same for all masters. */
  put(epoch: Epoch, { jobId, epochN, version }: JobRecord, text: string): Promise<PutAnswer> {
    return this.#write(ledgerScripts.put, jobId, [String(epoch.n), epoch.token, jobId, String(epochN), String(version), text], putAnswers);
  }

  remove(epoch: Epoch, jobId: string): Promise<RemoveAnswer> {
    return this.#write(ledgerScripts.remove, jobId, [String(epoch.n), epoch.token, jobId], removeAnswers);
  }

  /** Fetches only what has changed since the last reading: the index says which records those are. */
  async readAll(): Promise<ReadAnswer> {
    try {
      const { generation } = this.#connection;
      const { life, index } = await this.#readIndex();
      const isKnown = life === this.#known.life && generation === this.#known.generation;
      const records = await this.#fetch(index, isKnown ? this.#known : nothing);
      const lifeAfter = await this.#connection.text(this.#keys.life);
      const isWhole = life !== '' && life === lifeAfter && generation === this.#connection.generation;
      this.#known = isWhole ? { life, generation, records } : nothing;
      return { kind: 'read', records: Array.from(records.values(), ({ record }) => record), life: isWhole ? life : '' };
    } catch (error) {
      return silence(error);
    }
  }

  async #readIndex(): Promise<{ readonly life: string; readonly index: readonly string[] }> {
    const reply = await this.#connection.run(ledgerScripts.index, [this.#keys.life, this.#keys.index], []);
    const [life, index] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (typeof life === 'string' && typeof index === 'string') return { life, index: JSON.parse(index) as string[] };
    throw redisErrors.COMMAND_FAILED.create({ address: this.address, reason: `a script answered ${JSON.stringify(reply)}` });
  }

  /** The records that the index names, but for those that cannot be read. */
  async #fetch(index: readonly string[], known: Known): Promise<Known['records']> {
    const records = new Map<string, { readonly order: string; readonly record: JobRecord }>();
    const changed: [string, string][] = [];
    for (let at = 0; at < index.length; at += 2) {
      const [jobId = '', order = ''] = [index[at], index[at + 1]];
      const held = known.records.get(jobId);
      if (held?.order === order) records.set(jobId, held);
      else changed.push([jobId, order]);
    }
    for (let at = 0; at < changed.length; at += readBatch) {
      const batch = changed.slice(at, at + readBatch);
      const texts = await this.#connection.fields(batch.map(([jobId]) => this.#keys.job(jobId)), 'data');
      for (const [place, [jobId, order]] of batch.entries()) {
        const record = this.#parse(texts[place] ?? null, this.#keys.job(jobId));
        if (record !== undefined) records.set(jobId, { order, record });
      }
    }
    return records;
  }

  async #write<K extends string>(
    script: Script, jobId: string, args: readonly string[], answers: ReadonlyMap<unknown, K>,
  ): Promise<{ readonly kind: K } | Silence> {
    const { lead, index, job } = this.#keys;
    try {
      const reply = await this.#connection.run(script, [lead, job(jobId), index], args);
      const kind = answers.get(reply);
      if (kind !== undefined) return { kind };
      throw redisErrors.COMMAND_FAILED.create({ address: this.address, reason: `a script answered ${JSON.stringify(reply)}` });
    } catch (error) {
      return silence(error);
    }
  }

  /** A record that somebody else has spoilt is left out: the control plane sends its job again. */
  #parse(text: string | null, key: string): JobRecord | undefined {
    if (text === null) return undefined;
    try {
      return JSON.parse(text) as JobRecord;
    } catch (error) {
      this.#logger.warn({ key, address: this.address, reason: firstLine(error) }, 'ledger record is not readable');
      return undefined;
    }
  }
}

function silence(error: unknown): Silence {
  return { kind: 'silent', error: asDmgError(error) };
}
