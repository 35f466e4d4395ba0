import { type Clock, hasCode, isDmgError, type Logger, withDeadline } from '@dmg/base';
import {
  chooseMarks, type ChunkWriter, connectorErrors, missingChunks, type Sink, type SinkJob, type SinkLimits, type SinkState,
  type TableIntake,
} from '@dmg/connector-api';
import type { ChunkRef, DelimitedTextFormat, Mark, Plan, PlanTarget, Receipt, TableColumn } from '@dmg/model';
import { binaryForm } from '../binary-form.ts';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, type TableName } from '../table-name.ts';
import { openCopyChunk } from './copy-chunk.ts';
import { DirectWay } from './direct-way.ts';
import { jobClosed, type JobRecord, JobTables, stands, stateOf } from './job-tables.ts';
import { rightsMissing } from './rights.ts';
import { jobTagPrefix } from './session-tag.ts';
import { SinkSessions } from './sink-sessions.ts';
import { StagedWay } from './staged-way.ts';
import { sweep } from './sweep.ts';
import { readTable, writableColumns } from './target-table.ts';
import { inTransaction } from './transaction.ts';
import type { WriteMode } from './write-mode.ts';
import type { WriteWay } from './write-way.ts';

export interface TableSinkSettings {
  readonly table: TableName;
  /** SQL that runs once, together with the plan, or with the end of a staged copy; empty for none. */
  readonly preCopyScript: string;
  readonly autoCreate: boolean;
  readonly mode: WriteMode;
}

export interface TableSinkOptions extends TableSinkSettings {
  readonly job: SinkJob;
  /** Opens a session with the tag of this attempt. */
  readonly open: (signal: AbortSignal) => Promise<Session>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long another attempt may hold a lock that this one waits for, before it is ended. Default 5 s. */
  readonly blockerPatienceMs?: number;
}

const mebibyte = 1024 * 1024;
const parallelChunks = 4;

/** A chunk is one transaction, in which rows are a stream; so the size of parts is what is good to hand over at once. */
const limits: SinkLimits = {
  partBytes: mebibyte,
  partBytesMax: 16 * mebibyte,
  partsPerTargetMax: 2 ** 31 - 1,
  chunksPerTargetMax: 2 ** 31 - 1,
  parallelParts: parallelChunks,
  partsInOrder: true,
  parallelChunks,
};

/**
 * The text format of COPY. A line `\.` inside quotes ends CSV on servers before 17; here every backslash of a value is escaped.
 * https://www.postgresql.org/docs/current/sql-copy.html
 */
const text: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: '\t', rowDelimiter: '\n', quoteChar: '', escapeChar: '\\', nullValue: '\\N',
  firstRowAsHeader: false, encodingName: 'UTF-8 without BOM', skipLineCount: 0, quoteAllText: false,
};

/** Whoever aborts wants others to stop, and soon. */
const abortPatienceMs = 300;
/** How long it may take to find out why a session was lost. */
const explainLimitMs = 2000;

/**
 * A table as a sink. Plan, marks and phase are rows of two tables in the schema of the target (`job-tables.ts`); where the rows of chunks
 * go, and when they show, is the way's business. DESIGN-RULES 3 and 4 say why each step is where it is.
 */
export class PostgresTableSink implements Sink {
  readonly limits = limits;
  readonly atomicPublish = 'yes';
  readonly table: TableIntake;
  readonly beginsAnew: 'always' | 'unmarked';
  readonly #options: TableSinkOptions;
  readonly #path: string;
  readonly #sessions: SinkSessions;
  readonly #tables: JobTables;
  readonly #way: WriteWay;

  constructor(options: TableSinkOptions) {
    const { open, clock, logger, job, table, mode } = options;
    this.#options = options;
    this.#path = formatTableName(table);
    this.#sessions = new SinkSessions({ open, clock, logger, tagPrefix: jobTagPrefix(job.jobId), idleMax: parallelChunks + 1 });
    this.#tables = new JobTables(table.schema, logger);
    const owner = { jobs: this.#tables.jobs, jobId: job.jobId };
    this.#way = mode.kind === 'direct' ? new DirectWay({ ...options, ...owner }) : new StagedWay({ ...options, ...mode, ...owner });
    // Rows that are in the target itself cannot be told from others any more.
    this.beginsAnew = mode.kind === 'staged' ? 'always' : 'unmarked';
    this.table = { text, ownForm: binaryForm, path: this.#path, columns: (path, signal) => this.#columns(path, signal) };
  }

  async state(signal: AbortSignal): Promise<SinkState> {
    try {
      return stateOf(await this.#sessions.use(signal, (session) => this.#read(session, signal)));
    } catch (error) {
      throw await this.#explained(error, signal);
    }
  }

  /** The base of a table is its object id: when it has another one at the end, rows that were written are gone. */
  async bases(paths: readonly string[], signal: AbortSignal): Promise<string[]> {
    for (const path of paths) this.#checkPath(path);
    signal.throwIfAborted();
    if (paths.length === 0) return [];
    const found = await this.#sessions.use(signal, (session) => readTable(session, this.#options.table, signal));
    return paths.map(() => found?.oid ?? 'absent');
  }

  /**
   * One transaction: the plan, and what belongs to it (see `WriteWay`). So a pre-copy script runs once, with the plan, and a second
   * attempt cannot take away what the first one has copied.
   */
  insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan> {
    return this.#insertPlan(plan, 'first', signal);
  }

  beginGeneration(plan: Plan, signal: AbortSignal): Promise<Plan> {
    return this.#insertPlan(plan, 'nextGeneration', signal);
  }

  async marks(plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]> {
    return this.#sessions.use(signal, async (session) => {
      if (!(await this.#tables.exist(session, signal))) throw jobClosed(this.#jobId, { phase: 'none', generation: 0 });
      const { marks, ...standing } = await this.#tables.marks(session, plan, target.target, signal);
      if (!stands(standing, plan)) throw jobClosed(this.#jobId, standing);
      return chooseMarks(target, marks);
    });
  }

  openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal, form?: 'own'): Promise<ChunkWriter> {
    const target = plan.targets[ref.target];
    if (target === undefined) throw new RangeError(`the plan has no target ${ref.target}`);
    const { clock, job, mode } = this.#options;
    return openCopyChunk({
      sessions: this.#sessions, tables: this.#tables, plan, into: this.#way.intoTable(plan, target), direct: mode.kind === 'direct',
      target, ref, form: form ?? 'text', clock, attemptId: job.attemptId,
      blockerPatienceMs: this.#patienceMs, explained: (error, caller) => this.#explained(error, caller, plan),
    }, signal);
  }

  async finish(plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    // Deferred constraints are checked at the end of the transaction, for all rows that it has moved.
    const call = { what: 'finish the copy to', path: this.#path, doing: 'write', signal } as const;
    return this.#explaining(signal, async (session) => {
      if (!(await this.#tables.exist(session, signal))) throw this.#marksMissing(plan, []);
      return this.#sessions.endingBlockers(session, { patienceMs: this.#patienceMs, sparing: 'atWork' }, () =>
        inTransaction(session, call, () => this.#finish(session, { plan, receipt }, signal)));
    });
  }

  async abort(signal: AbortSignal): Promise<SinkState> {
    const state = await this.#sessions.use(signal, async (session): Promise<SinkState> => {
      if (!(await this.#tables.createForAbort(session, signal))) return { phase: 'aborted', plan: undefined, receipt: undefined };
      await this.#sessions.endingBlockers(session, { patienceMs: abortPatienceMs }, () =>
        this.#tables.setAborted(session, this.#jobId, this.#options.job.attemptId, signal));
      return stateOf(await this.#tables.read(session, this.#jobId, signal));
    });
    // They cannot commit any more; what they still hold and do is for nothing.
    if (state.phase !== 'aborted') return state;
    await this.#sessions.endOthers(signal);
    // In a transaction of its own: a chunk holds its staging table while it waits for the job's row.
    await this.#sessions.use(signal, (session) => this.#way.clear(session, undefined, signal));
    return state;
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  get #jobId(): string {
    return this.#options.job.jobId;
  }

  get #patienceMs(): number {
    return this.#options.blockerPatienceMs ?? 5000;
  }

  async #columns(path: string, signal: AbortSignal): Promise<readonly TableColumn[] | undefined> {
    this.#checkPath(path);
    const found = await this.#sessions.use(signal, (session) => readTable(session, this.#options.table, signal));
    return found === undefined ? undefined : writableColumns(found);
  }

  async #read(session: Session, signal: AbortSignal): Promise<JobRecord | undefined> {
    return (await this.#tables.exist(session, signal)) ? this.#tables.read(session, this.#jobId, signal) : undefined;
  }

  async #insertPlan(plan: Plan, which: 'first' | 'nextGeneration', signal: AbortSignal): Promise<Plan> {
    signal.throwIfAborted();
    for (const target of plan.targets) this.#checkPath(target.path);
    const patience = { patienceMs: this.#patienceMs, sparing: 'atWork' } as const;
    return this.#explaining(signal, async (session) => {
      await this.#tables.create(session, signal);
      const inserted = await this.#sessions.endingBlockers(session, patience, () => this.#insert(session, plan, which, signal));
      if (inserted) {
        if (which === 'nextGeneration') await this.#way.clear(session, plan, signal);
        else await sweep(session, { jobs: this.#tables.jobs, chunks: this.#tables.chunks, logger: this.#options.logger }, signal);
        return plan;
      }
      const record = await this.#tables.read(session, this.#jobId, signal);
      const standing = stateOf(record).plan;
      if (standing === undefined) throw jobClosed(this.#jobId, record ?? { phase: 'none', generation: 0 });
      return standing;
    });
  }

  /** False when this plan or a later one stands, or the job is closed. */
  async #insert(session: Session, plan: Plan, which: 'first' | 'nextGeneration', signal: AbortSignal): Promise<boolean> {
    const { attemptId } = this.#options.job;
    return inTransaction(session, { what: 'write the plan of', path: this.#path, signal }, async () => {
      const changed = which === 'first' ? await this.#tables.insert(session, plan, attemptId, signal)
        : await this.#tables.setGeneration(session, { plan, attemptId, beginsAnew: this.beginsAnew }, signal);
      if (!changed) return false;
      await this.#tables.setTable(session, plan.jobId, await this.#way.prepare(session, plan, signal), signal);
      return true;
    });
  }

  async #finish(session: Session, { plan, receipt }: { plan: Plan; receipt: Receipt }, signal: AbortSignal): Promise<Receipt> {
    const record = await this.#tables.readLocked(session, this.#jobId, this.#way.endsSlowly ? 'patient' : 'impatient', signal);
    if (record === undefined) throw this.#marksMissing(plan, []);
    const state = stateOf(record);
    if (state.receipt !== undefined) return state.receipt;
    if (state.plan === undefined || !stands(record, plan)) throw jobClosed(this.#jobId, record);
    const { marks } = await this.#tables.marks(session, state.plan, undefined, signal);
    if (missingOf(state.plan, marks) > 0) throw this.#marksMissing(state.plan, marks);
    await this.#way.publish(session, { plan: state.plan, marks, tableOid: record.tableOid ?? undefined }, signal);
    await this.#tables.setDone(session, receipt, this.#jobId, signal);
    return receipt;
  }

  #marksMissing(plan: Plan, marks: readonly Mark[]): Error {
    return connectorErrors.MARKS_MISSING.create({ jobId: this.#jobId, missing: missingOf(plan, marks) });
  }

  /** Work in a session that a script may run in, with errors explained. */
  async #explaining<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    let session: Session | undefined;
    try {
      session = await this.#sessions.take(signal);
      return await work(session);
    } catch (error) {
      throw await this.#explained(error, signal);
    } finally {
      // A script may have changed settings of the session.
      if (session !== undefined && this.#options.preCopyScript === '') this.#sessions.give(session);
      else if (session !== undefined) await this.#sessions.drop(session);
    }
  }

  /** An error that may have come about because the job, or this plan of it, is closed, or that the server words too briefly. */
  async #explained(error: unknown, signal: AbortSignal, plan?: Plan): Promise<unknown> {
    if (signal.aborted || !isDmgError(error) || hasCode(error, connectorErrors.MARKS_MISSING.code)) return error;
    const denied = hasCode(error, connectorErrors.ACCESS_DENIED.code);
    // The staging table of an earlier generation is gone.
    const missing = hasCode(error, postgresqlErrors.TABLE_MISSING.code);
    if (!denied && !missing && error.retry === 'never') return error;
    try {
      const limit = { clock: this.#options.clock, limitMs: explainLimitMs, what: `read the state of the job in ${this.#path}`, signal };
      return await withDeadline(limit, async (given) => (await (denied ? this.#rightsMissing(given) : this.#closed(given, plan))) ?? error);
    } catch {
      // The store cannot be asked now, which is what `error` says already.
      return error;
    }
  }

  async #closed(signal: AbortSignal, plan: Plan | undefined): Promise<Error | undefined> {
    const record = await this.#sessions.use(signal, (session) => this.#read(session, signal));
    if (record === undefined || (record.phase === 'open' && (plan === undefined || stands(record, plan)))) return undefined;
    return jobClosed(this.#jobId, record);
  }

  async #rightsMissing(signal: AbortSignal): Promise<Error | undefined> {
    const { mode, table, autoCreate } = this.#options;
    const staged = mode.kind === 'staged' ? mode : undefined;
    return this.#sessions.use(signal, (session) => rightsMissing(session, {
      table, autoCreate, jobs: this.#tables.jobs, chunks: this.#tables.chunks, upsert: staged?.upsert !== undefined,
      stageSchema: staged === undefined ? undefined : staged.interimSchema ?? table.schema,
    }, signal));
  }

  #checkPath(path: string): void {
    if (path !== this.#path) throw new RangeError(`the sink writes ${this.#path}, not ${path}`);
  }
}

function missingOf(plan: Plan, marks: readonly Mark[]): number {
  const byTarget = Map.groupBy(marks, (mark) => mark.target);
  return plan.targets.reduce((sum, target) => sum + missingChunks(target, chooseMarks(target, byTarget.get(target.target) ?? [])), 0);
}
