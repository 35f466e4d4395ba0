import type { Mark, Phase, Plan, Receipt, TableColumn } from '@dmg/model';
import type { MemoryCell } from './memory-table-text.ts';

export interface MemoryTable {
  readonly columns: readonly TableColumn[];
  readonly rows: MemoryCell[][];
}

export interface MemoryTableJob {
  phase: Phase;
  plan: Plan | undefined;
  receipt: Receipt | undefined;
  readonly marks: Map<string, Mark>;
  /** Rows that the job has added, where they can be discarded. */
  readonly added: Set<MemoryCell[]>;
}

export type MemoryTableCall =
  | 'columns' | 'partition' | 'open' | 'next' | 'state' | 'bases' | 'insertPlan' | 'marks' | 'openChunk' | 'writePart' | 'mark'
  | 'finish' | 'abort' | 'beginGeneration' | 'join';

/** A database in memory. Tests look into it and change it directly, as a stranger would. */
export class MemoryTableStore {
  readonly tables = new Map<string, MemoryTable>();
  readonly jobs = new Map<string, MemoryTableJob>();
  /** Snapshots by their key, each as long as somebody holds it. */
  readonly snapshots = new Map<string, { readonly tables: ReadonlyMap<string, MemoryCell[][]>; holders: number }>();
  /** Runs of pre-copy scripts, by job. */
  readonly scripts: string[] = [];
  openHandles = 0;
  /** Runs before each call; may wait or throw. */
  intercept: ((call: MemoryTableCall, subject: string) => Promise<void> | void) | undefined;

  /** A table of text columns; a column that ends with `#` is an Int32. */
  create(name: string, columns: readonly string[], rows: readonly (readonly MemoryCell[])[] = []): MemoryTable {
    const table: MemoryTable = { columns: columns.map(columnOf), rows: rows.map((row) => [...row]) };
    this.tables.set(name, table);
    return table;
  }

  job(jobId: string): MemoryTableJob {
    let job = this.jobs.get(jobId);
    if (job === undefined) {
      job = { phase: 'none', plan: undefined, receipt: undefined, marks: new Map(), added: new Set() };
      this.jobs.set(jobId, job);
    }
    return job;
  }
}

function columnOf(text: string): TableColumn {
  return text.endsWith('#')
    ? { name: text.slice(0, -1), type: 'Int32', nativeType: 'int', nullable: true }
    : { name: text, type: 'String', nativeType: 'text', nullable: true };
}
