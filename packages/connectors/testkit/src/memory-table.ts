import { newId } from '@dmg/base';
import { connectorErrors, textOf } from '@dmg/connector-api';
import type {
  Connector, ConnectorContext, SharedSnapshots, SinkLimits, StreamFormat, TablePartitions, TableSource, TextStream,
} from '@dmg/connector-api';
import type { ConnectorSpec, CopyEnd, DelimitedTextFormat, SourceObject, TableColumn } from '@dmg/model';
import { MemoryTableSink } from './memory-table-sink.ts';
import type { MemoryTable, MemoryTableCall, MemoryTableStore } from './memory-table-store.ts';
import { isTableCsv, isTableText, type MemoryCell, memoryForm, tableCsv, writeTableRow } from './memory-table-text.ts';

export const memoryTableSpec: ConnectorSpec = {
  name: 'memory-table', source: true, sink: true, atomicPublish: 'yes',
  linkedServices: [], locations: [], readSettings: [], writeSettings: [],
};

export interface MemoryTableOptions {
  /** By the `store` property of the connection. */
  readonly stores: ReadonlyMap<string, MemoryTableStore>;
  readonly limits?: Partial<SinkLimits>;
  /** Rows of one partition. Default 10. */
  readonly partitionRows?: number;
  /** Size of the blocks of a stream, in bytes. Default 16. */
  readonly blockBytes?: number;
  /** False: the source cannot leave columns out. */
  readonly choosesColumns?: boolean;
  /** A table sink can discard what a job has added and begin anew, always or as long as no chunk is marked. Default: never. */
  readonly discards?: 'always' | 'unmarked';
}

const defaultLimits: SinkLimits = {
  partBytes: 1024, partBytesMax: 1_048_576, partsPerTargetMax: 1_000_000, chunksPerTargetMax: 100_000, parallelParts: 4,
  partsInOrder: true, parallelChunks: 3,
};

/**
 * The reference connector of tables. The first column of a table is its key, a whole number in each row; with the setting `query`
 * (of any text) the table is read in one pass instead of by ranges of its key.
 */
export function memoryTableConnector(options: MemoryTableOptions): Connector {
  const storeOf = (end: CopyEnd): MemoryTableStore => {
    const store = options.stores.get(textOf(end.connection, 'store') ?? '');
    if (store === undefined) throw connectorErrors.BAD_SETTING.create({ name: 'store', reason: 'it is unknown', remedy: 'Name a store.' });
    return store;
  };
  return {
    spec: memoryTableSpec,
    check: (end) => Promise.resolve(void storeOf(end)),
    openSource: () =>
      Promise.reject(connectorErrors.BAD_SETTING.create({ name: 'format', reason: 'a table has no files', remedy: 'Use Table.' })),
    openTableSource: (end: CopyEnd, context: ConnectorContext) =>
      Promise.resolve(new MemoryTableSource({ ...options, store: storeOf(end), end, newKey: () => newId(context.random) })),
    openSink: (end, job) => Promise.resolve(new MemoryTableSink({
      store: storeOf(end), table: textOf(end.location, 'table') ?? '', job, limits: { ...defaultLimits, ...options.limits }, end,
      ...(options.discards === undefined ? {} : { discards: options.discards }),
    })),
  };
}

interface Address {
  /** Keys from here on; undefined: from the first. */
  readonly from?: number;
  /** Exclusive; undefined: to the last. */
  readonly to?: number;
  readonly columns: string;
}

type MemoryTableSourceOptions = MemoryTableOptions & {
  readonly store: MemoryTableStore; readonly end: CopyEnd; readonly newKey: () => string;
};

class MemoryTableSource implements TableSource {
  readonly text = tableCsv;
  readonly ownForm = memoryForm;
  readonly openColumns?: TableSource['openColumns'];
  readonly snapshots: SharedSnapshots;
  readonly #options: MemoryTableSourceOptions;
  readonly #name: string;
  #heldKey: string | undefined;
  readonly #streams: MemoryTextStream[] = [];
  #closed = false;

  constructor(options: MemoryTableSourceOptions) {
    this.#options = options;
    this.snapshots = { join: (key, signal) => this.#join(key, signal), leave: () => Promise.resolve(this.#leave()) };
    this.#name = textOf(options.end.location, 'table') ?? '';
    if (options.choosesColumns !== false) {
      this.openColumns = (partition, format, columns, signal) => this.#open(partition, format, columns, signal);
    }
    options.store.openHandles++;
  }

  async columns(signal: AbortSignal): Promise<readonly TableColumn[]> {
    await this.#enter('columns', signal);
    return this.#table.columns;
  }

  async partition(signal: AbortSignal, wish?: { readonly partitionsMax: number }): Promise<TablePartitions> {
    await this.#enter('partition', signal);
    const rows = structuredClone(this.#table.rows);
    const snapshot = this.#options.end.settings.consistency !== 'perChunk';
    this.#leave();
    const snapshotKey = this.#options.newKey();
    if (snapshot) {
      this.#options.store.snapshots.set(snapshotKey, { tables: new Map([[this.#name, rows]]), holders: 1 });
      this.#heldKey = snapshotKey;
    }
    const common = snapshot ? { consistency: 'snapshot' as const, snapshotKey } : { consistency: 'perChunk' as const };
    if (textOf(this.#options.end.settings, 'query') !== undefined) {
      return { kind: 'onePass', ...common, partitions: [this.#object({}, rows)] };
    }
    const keys = rows.map(keyOf).toSorted((a, b) => a - b);
    const each = Math.max(this.#options.partitionRows ?? 10, Math.ceil(keys.length / (wish?.partitionsMax ?? Infinity)));
    const bounds = keys.filter((_, index) => index > 0 && index % each === 0);
    const partitions = Array.from({ length: bounds.length + 1 }, (_, index) => {
      const [from, to] = [bounds[index - 1], bounds[index]];
      return this.#object({ ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }, rows.slice(0, each));
    });
    return { kind: 'addressable', ...common, partitions };
  }

  writes(format: DelimitedTextFormat): boolean {
    return isTableText(format) || isTableCsv(format);
  }

  open(partition: SourceObject, format: StreamFormat, signal: AbortSignal): Promise<TextStream> {
    return this.#open(partition, format, undefined, signal);
  }

  async close(): Promise<void> {
    // Also those whose opening was given up, so that nobody else knows of them.
    for (const stream of this.#streams) await stream.close();
    this.#leave();
    if (!this.#closed) this.#options.store.openHandles--;
    this.#closed = true;
  }

  async #join(key: string, signal: AbortSignal): Promise<boolean> {
    await this.#enter('join', signal);
    const snapshot = this.#options.store.snapshots.get(key);
    if (snapshot === undefined || this.#heldKey === key) return snapshot !== undefined;
    this.#leave();
    snapshot.holders++;
    this.#heldKey = key;
    return true;
  }

  #leave(): void {
    const { snapshots } = this.#options.store;
    const held = this.#heldKey === undefined ? undefined : snapshots.get(this.#heldKey);
    if (held !== undefined && --held.holders === 0) snapshots.delete(this.#heldKey ?? '');
    this.#heldKey = undefined;
  }

  /** Rows of the snapshot that is held, or of now. */
  #rows(path: string): readonly MemoryCell[][] {
    if (this.#heldKey === undefined) return structuredClone(this.#table.rows);
    const rows = this.#options.store.snapshots.get(this.#heldKey)?.tables.get(this.#name);
    if (rows === undefined) throw connectorErrors.SNAPSHOT_LOST.create({ path, reason: 'nobody holds it' });
    return rows;
  }

  async #open(
    partition: SourceObject, format: StreamFormat, columns: readonly number[] | undefined, signal: AbortSignal,
  ): Promise<TextStream> {
    await this.#enter('open', signal);
    const address = JSON.parse(partition.identity) as Address;
    if (address.columns !== this.#digest) throw connectorErrors.SOURCE_CHANGED.create({ path: partition.path });
    const rows = this.#rows(partition.path)
      .filter((row) => keyOf(row) >= (address.from ?? -Infinity) && keyOf(row) < (address.to ?? Infinity))
      .map((row) => (columns === undefined ? row : columns.map((index) => row[index] ?? null)));
    const { store, blockBytes } = this.#options;
    const stream = new MemoryTextStream({ store, rows, format, blockBytes: blockBytes ?? 16, path: partition.path });
    this.#streams.push(stream);
    return stream;
  }

  #object(address: Omit<Address, 'columns'>, rows: readonly MemoryCell[][]): SourceObject {
    const sizeBytes = rows.reduce((sum, row) => sum + writeTableRow(row, tableCsv).length, 0);
    return { path: this.#name, sizeBytes, identity: JSON.stringify({ ...address, columns: this.#digest }) };
  }

  get #digest(): string {
    return this.#table.columns.map((column) => column.name).join('|');
  }

  get #table(): MemoryTable {
    const table = this.#options.store.tables.get(this.#name);
    if (table === undefined) throw connectorErrors.SOURCE_NOT_FOUND.create({ path: this.#name, store: 'the memory database' });
    return table;
  }

  async #enter(call: MemoryTableCall, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#options.store.intercept?.(call, this.#name);
    signal.throwIfAborted();
  }
}

function keyOf(row: readonly MemoryCell[]): number {
  return Number(row[0] ?? 0);
}

interface StreamOptions {
  readonly store: MemoryTableStore;
  readonly rows: readonly MemoryCell[][];
  readonly format: StreamFormat;
  readonly blockBytes: number;
  readonly path: string;
}

/** All blocks are given in the same memory, as a driver may do. */
class MemoryTextStream implements TextStream {
  readonly #options: StreamOptions;
  readonly #text: Buffer;
  readonly #block: Uint8Array;
  #position = 0;
  #ended = false;
  #closed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#text = Buffer.from(options.rows.map((row) => writeTableRow(row, options.format)).join(''));
    this.#block = new Uint8Array(options.blockBytes);
    options.store.openHandles++;
  }

  get rows(): number {
    if (!this.#ended) throw new Error('rows are known when the stream has ended');
    return this.#options.rows.length;
  }

  async next(signal: AbortSignal): Promise<Uint8Array | undefined> {
    signal.throwIfAborted();
    await this.#options.store.intercept?.('next', this.#options.path);
    signal.throwIfAborted();
    this.#block.fill(0xff);
    const count = this.#text.copy(this.#block, 0, this.#position);
    this.#position += count;
    if (count > 0) return this.#block.subarray(0, count);
    this.#ended = true;
    return undefined;
  }

  close(): Promise<void> {
    if (!this.#closed) this.#options.store.openHandles--;
    this.#closed = true;
    return Promise.resolve();
  }
}
