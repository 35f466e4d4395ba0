import { chooseMarks, connectorErrors, missingChunks } from '@dmg/connector-api';
import type { ChunkFacts, ChunkWriter, Sink, SinkJob, SinkLimits, SinkState, TableIntake } from '@dmg/connector-api';
import type { ChunkRef, CopyEnd, Mark, Plan, PlanTarget, Receipt } from '@dmg/model';
import type { MemoryTableCall, MemoryTableJob, MemoryTableStore } from './memory-table-store.ts';
import { memoryForm, readOwnForm, readTableText, tableText } from './memory-table-text.ts';

export interface MemoryTableSinkOptions {
  readonly store: MemoryTableStore;
  readonly table: string;
  readonly job: SinkJob;
  readonly limits: SinkLimits;
  readonly end: CopyEnd;
  /** The sink can begin a new generation. */
  readonly discards?: 'always' | 'unmarked';
}

/** The table sink of the reference connector: a chunk's rows and its mark appear in one step, and stay when the job is aborted. */
export class MemoryTableSink implements Sink {
  readonly atomicPublish = 'yes';
  readonly limits: SinkLimits;
  readonly table: TableIntake;
  readonly beginGeneration?: Sink['beginGeneration'];
  readonly beginsAnew?: 'always' | 'unmarked';
  readonly #options: MemoryTableSinkOptions;
  readonly #chunks = new Set<TableChunk>();
  #closed = false;

  constructor(options: MemoryTableSinkOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.table = {
      text: tableText,
      ownForm: memoryForm,
      path: options.table,
      columns: async (path, signal) => {
        await this.#enter('columns', signal);
        return options.store.tables.get(path)?.columns;
      },
    };
    if (options.discards !== undefined) {
      this.beginsAnew = options.discards;
      this.beginGeneration = (plan, signal) => this.#beginGeneration(plan, signal);
    }
    options.store.openHandles++;
  }

  async state(signal: AbortSignal): Promise<SinkState> {
    await this.#enter('state', signal);
    return this.#state();
  }

  async bases(paths: readonly string[], signal: AbortSignal): Promise<string[]> {
    await this.#enter('bases', signal);
    return paths.map((path) => (this.#options.store.tables.has(path) ? 'table' : 'absent'));
  }

  /** One step: the plan, the table where it is to be created, and the script. */
  async insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan> {
    await this.#enter('insertPlan', signal);
    const { store, table, end, job: { jobId } } = this.#options;
    const job = this.#job;
    if (job.phase === 'none') {
      job.phase = 'open';
      job.plan = structuredClone(plan);
      const [first] = plan.targets;
      if (!store.tables.has(table) && first?.columns !== undefined) store.tables.set(table, { columns: first.columns, rows: [] });
      if (end.settings.preCopyScript !== undefined) {
        store.scripts.push(jobId);
        store.tables.get(table)?.rows.splice(0);
      }
    }
    this.#checkOpen();
    return structuredClone(job.plan ?? plan);
  }

  async marks(plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]> {
    await this.#enter('marks', signal);
    this.#checkOpen(plan);
    return this.#marksOf(target);
  }

  async openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal, form?: 'own'): Promise<ChunkWriter> {
    await this.#enter('openChunk', signal);
    this.#checkOpen(plan);
    const { parallelChunks } = this.limits;
    const open = this.#chunks.size + 1;
    if (parallelChunks !== undefined && open > parallelChunks) throw new RangeError(`${open} chunks are open at once`);
    const chunk = new TableChunk({
      ...this.#options, plan, ref, form, checkOpen: () => this.#checkOpen(plan), ended: () => this.#chunks.delete(chunk),
    });
    this.#chunks.add(chunk);
    return chunk;
  }

  async finish(plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    await this.#enter('finish', signal);
    const job = this.#job;
    if (job.phase === 'open') this.#checkOpen(plan);
    if (job.phase === 'done' && job.receipt !== undefined) return structuredClone(job.receipt);
    if (job.phase === 'aborted') throw this.#closedError();
    const missing = plan.targets.reduce((sum, target) => sum + missingChunks(target, this.#marksOf(target)), 0);
    if (missing > 0 || job.phase === 'none') throw connectorErrors.MARKS_MISSING.create({ jobId: plan.jobId, missing });
    job.phase = 'done';
    job.receipt = structuredClone(receipt);
    return structuredClone(receipt);
  }

  async abort(signal: AbortSignal): Promise<SinkState> {
    await this.#enter('abort', signal);
    if (this.#job.phase !== 'done') this.#job.phase = 'aborted';
    return this.#state();
  }

  async close(): Promise<void> {
    for (const chunk of [...this.#chunks]) await chunk.discard();
    if (!this.#closed) this.#options.store.openHandles--;
    this.#closed = true;
  }

  get #job(): MemoryTableJob {
    return this.#options.store.job(this.#options.job.jobId);
  }

  #state(): SinkState {
    const { phase, plan, receipt } = this.#job;
    return structuredClone({ phase, plan, receipt: phase === 'done' ? receipt : undefined });
  }

  #marksOf(target: PlanTarget): Mark[] {
    return chooseMarks(target, [...this.#job.marks.values()].filter((mark) => mark.target === target.target));
  }

  async #enter(call: MemoryTableCall, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#options.store.intercept?.(call, this.#options.job.jobId);
    signal.throwIfAborted();
  }

  #checkOpen(plan?: Plan): void {
    const job = this.#job;
    if (job.phase !== 'open' || (plan !== undefined && plan.generation !== job.plan?.generation)) throw this.#closedError();
  }

  async #beginGeneration(plan: Plan, signal: AbortSignal): Promise<Plan> {
    await this.#enter('beginGeneration', signal);
    const job = this.#job;
    this.#checkOpen();
    const isKept = this.beginsAnew === 'unmarked' && job.marks.size > 0;
    if (plan.generation > (job.plan?.generation ?? 0) && !isKept) {
      const rows = this.#options.store.tables.get(this.#options.table)?.rows;
      rows?.splice(0, rows.length, ...rows.filter((row) => !job.added.has(row)));
      job.added.clear();
      job.marks.clear();
      job.plan = structuredClone(plan);
    }
    return structuredClone(job.plan ?? plan);
  }

  #closedError(): Error {
    return connectorErrors.JOB_CLOSED.create({ jobId: this.#options.job.jobId, phase: this.#job.phase });
  }
}

interface TableChunkOptions extends MemoryTableSinkOptions {
  readonly plan: Plan;
  readonly ref: ChunkRef;
  readonly form: 'own' | undefined;
  readonly checkOpen: () => void;
  readonly ended: () => void;
}

/** A stream into a transaction: parts come one after the other, and count when the mark is committed. */
class TableChunk implements ChunkWriter {
  readonly #options: TableChunkOptions;
  readonly #parts: Buffer[] = [];
  #busy = false;
  #ended = false;

  constructor(options: TableChunkOptions) {
    this.#options = options;
    options.store.openHandles++;
  }

  async writePart(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#busy || part !== this.#parts.length) throw new RangeError(`part ${part} comes out of order`);
    if (bytes.length !== this.#options.plan.partBytes) throw new RangeError(`part ${part} has ${bytes.length} bytes`);
    this.#busy = true;
    await this.#options.store.intercept?.('writePart', `${this.#name}.${part}`);
    // Lets others come in between, so that who does not wait is seen.
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    this.#parts.push(Buffer.from(bytes));
    this.#busy = false;
  }

  async mark(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }, signal: AbortSignal): Promise<'marked' | 'already'> {
    signal.throwIfAborted();
    const text = Buffer.concat([...this.#parts, last.bytes]);
    if (this.#busy || last.part !== this.#parts.length) throw new RangeError(`the last part ${last.part} comes out of order`);
    await this.#options.store.intercept?.('mark', this.#name);
    signal.throwIfAborted();
    const { store, job, ref, plan, table: name } = this.#options;
    this.#options.checkOpen();
    this.#end();
    const { marks } = store.job(job.jobId);
    const standing = marks.get(this.#name);
    if (standing !== undefined) return standing.attemptId === job.attemptId ? 'marked' : 'already';
    const table = store.tables.get(name);
    const columns = plan.targets[ref.target]?.columns;
    if (table === undefined || columns === undefined) throw connectorErrors.SOURCE_NOT_FOUND.create({ path: name, store: 'the database' });
    const rows = this.#options.form === 'own' ? readOwnForm(text.toString()) : readTableText(text.toString(), columns.length);
    const asSaid = rows.length === facts.rows && text.length === facts.bytes;
    if (!asSaid) throw new RangeError(`${rows.length} rows came, ${facts.rows} were said`);
    const places = columns.map((column) => table.columns.findIndex((other) => other.name === column.name));
    for (const row of rows) {
      const added = table.columns.map((_, place) => row[places.indexOf(place)] ?? null);
      table.rows.push(added);
      store.job(job.jobId).added.add(added);
    }
    marks.set(this.#name, { ...ref, attemptId: job.attemptId, ...facts });
    return 'marked';
  }

  discard(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  get #name(): string {
    return `${this.#options.ref.target}.${this.#options.ref.chunk}`;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.store.openHandles--;
    this.#options.ended();
  }
}
