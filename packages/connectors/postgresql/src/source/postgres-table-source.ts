import { newId, type Random } from '@dmg/base';
import {
  connectorErrors, type PartitionWish, type SharedSnapshots, type StreamFormat, type TablePartitions, type TableSource, type TextStream,
} from '@dmg/connector-api';
import type { DelimitedTextFormat, SourceObject, TableColumn } from '@dmg/model';
import { binaryForm } from '../binary-form.ts';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { copyForm, copyOptions, csvText } from './copy-format.ts';
import { CopyStream, type CopyStreamOptions } from './copy-stream.ts';
import { digestOfColumns, formatAddress, parseAddress, type PartitionAddress } from './partition-address.ts';
import { cutSource } from './partitioner.ts';
import { isLeafOf, readParts, readRelation, type Relation } from './relation.ts';
import { partitionSelect, wholeSelect } from './select-text.ts';
import { ColumnReader, type SourceColumn, toTableColumn } from './source-columns.ts';
import { SourceSessions, type SourceSessionsOptions } from './source-sessions.ts';
import type { SourceSettings } from './source-settings.ts';

export type PostgresTableSourceOptions = Omit<SourceSessionsOptions, 'path' | 'lock'> & {
  readonly settings: SourceSettings;
  readonly random: Random;
};

const partitionsDefault = 5000;

/**
 * A table or query, read with COPY. Who makes the partitions exports a snapshot that all its readers import; who reads partitions of
 * another attempt's making joins that snapshot first, or sees each of them at a moment of its own.
 */
export class PostgresTableSource implements TableSource {
  readonly text = csvText;
  readonly ownForm = binaryForm;
  readonly snapshots: SharedSnapshots;
  readonly #options: PostgresTableSourceOptions;
  readonly #settings: SourceSettings;
  readonly #path: string;
  readonly #sessions: SourceSessions;
  readonly #columnReader: ColumnReader;

  constructor(options: PostgresTableSourceOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#path = options.settings.path;
    this.#columnReader = new ColumnReader(this.#path);
    this.#sessions = new SourceSessions({
      ...options, path: this.#path, lock: async (session, signal) => void await this.#readColumns(session, signal),
    });
    this.snapshots = { join: (key, signal) => this.#sessions.join(key, signal), leave: () => this.#sessions.release() };
  }

  async columns(signal: AbortSignal): Promise<readonly TableColumn[]> {
    return await this.#inTransaction(signal, async (session) => {
      const columns = await this.#readColumns(session, signal);
      const notNull = (await this.#readRelation(session, signal))?.notNull ?? new Set<string>();
      return columns.map((column) => toTableColumn(column, notNull));
    });
  }

  async partition(signal: AbortSignal, wish?: PartitionWish): Promise<TablePartitions> {
    await this.#sessions.release();
    const { consistency } = this.#settings;
    // Not the attempt's id: one that asks again has another snapshot.
    const key = newId(this.#options.random);
    const snapshotKey = wish?.snapshotBound === true && consistency === 'snapshot' ? key : undefined;
    return await this.#inTransaction(signal, async (session) => {
      // First the locks, then the snapshot: a table that was truncated or rewritten in between would look empty in it.
      const columns = await this.#readColumns(session, signal);
      const relation = await this.#readRelation(session, signal);
      const partitionsMax = Math.min(wish?.partitionsMax ?? partitionsDefault, partitionsDefault);
      const { kind, parts } = await cutSource({ session, settings: this.#settings, columns, relation, partitionsMax, snapshotKey, signal });
      const under = consistency === 'snapshot' && parts.length > 1 ? await this.#partsUnder(session, relation, signal) : {};
      const partitions = parts.map(({ address, bytes }) => ({
        path: this.#path, sizeBytes: Math.round(bytes),
        identity: formatAddress(address.leaf === undefined ? { ...address, ...under } : address),
      }));
      // A single statement is of one moment by itself.
      if (parts.length === 1) return { kind, consistency: 'snapshot', partitions };
      if (consistency !== 'snapshot') return { kind, consistency, partitions };
      await this.#sessions.hold(session, key, signal);
      return { kind, consistency, snapshotKey: key, partitions };
    });
  }

  writes(format: DelimitedTextFormat): boolean {
    return copyOptions(format) !== undefined;
  }

  open(partition: SourceObject, format: StreamFormat, signal: AbortSignal): Promise<TextStream> {
    return this.#open(partition, format, undefined, signal);
  }

  openColumns(
    partition: SourceObject, format: StreamFormat, columns: readonly number[], signal: AbortSignal,
  ): Promise<TextStream> {
    return this.#open(partition, format, columns, signal);
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }

  async #open(
    partition: SourceObject, format: StreamFormat, chosen: readonly number[] | undefined, signal: AbortSignal,
  ): Promise<TextStream> {
    const { options, rowEnd, values } = copyForm(format);
    const { clock, callLimitMs } = this.#options;
    const address = parseAddress(partition.identity, this.#path);
    if (address.pages !== undefined && address.pages.snapshotKey !== this.#sessions.snapshotKey) {
      throw connectorErrors.SNAPSHOT_LOST.create({ path: this.#path, reason: 'its pages are read under it only' });
    }
    const session = await this.#sessions.reader(signal);
    try {
      const columns = await this.#checkedColumns(session, address, signal);
      const select = partitionSelect(this.#settings, { address, columns, chosen, values });
      return new CopyStream({
        ...this.#confirmation(session, address),
        session, sql: `COPY (\n${select}\n) TO STDOUT WITH (${options})`, rowEnd, path: this.#path, clock, silenceMs: callLimitMs,
        probe: (probeSignal) => this.#sessions.probe(probeSignal),
        giveBack: (used, complete) => this.#sessions.giveBack(used, complete),
      });
    } catch (error) {
      await this.#sessions.discard(session);
      throw error;
    }
  }

  /** Throws SOURCE_CHANGED when the columns are not those of the plan, or a physical partition is no longer one. */
  async #checkedColumns(session: Session, address: PartitionAddress, signal: AbortSignal): Promise<SourceColumn[]> {
    const columns = await this.#readColumns(session, signal);
    if (digestOfColumns(columns) !== address.columns) throw this.#changed('its columns are not those of the plan');
    const { table } = this.#settings;
    if (address.leaf !== undefined && (table === undefined || !await isLeafOf(session, table, address.leaf, this.#path, signal))) {
      throw this.#changed(`${address.leaf} is not a partition of it any more`);
    }
    return columns;
  }

  #readColumns(session: Session, signal: AbortSignal): Promise<SourceColumn[]> {
    return this.#columnReader.read(session, wholeSelect(this.#settings), signal);
  }

  /** Undefined for a query. */
  async #readRelation(session: Session, signal: AbortSignal): Promise<Relation | undefined> {
    const { query, table } = this.#settings;
    if (query !== undefined || table === undefined) return undefined;
    const relation = await readRelation(session, table, this.#path, signal);
    if (relation === undefined) throw postgresqlErrors.TABLE_MISSING.create({ path: this.#path, store: session.store });
    return relation;
  }

  async #inTransaction<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#sessions.begin(signal);
    try {
      const result = await work(session);
      await this.#sessions.end(session);
      return result;
    } catch (error) {
      await this.#sessions.discard(session);
      throw error;
    }
  }

  /** Views and queries are what the server makes of them. */
  async #partsUnder(session: Session, relation: Relation | undefined, signal: AbortSignal): Promise<Pick<PartitionAddress, 'parts'>> {
    const { table } = this.#settings;
    return relation?.sampled !== true || table === undefined ? {} : { parts: await readParts(session, table, this.#path, signal) };
  }

  /**
   * A table that is attached to this one while the copy runs brings rows along that were there before, in this partition but not in
   * those read before it. It is looked for after the rows: none that they came from can be taken away before the transaction ends.
   */
  #confirmation(session: Session, { parts }: PartitionAddress): Pick<CopyStreamOptions, 'confirm'> {
    const { table } = this.#settings;
    if (parts === undefined || table === undefined || this.#sessions.snapshotKey === undefined) return {};
    return { confirm: async (signal) => {
      if (await readParts(session, table, this.#path, signal) === parts) return;
      throw connectorErrors.SNAPSHOT_LOST.create({ path: this.#path, reason: 'a table was attached to it since, and would show half' });
    } };
  }

  #changed(detail: string): Error {
    return connectorErrors.SOURCE_CHANGED.create({ path: this.#path }, { detail });
  }
}
