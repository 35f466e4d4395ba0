import { type Clock, hasCode, isDmgError, type Logger, withDeadline } from '@dmg/base';
import {
  chooseMarks, type ChunkWriter, connectorErrors, missingChunks, type Sink, type SinkJob, type SinkLimits, type SinkState,
  type TableIntake,
} from '@dmg/connector-api';
import type { ChunkRef, DelimitedTextFormat, Mark, Plan, PlanTarget, Receipt, TableColumn } from '@dmg/model';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, type TableName } from '../table-name.ts';
import { openCopyChunk } from './copy-chunk.ts';
import { jobClosed, JobTables, stateOf } from './job-tables.ts';
import { runScript } from './pre-copy-script.ts';
import { jobTagPrefix } from './session-tag.ts';
import { SinkSessions } from './sink-sessions.ts';
import { checkColumns, createTable, readTable, writableColumns } from './target-table.ts';
import { inTransaction } from './transaction.ts';

export interface TableSinkSettings {
  readonly table: TableName;
  /** SQL that runs once, together with the plan; empty for none. */
  readonly preCopyScript: string;
  readonly autoCreate: boolean;
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
 * A table as a sink, written directly: a chunk's rows appear when it is committed, and stay when the job fails. Plan, marks and phase
 * are rows of two tables in the schema of the target (`job-tables.ts`); DESIGN-RULES 3 and 4 say why each step is where it is.
 */
export class PostgresTableSink implements Sink {
  readonly limits = limits;
  readonly atomicPublish = 'yes';
  readonly table: TableIntake;
  readonly #options: TableSinkOptions;
  readonly #path: string;
  readonly #sessions: SinkSessions;
  readonly #tables: JobTables;

  constructor(options: TableSinkOptions) {
    const { open, clock, logger, job, table } = options;
    this.#options = options;
    this.#path = formatTableName(table);
    this.#sessions = new SinkSessions({ open, clock, logger, tagPrefix: jobTagPrefix(job.jobId), idleMax: parallelChunks + 1 });
    this.#tables = new JobTables(table.schema, logger);
    this.table = { text, path: this.#path, columns: (path, signal) => this.#columns(path, signal) };
  }

  async state(signal: AbortSignal): Promise<SinkState> {
    return this.#sessions.use(signal, async (session) => {
      if (!(await this.#tables.exist(session, signal))) return stateOf(undefined);
      return stateOf(await this.#tables.read(session, this.#jobId, signal));
    });
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
   * One transaction: the plan, the table if it is to be made, the pre-copy script, the check of the columns. So the script runs once,
   * with the plan, and a second attempt cannot take away what the first one has copied.
   */
  async insertPlan(plan: Plan, signal: AbortSignal): Promise<Plan> {
    signal.throwIfAborted();
    for (const target of plan.targets) this.#checkPath(target.path);
    const session = await this.#sessions.take(signal);
    try {
      await this.#tables.create(session, signal);
      const inserted = await this.#sessions.endingBlockers(session, this.#patienceMs, () => this.#insert(session, plan, signal));
      if (inserted) return plan;
      const standing = stateOf(await this.#tables.read(session, this.#jobId, signal));
      if (standing.plan === undefined) throw jobClosed(this.#jobId, standing.phase);
      return standing.plan;
    } catch (error) {
      throw await this.#explained(error, signal);
    } finally {
      // A script may have changed settings of the session.
      if (this.#options.preCopyScript === '') this.#sessions.give(session);
      else await this.#sessions.drop(session);
    }
  }

  async marks(plan: Plan, target: PlanTarget, signal: AbortSignal): Promise<Mark[]> {
    return this.#sessions.use(signal, async (session) => {
      if (!(await this.#tables.exist(session, signal))) throw jobClosed(this.#jobId, 'none');
      const { phase, marks } = await this.#tables.marks(session, plan, target.target, signal);
      if (phase !== 'open') throw jobClosed(this.#jobId, phase);
      return chooseMarks(target, marks);
    });
  }

  openChunk(plan: Plan, ref: ChunkRef, signal: AbortSignal): Promise<ChunkWriter> {
    const target = plan.targets[ref.target];
    if (target === undefined) throw new RangeError(`the plan has no target ${ref.target}`);
    const { table, clock, job } = this.#options;
    return openCopyChunk({
      sessions: this.#sessions, tables: this.#tables, table, plan, target, ref, clock, attemptId: job.attemptId,
      blockerPatienceMs: this.#patienceMs, explained: (error, caller) => this.#explained(error, caller),
    }, signal);
  }

  async finish(plan: Plan, receipt: Receipt, signal: AbortSignal): Promise<Receipt> {
    const call = { what: 'finish the copy to', path: this.#path, signal };
    try {
      return await this.#sessions.use(signal, async (session) => {
        if (!(await this.#tables.exist(session, signal))) throw this.#marksMissing(plan, []);
        return this.#sessions.endingBlockers(session, this.#patienceMs, () =>
          inTransaction(session, call, () => this.#finish(session, { plan, receipt }, signal)));
      });
    } catch (error) {
      throw await this.#explained(error, signal);
    }
  }

  async abort(signal: AbortSignal): Promise<SinkState> {
    const state = await this.#sessions.use(signal, async (session): Promise<SinkState> => {
      if (!(await this.#tables.createForAbort(session, signal))) return { phase: 'aborted', plan: undefined, receipt: undefined };
      await this.#sessions.endingBlockers(session, abortPatienceMs, () =>
        this.#tables.setAborted(session, this.#jobId, this.#options.job.attemptId, signal));
      return stateOf(await this.#tables.read(session, this.#jobId, signal));
    });
    // They cannot commit any more; what they still hold and do is for nothing.
    if (state.phase === 'aborted') await this.#sessions.endOthers(signal);
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

  /** False when a plan stands, or the job is closed. */
  async #insert(session: Session, plan: Plan, signal: AbortSignal): Promise<boolean> {
    const { table, preCopyScript, autoCreate, job } = this.#options;
    return inTransaction(session, { what: 'write the plan of', path: this.#path, signal }, async () => {
      if (!(await this.#tables.insert(session, plan, job.attemptId, signal))) return false;
      const [first] = plan.targets;
      if (autoCreate && first !== undefined && (await readTable(session, table, signal)) === undefined) {
        const wanted = plan.targets.find((target) => (target.columns ?? []).length > 0)?.columns ?? [];
        await createTable(session, table, wanted, signal);
      }
      await runScript(session, { path: this.#path, script: preCopyScript }, signal);
      if (first === undefined) return true;
      const made = await readTable(session, table, signal);
      if (made === undefined) throw postgresqlErrors.TABLE_MISSING.create({ path: this.#path, store: session.store });
      const checked = new Set<string>();
      for (const { columns = [] } of plan.targets) {
        const key = JSON.stringify(columns.map((column) => column.name));
        if (columns.length > 0 && !checked.has(key)) checkColumns(table, made, columns);
        checked.add(key);
      }
      await this.#tables.setTable(session, plan.jobId, made.oid, signal);
      return true;
    });
  }

  async #finish(session: Session, { plan, receipt }: { plan: Plan; receipt: Receipt }, signal: AbortSignal): Promise<Receipt> {
    const record = await this.#tables.read(session, this.#jobId, signal, 'locked');
    if (record === undefined) throw this.#marksMissing(plan, []);
    const state = stateOf(record);
    if (state.receipt !== undefined) return state.receipt;
    if (state.plan === undefined) throw jobClosed(this.#jobId, state.phase);
    const { marks } = await this.#tables.marks(session, state.plan, undefined, signal);
    if (missingOf(state.plan, marks) > 0) throw this.#marksMissing(state.plan, marks);
    const { sameTable } = await this.#tables.readForCommit(session, this.#jobId, this.#options.table, signal);
    if (!sameTable && state.plan.targets.length > 0) throw connectorErrors.TARGET_CHANGED.create({ path: this.#path });
    await this.#tables.setDone(session, receipt, this.#jobId, signal);
    return receipt;
  }

  #marksMissing(plan: Plan, marks: readonly Mark[]): Error {
    return connectorErrors.MARKS_MISSING.create({ jobId: this.#jobId, missing: missingOf(plan, marks) });
  }

  /** A session that was ended from outside: perhaps because the job is closed. */
  async #explained(error: unknown, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted || !isDmgError(error) || error.retry === 'never') return error;
    if (hasCode(error, connectorErrors.MARKS_MISSING.code)) return error;
    try {
      const limit = { clock: this.#options.clock, limitMs: explainLimitMs, what: `read the state of the job in ${this.#path}`, signal };
      const { phase } = await withDeadline(limit, (given) => this.state(given));
      return phase === 'open' || phase === 'none' ? error : jobClosed(this.#jobId, phase);
    } catch {
      // The store cannot be asked now, which is what `error` says already.
      return error;
    }
  }

  #checkPath(path: string): void {
    if (path !== this.#path) throw new RangeError(`the sink writes ${this.#path}, not ${path}`);
  }
}

function missingOf(plan: Plan, marks: readonly Mark[]): number {
  const byTarget = Map.groupBy(marks, (mark) => mark.target);
  return plan.targets.reduce((sum, target) => sum + missingChunks(target, chooseMarks(target, byTarget.get(target.target) ?? [])), 0);
}
