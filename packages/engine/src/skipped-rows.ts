import type { Clock } from '@dmg/base';
import type { SideFile, SideFiles } from '@dmg/connector-api';
import type { SkippedRow } from '@dmg/formats';
import type { CopyLog, Mark } from '@dmg/model';
import type { StoreCalls } from './store-calls.ts';

/** From so many bytes on, rows are written before more are read. */
const flushBytes = 256 * 1024;

export const rowsHeader = ['OriginalRow', 'ErrorCode', 'ErrorMessage', 'FileName', 'RowNumber', 'ColumnName'];
export const sessionHeader = ['Timestamp', 'Level', 'OperationName', 'OperationItem', 'Message'];

/** What names the file of a chunk's skipped rows: one for each chunk and attempt, so that a mark says which of them counts. */
export type SkippedRowsKey = Pick<Mark, 'target' | 'chunk' | 'sourceStart'>;

export function skippedRowsName({ target, chunk, sourceStart, attemptId }: SkippedRowsKey & Pick<Mark, 'attemptId'>): string {
  return `rows-${target}-${chunk}-${sourceStart}-${attemptId}.csv`;
}

export interface SkippedRowsOptions {
  /** Undefined: rows are counted only. */
  readonly log: {
    readonly path: string;
    readonly form: CopyLog['form'];
    readonly open: (signal: AbortSignal) => Promise<SideFiles>;
  } | undefined;
  readonly calls: StoreCalls;
  readonly clock: Clock;
}

/** The rows that one try of one chunk has left out. They are durable, and unseen, before the chunk is marked. */
export class SkippedRows {
  readonly #options: SkippedRowsOptions;
  #file: SideFile | undefined;
  #lines: Buffer[] = [];
  #bytes = 0;
  #count = 0;

  constructor(options: SkippedRowsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes a row; what it needs of it is copied. */
  readonly take = (row: SkippedRow): void => {
    const { log, clock } = this.#options;
    this.#count++;
    if (log === undefined) return;
    const line = log.form === 'rows' ? rowLine(row) : sessionLine(row, clock);
    this.#lines.push(line);
    this.#bytes += line.length;
  };

  /** Writes what has gathered, when it is much. */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#bytes >= flushBytes) await this.#write(signal);
  }

  /** Makes all rows durable; returns how many they are. */
  async end(signal: AbortSignal): Promise<number> {
    if (this.#options.log === undefined || this.#count === 0) return this.#count;
    await this.#write(signal);
    const file = this.#file;
    if (file !== undefined) await this.#options.calls.once(this.#call(signal), (callSignal) => file.end(callSignal));
    this.#file = undefined;
    return this.#count;
  }

  /** Never throws. */
  async discard(): Promise<void> {
    await this.#file?.discard();
    this.#file = undefined;
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { log, calls } = this.#options;
    if (log === undefined || this.#lines.length === 0) return;
    if (this.#file === undefined) {
      const files = await log.open(signal);
      this.#file = await calls.once(this.#call(signal), (callSignal) => files.create(log.path, callSignal));
      this.#lines.unshift(csvLine(log.form === 'rows' ? rowsHeader : sessionHeader));
    }
    const file = this.#file;
    const bytes = Buffer.concat(this.#lines);
    this.#lines = [];
    this.#bytes = 0;
    await calls.once({ ...this.#call(signal), bytes: bytes.length }, (callSignal) => file.append(bytes, callSignal));
  }

  #call(signal: AbortSignal): { what: string; signal: AbortSignal } {
    return { what: 'write skipped rows', signal };
  }
}

function rowLine({ error, row, text }: SkippedRow): Buffer {
  const { file, column } = error.params;
  return csvLine([text, error.code, error.message, shown(file), String(row), shown(column)]);
}

function sessionLine({ error, text }: SkippedRow, clock: Clock): Buffer {
  return csvLine([new Date(clock.wallMs()).toISOString(), 'Warning', 'TabularRowSkip', text, `${error.code}: ${error.message}`]);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** One line of CSV. Bytes of a row are written as they are, whatever their encoding. */
export function csvLine(fields: readonly (string | Uint8Array)[]): Buffer {
  const cells = fields.map((field) => {
    // One character for each byte, so that nothing is changed on the way.
    const text = typeof field === 'string' ? Buffer.from(field).toString('latin1') : Buffer.from(field).toString('latin1');
    return /[",\r\n]/.test(text) || text.startsWith(' ') || text.endsWith(' ') ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return Buffer.from(`${cells.join(',')}\n`, 'latin1');
}
