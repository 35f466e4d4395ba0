import { firstLine, type Logger, newId, type Random } from '@dmg/base';
import type { JobRecord, Ledger } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import { RedisConnection, type RedisConnectionOptions } from './connection.ts';
import { redisErrors } from './errors.ts';
import { scripts } from './scripts.ts';

/** Records that are read in one go; a batch has to fit into the deadline of a command. */
const readBatch = 100;

export interface RedisLedgerOptions extends RedisConnectionOptions {
  readonly gatewayId: string;
}

/**
 * The dispatcher's notebook on one Redis. Keys, all with the gateway's hash tag so that one script may touch them:
 * `lead` (the installed epoch), `life` (id of the data set), `job:<id>` (a record), `jobs` (the ids of all records).
 * Nothing expires: a record goes when the dispatcher removes it.
 */
export class RedisLedger implements Ledger {
  readonly #connection: RedisConnection;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #prefix: string;

  constructor(options: RedisLedgerOptions) {
    this.#connection = new RedisConnection(options);
    this.#random = options.random;
    this.#logger = options.logger;
    this.#prefix = `dmg:{${options.gatewayId}}:`;
  }

  /** Host and port, for logs and status. */
  get address(): string {
    return this.#connection.address;
  }

  /** Resolves when Redis answers and is fit for us; rejects with what is wrong and how to mend it. For a node's start. */
  check(): Promise<void> {
    return this.#connection.check();
  }

  async head(): Promise<{ n: number; life: string }> {
    const [n, life] = this.#texts(await this.#connection.run(scripts.head, [this.#key('lead'), this.#key('life')], []), 2);
    return { n: Number(n), life: life ?? '' };
  }

  async install(epoch: Epoch, node: { nodeId: string; address: string }): Promise<{ ok: true } | { ok: false; behind: number }> {
    const args = [String(epoch.n), epoch.token, node.nodeId, node.address, newId(this.#random)];
    const [result, n] = this.#texts(await this.#connection.run(scripts.install, [this.#key('lead'), this.#key('life')], args), 1);
    return result === 'OK' ? { ok: true } : { ok: false, behind: Number(n) };
  }

  async put(epoch: Epoch, record: JobRecord): Promise<'ok' | 'stale' | 'old'> {
    const keys = [this.#key('lead'), this.#key(`job:${record.jobId}`), this.#key('jobs')];
    const args = [String(epoch.n), epoch.token, record.jobId, String(record.epochN), String(record.version), JSON.stringify(record)];
    const reply = await this.#connection.run(scripts.put, keys, args);
    if (reply === 'OK') return 'ok';
    if (reply === 'STALE') return 'stale';
    if (reply === 'OLD') return 'old';
    throw this.#unexpected(reply);
  }

  async readAll(): Promise<JobRecord[]> {
    const ids = await this.#connection.members(this.#key('jobs'));
    const records: JobRecord[] = [];
    for (let at = 0; at < ids.length; at += readBatch) {
      const keys = ids.slice(at, at + readBatch).map((jobId) => this.#key(`job:${jobId}`));
      const texts = await this.#connection.fields(keys, 'data');
      records.push(...texts.flatMap((text, index) => (text === null ? [] : this.#parse(text, keys[index] ?? ''))));
    }
    return records;
  }

  async remove(epoch: Epoch, jobId: string): Promise<'ok' | 'stale'> {
    const keys = [this.#key('lead'), this.#key(`job:${jobId}`), this.#key('jobs')];
    const reply = await this.#connection.run(scripts.remove, keys, [String(epoch.n), epoch.token, jobId]);
    if (reply === 'OK') return 'ok';
    if (reply === 'STALE') return 'stale';
    throw this.#unexpected(reply);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** A record that somebody else has spoilt is left out: the control plane sends its job again. */
  #parse(text: string, key: string): JobRecord[] {
    try {
      return [JSON.parse(text) as JobRecord];
    } catch (error) {
      this.#logger.warn({ key, reason: firstLine(error) }, 'ledger record is not readable');
      return [];
    }
  }

  #key(name: string): string {
    return this.#prefix + name;
  }

  #texts(reply: unknown, atLeast: number): string[] {
    if (!Array.isArray(reply) || reply.length < atLeast || !reply.every((part) => typeof part === 'string')) throw this.#unexpected(reply);
    return reply;
  }

  #unexpected(reply: unknown): Error {
    return redisErrors.COMMAND_FAILED.create({ address: this.address, reason: `a script answered ${JSON.stringify(reply)}` });
  }
}
