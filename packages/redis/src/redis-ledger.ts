import type { Clock, DmgError, Logger } from '@dmg/base';
import type { JobRecord, Ledger } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import type { RedisConnection } from './connection.ts';
import { redisErrors } from './errors.ts';
import { gatewayKeys } from './gateway-keys.ts';
import { LedgerMaster, type PutAnswer, type ReadAnswer, type Silence } from './ledger-master.ts';
import { mergeRecords, writeVerdict } from './ledger-merge.ts';
import { checkMasters, type MastersOptions, openMasters } from './masters.ts';
import { collect, firstVerdict, graceMsOf, majorityOf } from './quorum.ts';
import { ledgerScripts } from './scripts.ts';

const defaultCommandTimeoutMs = 250;
/** Records that are written back in one go; a batch has to fit into the deadline of a command. */
const refillBatch = 100;

export type RedisLedgerOptions = MastersOptions;

/** What a master lacked when it was read. */
interface Lack {
  readonly place: Place;
  /** Id of the data set that lacked it. */
  readonly life: string;
  /** By job id; a record leaves as soon as it is written back, or written or removed by the dispatcher. */
  readonly records: Map<string, JobRecord>;
}

/** A master and what we know of its data. */
interface Place {
  readonly master: LedgerMaster;
  /** Id of the data set that is known to be whole; empty: it had none; undefined: it was never read. */
  life: string | undefined;
  /** Id of the data set that was reported as not whole. */
  lostLife: string | undefined;
}

interface Reading {
  readonly place: Place;
  readonly answer: ReadAnswer;
}

/**
 * The dispatcher's notebook on one Redis or several that know nothing of each other (DESIGN-RULES 11). A write goes to all masters and
 * counts when a majority has it; what is read is the newest copy of each record that a majority of them holds. A master that lost its
 * data is no proof that a record does not exist, until the dispatcher has written back what it lacks, which begins with its first write.
 * A removed record may come back from a master that slept through its removal: it is then an old one of a job that has ended, and the
 * sink says so. Nothing expires.
 */
export class RedisLedger implements Ledger {
  readonly #connections: readonly RedisConnection[];
  readonly #places: readonly Place[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #graceMs: number;
  /** Found by the last reading, not yet begun: writing needs an epoch. */
  #found: readonly Lack[] = [];
  readonly #refilling = new Set<Lack>();
  /** How many writes were begun. */
  #writes = 0;

  /** Throws DMG_REDIS_MASTERS. Connects in the background. */
  constructor(options: RedisLedgerOptions) {
    const { clock, logger, commandTimeoutMs = defaultCommandTimeoutMs } = options;
    const keys = gatewayKeys(options.gatewayId);
    this.#connections = openMasters({ ...options, commandTimeoutMs, scripts: Object.values(ledgerScripts) });
    this.#places = this.#connections.map((connection) => ({
      master: new LedgerMaster({ connection, keys, logger }), life: undefined, lostLife: undefined,
    }));
    this.#clock = clock;
    this.#logger = logger;
    this.#graceMs = graceMsOf(commandTimeoutMs);
  }

  /** Host and port of each master, for logs and status. */
  get address(): string {
    return this.#connections.map(({ address }) => address).join(', ');
  }

  /** For a node's start: resolves with what should be mended; rejects with why no majority of the masters can be used. */
  check(): Promise<readonly DmgError[]> {
    return checkMasters(this.#connections);
  }

  async put(epoch: Epoch, record: JobRecord): Promise<'ok' | 'stale' | 'old'> {
    this.#beginRefill(epoch, record.jobId);
    const text = JSON.stringify(record);
    return this.#write((master) => master.put(epoch, record, text));
  }

  async remove(epoch: Epoch, jobId: string): Promise<'ok' | 'stale'> {
    this.#beginRefill(epoch, jobId);
    const answer = await this.#write((master) => master.remove(epoch, jobId));
    return answer === 'stale' ? 'stale' : 'ok';
  }

  async preread(): Promise<void> {
    await Promise.all(this.#places.map(({ master }) => master.readAll()));
  }

  async readAll(): Promise<JobRecord[]> {
    const writes = this.#writes;
    const asked = this.#places.map(async (place) => ({ place, answer: await place.master.readAll() }));
    const answers = await collect<Reading | undefined>(asked, {
      clock: this.#clock, graceMs: this.#graceMs, late: undefined,
      counts: (reading) => reading?.answer.kind === 'read' && isWhole(reading.place, reading.answer.life),
    });
    const reads = answers.flatMap((reading) => (reading?.answer.kind === 'read' ? [{ place: reading.place, ...reading.answer }] : []));
    this.#assertReadable(reads.map(({ life }) => life), answers.flatMap((reading) => reading?.answer ?? []));
    const { records, lacks } = mergeRecords(reads.map((read) => read.records));
    const found = reads.map(({ place, life }, index) => ({ place, life, records: lacks[index] ?? new Map<string, JobRecord>() }));
    for (const lack of found) this.#note(lack);
    // What was written or removed while we read would be taken back.
    this.#found = writes === this.#writes ? found : [];
    return records;
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  /**
   * Rejects a reading by less than a majority, and one by a majority part of which has lost its data: then there is more to know, on
   * the masters that are silent. When all have lost it, nothing is what there is to read. A master on which an epoch was installed since
   * its loss is taken as it is: else nobody could lead, and refill it, while another one is down.
   */
  #assertReadable(lives: readonly string[], answers: readonly ({ readonly kind: string } | Silence)[]): void {
    const masters = this.#places.length;
    const empty = lives.filter((life) => life === '').length;
    if (lives.length < majorityOf(masters)) throw errorOf(answers);
    if (empty === lives.length || lives.length - empty >= majorityOf(masters)) return;
    throw redisErrors.LEDGER_INCOMPLETE.create({ masters, empty, silent: masters - lives.length });
  }

  #write(ask: (master: LedgerMaster) => Promise<PutAnswer>): Promise<'ok' | 'old' | 'stale'> {
    const asked = this.#places.map(({ master }) => ask(master));
    return firstVerdict(asked, (answers) => {
      const verdict = writeVerdict(answers, asked.length);
      if (verdict === 'silent') throw errorOf(answers);
      return verdict;
    });
  }

  /** Remembers which data set a master has; says it when that is not the one we knew. */
  #note({ place, life, records }: Lack): void {
    if (place.life === undefined) place.life = life;
    if (place.life === '' || place.life === life || place.lostLife === life) return;
    place.lostLife = life;
    this.#logger.warn({ address: place.master.address, missing: records.size }, 'redis lost what the ledger had written there');
  }

  /** Writes back what the last reading found missing, all but the job that is written or removed now. */
  #beginRefill(epoch: Epoch, jobId: string): void {
    const found = this.#found;
    this.#found = [];
    this.#writes++;
    for (const lack of found) this.#refilling.add(lack);
    for (const { records } of this.#refilling) records.delete(jobId);
    for (const lack of found) void this.#refill(lack, epoch);
  }

  /** Never rejects. What it does not manage is found missing again by the next reading. */
  async #refill(lack: Lack, epoch: Epoch): Promise<void> {
    const { place: { master }, records } = lack;
    const missing = records.size;
    let ended: string | undefined;
    while (records.size > 0 && ended === undefined) {
      const batch = [...records.values()].slice(0, refillBatch);
      // Out before they are sent: what is written or removed from here on follows them on the same connection.
      for (const { jobId } of batch) records.delete(jobId);
      const answers = await Promise.all(batch.map((record) => master.put(epoch, record, JSON.stringify(record))));
      ended = answers.find(({ kind }) => kind === 'stale' || kind === 'silent')?.kind;
    }
    this.#refilling.delete(lack);
    if (ended === undefined) lack.place.life = lack.life;
    if (missing > 0) this.#logger.info({ address: master.address, missing, ended: ended ?? 'complete' }, 'ledger written back');
  }
}

/** True for a master whose silence about a record says that it never got it. */
function isWhole({ life: known }: Place, life: string): boolean {
  return life !== '' && (known === undefined || known === life);
}

function errorOf(answers: readonly ({ readonly kind: string } | Silence)[]): DmgError {
  const silent = answers.find((answer) => 'error' in answer);
  return silent?.error ?? redisErrors.UNREACHABLE.create({ address: 'most masters', reason: 'they answered too late' });
}
