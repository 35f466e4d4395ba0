import { type Clock, hasCode, withDeadline } from '@dmg/base';
import { type ChunkFacts, type ChunkWriter, connectorErrors } from '@dmg/connector-api';
import type { ChunkRef, Plan, PlanTarget } from '@dmg/model';
import { binaryOptions } from '../binary-form.ts';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, quoteIdentifier, quoteTableName, type TableName } from '../table-name.ts';
import { CopyIn } from './copy-in.ts';
import { jobClosed, type JobTables, stands } from './job-tables.ts';
import type { SinkSessions } from './sink-sessions.ts';
import { readTable } from './target-table.ts';
import { begin, rollback } from './transaction.ts';

export interface CopyChunkOptions {
  readonly sessions: SinkSessions;
  readonly tables: JobTables;
  /** The table that rows are copied into. */
  readonly into: TableName;
  /** That is the target itself. */
  readonly direct: boolean;
  readonly plan: Plan;
  readonly target: PlanTarget;
  readonly ref: ChunkRef;
  readonly form: 'text' | 'own';
  readonly attemptId: string;
  readonly clock: Clock;
  /** How long another attempt may hold what this one waits for. */
  readonly blockerPatienceMs: number;
  /** Says what a passing error comes from, where the job has been closed meanwhile. */
  readonly explained: (error: unknown, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Begins a chunk: its transaction is open, its mark inserted, its COPY waits for rows. A chunk that is in already needs no session.
 * The mark comes first, so that a second writer waits here and not at a key of the table (DESIGN-RULES 3).
 */
export async function openCopyChunk(options: CopyChunkOptions, signal: AbortSignal): Promise<ChunkWriter> {
  const { sessions, tables, plan, ref, target, attemptId, blockerPatienceMs } = options;
  const session = await sessions.take(signal);
  try {
    const call = { what: 'write', path: target.path, signal };
    const busy = (): Error => connectorErrors.CHUNK_BUSY.create({ path: target.path, chunk: ref.chunk });
    const { inserted, ...standing } = await sessions.awaitingWriter(session, { patienceMs: blockerPatienceMs, busy }, async () => {
      await begin(session, call);
      return tables.insertMark(session, plan, ref, attemptId, signal);
    });
    if (!stands(standing, plan)) throw jobClosed(plan.jobId, standing);
    if (!inserted) {
      await rollback(session);
      sessions.give(session);
      return chunkThatIsIn;
    }
    const chunk = new CopyChunk(options, session);
    await chunk.start(signal);
    return chunk;
  } catch (error) {
    await sessions.drop(session);
    throw await options.explained(error, signal);
  }
}

const chunkThatIsIn: ChunkWriter = {
  writePart(_part, _bytes, signal) {
    signal.throwIfAborted();
    return Promise.resolve();
  },
  mark(_facts, _last, signal) {
    signal.throwIfAborted();
    return Promise.resolve('already');
  },
  discard: () => Promise.resolve(),
};

/** One chunk on its way into the table: mark, rows and counts in one transaction, which ends with the check that the job is open. */
class CopyChunk implements ChunkWriter {
  readonly #options: CopyChunkOptions;
  readonly #session: Session;
  readonly #copy: CopyIn | undefined;
  #release: () => void = () => undefined;
  #nextPart = 0;
  /** The session is not ours any more. */
  #over = false;

  constructor(options: CopyChunkOptions, session: Session) {
    const columns = options.target.columns ?? [];
    this.#options = options;
    this.#session = session;
    // A source without columns has no rows; there is no COPY of no columns.
    if (columns.length === 0) return;
    const names = columns.map((column) => quoteIdentifier(column.name)).join(', ');
    const format = options.form === 'own' ? binaryOptions : `FORMAT text, ENCODING 'UTF8'`;
    this.#copy = new CopyIn(`COPY ${quoteTableName(options.into)} (${names}) FROM STDIN WITH (${format})`);
  }

  async start(signal: AbortSignal): Promise<void> {
    const copy = this.#copy;
    if (copy === undefined) return;
    this.#release = this.#session.hold();
    this.#session.client.query(copy);
    const patience = { patienceMs: this.#options.blockerPatienceMs };
    await this.#options.sessions.endingBlockers(this.#session, patience, () => this.#io(signal, () => copy.started));
  }

  async writePart(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#io(signal, () => this.#write(part, bytes));
  }

  async mark(facts: ChunkFacts, last: { part: number; bytes: Uint8Array }, signal: AbortSignal): Promise<'marked' | 'already'> {
    const stored = await this.#io(signal, async () => {
      await this.#write(last.part, last.bytes);
      return this.#copy?.end() ?? 0;
    });
    this.#release();
    try {
      const { target, sessions, blockerPatienceMs } = this.#options;
      if (stored !== facts.rows) throw postgresqlErrors.ROWS_DIFFER.create({ path: target.path, stored, sent: facts.rows });
      await sessions.endingBlockers(this.#session, { patienceMs: blockerPatienceMs }, () => this.#commit(facts, signal));
      this.#over = true;
      sessions.give(this.#session);
      return 'marked';
    } catch (error) {
      throw await this.#failed(error, signal);
    }
  }

  async discard(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    await this.#options.sessions.drop(this.#session);
  }

  async #commit(facts: ChunkFacts, signal: AbortSignal): Promise<void> {
    const { tables, plan, ref, target } = this.#options;
    const session = this.#session;
    await tables.setFacts(session, plan, ref, facts, signal);
    if (target.cutting.kind === 'sequential' && (await tables.contradicts(session, plan, ref, facts, signal))) {
      throw postgresqlErrors.CHUNKS_DIFFER.create({ path: target.path, chunk: ref.chunk });
    }
    const { into, direct, form } = this.#options;
    if (form === 'own') await this.#checkTypes(signal);
    const { sameTable, ...standing } = await tables.readForCommit(session, plan.jobId, direct ? into : undefined, signal);
    if (!stands(standing, plan)) throw jobClosed(plan.jobId, standing);
    if (!sameTable) throw connectorErrors.TARGET_CHANGED.create({ path: target.path });
    // Deferred constraints are checked here, for all rows of the chunk.
    await session.query({ what: 'write', path: target.path, doing: 'write', signal, limitMs: session.statementLimitMs }, 'COMMIT');
  }

  /**
   * Values in the server's own form mean something only together with their types: a column that has another one since the plan was
   * made would take the bytes for something else. COPY has locked the table, so that it cannot change any more.
   */
  async #checkTypes(signal: AbortSignal): Promise<void> {
    const { into, target } = this.#options;
    const found = new Map((await readTable(this.#session, into, signal))?.columns.map(({ name, nativeType }) => [name, nativeType]));
    const isSame = (target.columns ?? []).every(({ name, nativeType }) => found.get(name) === nativeType);
    if (!isSame) throw connectorErrors.TARGET_CHANGED.create({ path: target.path });
  }

  async #write(part: number, bytes: Uint8Array): Promise<void> {
    if (part !== this.#nextPart) throw new RangeError(`part ${part} was handed over where part ${this.#nextPart} was expected`);
    this.#nextPart++;
    if (this.#copy === undefined && bytes.length > 0) throw new RangeError(`rows without columns for ${this.#options.target.path}`);
    await this.#copy?.write(bytes);
  }

  /** Work on COPY's own messages. When it is given up, so is the session. */
  async #io<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { clock, target } = this.#options;
    const session = this.#session;
    const call = { what: 'write', path: target.path, doing: 'write', signal } as const;
    try {
      return await withDeadline({ clock, limitMs: session.statementLimitMs, what: `write ${target.path}`, signal }, (given) => {
        given.addEventListener('abort', () => void session.abandon(), { once: true });
        return work();
      });
    } catch (error) {
      throw await this.#failed(session.mapped(error, call), signal);
    }
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<unknown> {
    await this.discard();
    const explained = await this.#options.explained(error, signal);
    const { direct, into, target } = this.#options;
    if (direct || !hasCode(explained, postgresqlErrors.TABLE_MISSING.code)) return explained;
    return postgresqlErrors.STAGE_LOST.create({ path: target.path, stage: formatTableName(into) });
  }
}
