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

/** What may stand in a script's answer and what it means. */
const putAnswers: ReadonlyMap<unknown, 'ok' | 'old' | 'stale'> = new Map([['OK', 'ok'], ['OLD', 'old'], ['STALE', 'stale']]);
const removeAnswers: ReadonlyMap<unknown, 'ok' | 'stale'> = new Map([['OK', 'ok'], ['STALE', 'stale']]);

/** The records at one master. No method rejects. */
export class LedgerMaster {
  readonly #connection: RedisConnection;
  readonly #keys: GatewayKeys;
  readonly #logger: Logger;

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

  async readAll(): Promise<ReadAnswer> {
    const { life: lifeKey, jobs, job } = this.#keys;
    try {
      const life = await this.#connection.text(lifeKey);
      const ids = await this.#connection.members(jobs);
      const records: JobRecord[] = [];
      for (let at = 0; at < ids.length; at += readBatch) {
        const keys = ids.slice(at, at + readBatch).map(job);
        const texts = await this.#connection.fields(keys, 'data');
        records.push(...texts.flatMap((text, index) => (text === null ? [] : this.#parse(text, keys[index] ?? ''))));
      }
      const lifeAfter = await this.#connection.text(lifeKey);
      return { kind: 'read', records, life: life === lifeAfter ? life ?? '' : '' };
    } catch (error) {
      return silence(error);
    }
  }

  async #write<K extends string>(
    script: Script, jobId: string, args: readonly string[], answers: ReadonlyMap<unknown, K>,
  ): Promise<{ readonly kind: K } | Silence> {
    const { lead, jobs, job } = this.#keys;
    try {
      const reply = await this.#connection.run(script, [lead, job(jobId), jobs], args);
      const kind = answers.get(reply);
      if (kind !== undefined) return { kind };
      throw redisErrors.COMMAND_FAILED.create({ address: this.address, reason: `a script answered ${JSON.stringify(reply)}` });
    } catch (error) {
      return silence(error);
    }
  }

  /** A record that somebody else has spoilt is left out: the control plane sends its job again. */
  #parse(text: string, key: string): JobRecord[] {
    try {
      return [JSON.parse(text) as JobRecord];
    } catch (error) {
      this.#logger.warn({ key, address: this.address, reason: firstLine(error) }, 'ledger record is not readable');
      return [];
    }
  }
}

function silence(error: unknown): Silence {
  return { kind: 'silent', error: asDmgError(error) };
}
