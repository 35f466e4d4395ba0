import type { Connector, SinkLimits } from '@dmg/connector-api';
import { memoryTableConnector, type MemoryTableOptions, MemoryTableStore, type MemoryCell } from '@dmg/connector-testkit';
import type { AttemptOutcome, ColumnMapping, CopyActivity, CopyEnd, DelimitedTextFormat, Job, JsonObject, Translator } from '@dmg/model';
import type { CopyOptions } from '../attempt-options.ts';
import { CopyFixture, csv, makeJob } from './copy-fixture.ts';

export function tableEnd(store: string, table: string, settings: JsonObject = {}): CopyEnd {
  return { connector: 'memory-table', connection: { store }, location: { table }, settings, format: { type: 'Table' } };
}

export function fileEnd(store: 'a' | 'b', format: DelimitedTextFormat = csv, location: JsonObject = {}): CopyEnd {
  const folderPath = store === 'a' ? 'in' : 'out';
  return { connector: 'memory', connection: { store }, location: { folderPath, ...location }, settings: {}, format };
}

export function tableJob(source: CopyEnd, sink: CopyEnd, activity: Partial<CopyActivity> = {}, job: Partial<Job> = {}): Job {
  return makeJob({ activity: { source, sink, ...activity }, job });
}

export function translatorOf(mappings: readonly ColumnMapping[], more: Partial<Translator> = {}): Translator {
  return { mappings, typeConversion: false, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false }, ...more };
}

/** File stores `a` and `b` of a copy fixture beside two databases, `db1` and `db2`. */
export class TableFixture {
  readonly files: CopyFixture;
  readonly db1 = new MemoryTableStore();
  readonly db2 = new MemoryTableStore();
  readonly #tableOptions: Partial<MemoryTableOptions>;

  constructor(options: { fileLimits?: Partial<SinkLimits>; tables?: Partial<MemoryTableOptions>; seed?: number } = {}) {
    this.files = new CopyFixture({
      ...(options.fileLimits === undefined ? {} : { limits: options.fileLimits }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    });
    this.#tableOptions = options.tables ?? {};
  }

  tables(options: Partial<MemoryTableOptions> = {}): Connector {
    return memoryTableConnector({ stores: new Map([['db1', this.db1], ['db2', this.db2]]), ...this.#tableOptions, ...options });
  }

  connectors(wrap: (connector: Connector) => Connector = (connector) => connector): Map<string, Connector> {
    return new Map([['memory', wrap(this.files.connector)], ['memory-table', wrap(this.tables())]]);
  }

  run(job: Job, overrides: Partial<CopyOptions> = {}): Promise<AttemptOutcome> {
    return this.files.run(job, { connectors: this.connectors(), ...overrides });
  }

  text(path: string): string {
    return Buffer.from(this.files.sink.get(`out/${path}`) ?? []).toString();
  }

  get openHandles(): number {
    return this.files.openHandles + this.db1.openHandles + this.db2.openHandles;
  }
}

/** So many rows of a key and a text. */
export function numbered(rows: number, from = 0): MemoryCell[][] {
  return Array.from({ length: rows }, (_, index) => [String(from + index), `name "${from + index}"`]);
}

export function byKey(rows: readonly (readonly MemoryCell[])[] | undefined): (readonly MemoryCell[])[] {
  return (rows ?? []).toSorted((a, b) => Number(a[0]) - Number(b[0]));
}
