import { firstLine, hasCode, type Logger } from '@dmg/base';
import { type ChunkFacts, connectorErrors, type SinkState } from '@dmg/connector-api';
import type { ChunkRef, Mark, Phase, Plan, Receipt } from '@dmg/model';
import type { Call, Row, Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, quoteTableName, type TableName } from '../table-name.ts';
import { lockClass } from './advisory-lock.ts';
import { inTransaction } from './transaction.ts';

/** Everything of a job but its marks. */
export interface JobRecord {
  readonly phase: Phase;
  readonly generation: number;
  /** Object id of the target; null where it is made when the job ends. */
  readonly tableOid: string | null;
  readonly plan: string | null;
  readonly receipt: string | null;
}

/**
 * The two tables in the target's schema in which plan, marks and phase of every job are kept, and all SQL that reads and writes them.
 * Every method is one statement in the caller's transaction, if there is one.
 */
export class JobTables {
  readonly jobs: TableName;
  readonly chunks: TableName;
  readonly #schema: string;
  readonly #job: string;
  readonly #chunk: string;
  readonly #path: string;
  readonly #logger: Logger;
  #known = false;

  constructor(schema: string, logger: Logger) {
    this.jobs = { schema, table: 'dmg_job' };
    this.chunks = { schema, table: 'dmg_chunk' };
    this.#schema = schema;
    this.#job = quoteTableName(this.jobs);
    this.#chunk = quoteTableName(this.chunks);
    this.#path = formatTableName(this.jobs);
    this.#logger = logger;
  }

  /** True when both tables are there, as this version needs them. */
  async exist(session: Session, signal: AbortSignal): Promise<boolean> {
    if (this.#known) return true;
    const [row] = await session.query(
      this.#call('look for', signal),
      `SELECT (to_regclass($1) IS NOT NULL AND EXISTS (SELECT 1 FROM pg_attribute
         WHERE attrelid = to_regclass($2) AND attname = 'rows_skipped' AND NOT attisdropped))::text AS found`, [this.#job, this.#chunk],
    );
    this.#known = row?.found === 'true';
    return this.#known;
  }

  /** Makes the tables if they are not there, whoever else does so at the same moment. In no transaction. */
  async create(session: Session, signal: AbortSignal): Promise<void> {
    if (await this.exist(session, signal)) return;
    const call = this.#call('create', signal);
    await inTransaction(session, call, async () => {
      await session.query(call, 'SELECT pg_advisory_xact_lock($1, hashtext($2))', [lockClass, this.#schema]);
      await session.query(call, this.#definition);
    });
    this.#known = true;
  }

  get #definition(): string {
    return `
      CREATE TABLE IF NOT EXISTS ${this.#job} (
        job_id text PRIMARY KEY,
        generation integer NOT NULL,
        phase text NOT NULL CHECK (phase IN ('open', 'done', 'aborted')),
        attempt_id text NOT NULL,
        plan text,
        table_oid oid,
        receipt text,
        created_at timestamp with time zone NOT NULL DEFAULT now(),
        updated_at timestamp with time zone NOT NULL DEFAULT now()
      );
      CREATE TABLE IF NOT EXISTS ${this.#chunk} (
        job_id text NOT NULL,
        generation integer NOT NULL,
        target integer NOT NULL,
        chunk integer NOT NULL,
        attempt_id text NOT NULL,
        bytes bigint NOT NULL,
        rows bigint NOT NULL,
        hash text NOT NULL,
        source_start bigint NOT NULL,
        source_end bigint NOT NULL,
        marked_at timestamp with time zone NOT NULL DEFAULT now(),
        PRIMARY KEY (job_id, generation, target, chunk)
      );
      ALTER TABLE ${this.#chunk} ADD COLUMN IF NOT EXISTS rows_skipped bigint NOT NULL DEFAULT 0;
      COMMENT ON TABLE ${this.#job} IS 'Copies of Data Management Gateway into tables of this schema: what was planned, and how it ended.';
      COMMENT ON TABLE ${this.#chunk} IS 'Chunks of copies of Data Management Gateway that are in, each committed together with its rows.'`;
  }

  /** The job, or undefined when nothing of it is there. */
  async read(session: Session, jobId: string, signal: AbortSignal): Promise<JobRecord | undefined> {
    const [row] = await session.query(this.#call('read', signal), this.#recordSql, [jobId]);
    return row === undefined ? undefined : recordOf(row);
  }

  /**
   * The same; nobody else changes it before this transaction ends. `patient`: whoever has it now may take as long as it likes.
   */
  async readLocked(
    session: Session, jobId: string, patience: 'patient' | 'impatient', signal: AbortSignal,
  ): Promise<JobRecord | undefined> {
    const call = this.#longCall('read', session, signal);
    const patient = patience === 'patient';
    if (patient) {
      await session.query(call, `SELECT set_config('dmg.lock_timeout', current_setting('lock_timeout'), true),
        set_config('lock_timeout', '0', true)`);
    }
    const [row] = await session.query(call, `${this.#recordSql} FOR UPDATE`, [jobId]);
    if (patient) await session.query(call, "SELECT set_config('lock_timeout', current_setting('dmg.lock_timeout'), true)");
    return row === undefined ? undefined : recordOf(row);
  }

  get #recordSql(): string {
    return `SELECT phase, generation, table_oid::text AS table_oid, plan, receipt FROM ${this.#job} WHERE job_id = $1`;
  }

  /** Inserts the job with its plan; false when there is one already. Waits while another transaction is inserting it. */
  async insert(session: Session, plan: Plan, attemptId: string, signal: AbortSignal): Promise<boolean> {
    const inserted = await session.execute(
      this.#longCall('write', session, signal),
      `INSERT INTO ${this.#job} (job_id, generation, phase, attempt_id, plan) VALUES ($1, $2, 'open', $3, $4)
       ON CONFLICT (job_id) DO NOTHING`,
      [plan.jobId, plan.generation, attemptId, JSON.stringify(plan)],
    );
    return inserted === 1;
  }

  /**
   * Makes `plan` the one that stands if an earlier generation is open; false when not, or where it has marks that cannot be taken back.
   * Waits for chunks that are being committed; those that come later find the new generation.
   */
  async setGeneration(
    session: Session, next: { plan: Plan; attemptId: string; beginsAnew: 'always' | 'unmarked' }, signal: AbortSignal,
  ): Promise<boolean> {
    const { plan, attemptId, beginsAnew } = next;
    const open = await session.query(
      this.#longCall('write', session, signal),
      `SELECT 1 FROM ${this.#job} WHERE job_id = $1 AND phase = 'open' AND generation < $2 FOR UPDATE`, [plan.jobId, plan.generation],
    );
    if (open.length === 0) return false;
    // In a statement of its own, which sees the chunks that were waited for.
    const marked = beginsAnew === 'always' ? []
      : await session.query(this.#call('read', signal), `SELECT 1 FROM ${this.#chunk} WHERE job_id = $1 LIMIT 1`, [plan.jobId]);
    if (marked.length > 0) return false;
    const sql = `UPDATE ${this.#job} SET generation = $2, attempt_id = $3, plan = $4, updated_at = now() WHERE job_id = $1`;
    await session.execute(this.#call('write', signal), sql, [plan.jobId, plan.generation, attemptId, JSON.stringify(plan)]);
    return true;
  }

  async setTable(session: Session, jobId: string, tableOid: string | undefined, signal: AbortSignal): Promise<void> {
    const sql = `UPDATE ${this.#job} SET table_oid = $2::oid WHERE job_id = $1`;
    await session.execute(this.#call('write', signal), sql, [jobId, tableOid ?? null]);
  }

  async setDone(session: Session, receipt: Receipt, jobId: string, signal: AbortSignal): Promise<void> {
    await session.execute(
      this.#call('write', signal),
      `UPDATE ${this.#job} SET phase = 'done', receipt = $2, updated_at = now() WHERE job_id = $1 AND phase = 'open'`,
      [jobId, JSON.stringify(receipt)],
    );
  }

  /** Sets the phase `aborted` unless the job is done; waits for chunks that are being committed. */
  async setAborted(session: Session, jobId: string, attemptId: string, signal: AbortSignal): Promise<void> {
    await session.execute(
      this.#call('write', signal),
      `INSERT INTO ${this.#job} AS j (job_id, generation, phase, attempt_id) VALUES ($1, 0, 'aborted', $2)
       ON CONFLICT (job_id) DO UPDATE SET phase = 'aborted', updated_at = now() WHERE j.phase = 'open'`, [jobId, attemptId],
    );
  }

  /** Inserts the mark of a chunk, still without facts; false when the chunk is in. Waits while another transaction is writing it. */
  async insertMark(
    session: Session, plan: Plan, ref: ChunkRef, attemptId: string, signal: AbortSignal,
  ): Promise<{ inserted: boolean } & Standing> {
    const rows = await session.query(
      this.#call('write', signal),
      `INSERT INTO ${this.#chunk} (job_id, generation, target, chunk, attempt_id, bytes, rows, hash, source_start, source_end)
       VALUES ($1, $2, $3, $4, $5, 0, 0, '', 0, 0) ON CONFLICT (job_id, generation, target, chunk) DO NOTHING
       RETURNING (SELECT j.phase FROM ${this.#job} j WHERE j.job_id = $1) AS phase,
         (SELECT j.generation FROM ${this.#job} j WHERE j.job_id = $1) AS generation`,
      [plan.jobId, plan.generation, ref.target, ref.chunk, attemptId],
    );
    if (rows.length === 1) return { inserted: true, ...standingOf(rows[0]) };
    const [row] = await session.query(this.#call('read', signal), this.#recordSql, [plan.jobId]);
    return { inserted: false, ...standingOf(row) };
  }

  async setFacts(session: Session, plan: Plan, ref: ChunkRef, facts: ChunkFacts, signal: AbortSignal): Promise<void> {
    await session.execute(
      this.#call('write', signal),
      `UPDATE ${this.#chunk} SET bytes = $5, rows = $6, hash = $7, source_start = $8, source_end = $9, rows_skipped = $10,
         marked_at = clock_timestamp()
       WHERE job_id = $1 AND generation = $2 AND target = $3 AND chunk = $4`,
      [
        plan.jobId, plan.generation, ref.target, ref.chunk, facts.bytes, facts.rows, facts.hash, facts.sourceStart, facts.sourceEnd,
        facts.rowsSkipped ?? 0,
      ],
    );
  }

  /**
   * Phase and table of the job, read so that nobody changes the phase before this transaction ends: the last thing that a chunk's
   * transaction does before its COMMIT. `table`: the target, where rows are written into it; it must be the one of the plan.
   */
  async readForCommit(
    session: Session, jobId: string, table: TableName | undefined, signal: AbortSignal,
  ): Promise<{ sameTable: boolean } & Standing> {
    const [row] = await session.query(
      this.#call('read', signal),
      `SELECT phase, generation, coalesce(table_oid = to_regclass($2)::oid, false)::text AS same
       FROM ${this.#job} WHERE job_id = $1 FOR SHARE`,
      [jobId, table === undefined ? null : quoteTableName(table)],
    );
    return { ...standingOf(row), sameTable: table === undefined || row?.same === 'true' };
  }

  /**
   * True when a neighbour of this chunk is in whose rows do not begin or end where this one's do: only where rows are cut as they
   * come.
   */
  async contradicts(session: Session, plan: Plan, ref: ChunkRef, facts: ChunkFacts, signal: AbortSignal): Promise<boolean> {
    const rows = await session.query(
      this.#call('read', signal),
      `SELECT chunk FROM ${this.#chunk} WHERE job_id = $1 AND generation = $2 AND target = $3
       AND ((chunk = $4::int - 1 AND source_end <> $5::bigint) OR (chunk = $4::int + 1 AND source_start <> $6::bigint))`,
      [plan.jobId, plan.generation, ref.target, ref.chunk, facts.sourceStart, facts.sourceEnd],
    );
    return rows.length > 0;
  }

  /** Marks of all targets, or of one, in order; and the phase, both of one moment. */
  async marks(
    session: Session, plan: Plan, target: number | undefined, signal: AbortSignal,
  ): Promise<{ marks: Mark[] } & Standing> {
    const rows = await session.query(
      this.#call('read', signal),
      `SELECT j.phase, j.generation, c.target, c.chunk, c.attempt_id, c.bytes, c.rows, c.rows_skipped, c.hash, c.source_start, c.source_end
       FROM ${this.#job} j LEFT JOIN ${this.#chunk} c
       ON c.job_id = j.job_id AND c.generation = $2${target === undefined ? '' : ' AND c.target = $3'}
       WHERE j.job_id = $1 ORDER BY c.target, c.chunk`,
      [plan.jobId, plan.generation, ...(target === undefined ? [] : [target])],
    );
    return { ...standingOf(rows[0]), marks: rows.filter((row) => row.chunk !== null).map(markOf) };
  }

  /**
   * Makes the tables for a job that ends without any. False where that is impossible, because the schema is not there or is closed to
   * this user: then no attempt of the job can have written anything there either.
   */
  async createForAbort(session: Session, signal: AbortSignal): Promise<boolean> {
    try {
      await this.create(session, signal);
      return true;
    } catch (error) {
      if (!hasCode(error, postgresqlErrors.TABLE_MISSING.code) && !hasCode(error, connectorErrors.ACCESS_DENIED.code)) throw error;
      this.#logger.info({ reason: firstLine(error) }, 'nothing of this job can stand at the sink');
      return false;
    }
  }

  #call(what: string, signal: AbortSignal): Call {
    return { what, path: this.#path, signal };
  }

  /** Waits for a transaction that may be running a script. */
  #longCall(what: string, session: Session, signal: AbortSignal): Call {
    return { ...this.#call(what, signal), limitMs: session.statementLimitMs };
  }
}

/** Which plan of the job can be carried out, if any. */
export interface Standing {
  readonly phase: Phase;
  readonly generation: number;
}

function standingOf(row: Row | undefined): Standing {
  return { phase: phaseOf(row), generation: Number(row?.generation ?? 0) };
}

function recordOf(row: Row): JobRecord {
  return { ...standingOf(row), tableOid: row.table_oid ?? null, plan: row.plan ?? null, receipt: row.receipt ?? null };
}

function phaseOf(row: Row | undefined): Phase {
  const phase = row?.phase;
  if (phase === 'open' || phase === 'done' || phase === 'aborted') return phase;
  return 'none';
}

function markOf(row: Row): Mark {
  const rowsSkipped = Number(row.rows_skipped);
  return {
    target: Number(row.target), chunk: Number(row.chunk), attemptId: row.attempt_id ?? '', bytes: Number(row.bytes), rows: Number(row.rows),
    ...(rowsSkipped === 0 ? {} : { rowsSkipped }),
    hash: row.hash ?? '', sourceStart: Number(row.source_start), sourceEnd: Number(row.source_end),
  };
}

/** What the record says of the job; only a plan that can still be carried out is given. */
export function stateOf(record: JobRecord | undefined): SinkState {
  if (record === undefined) return { phase: 'none', plan: undefined, receipt: undefined };
  return {
    phase: record.phase,
    plan: record.phase === 'open' && record.plan !== null ? (JSON.parse(record.plan) as Plan) : undefined,
    receipt: record.phase === 'done' && record.receipt !== null ? (JSON.parse(record.receipt) as Receipt) : undefined,
  };
}

export function jobClosed(jobId: string, { phase, generation }: Standing): Error {
  const words: Partial<Record<Phase, string>> = { none: 'not begun', open: `in generation ${generation}` };
  return connectorErrors.JOB_CLOSED.create({ jobId, phase: words[phase] ?? phase });
}

/** True when `plan` is the one that may be carried out. */
export function stands({ phase, generation }: Standing, plan: Plan): boolean {
  return phase === 'open' && generation === plan.generation;
}
