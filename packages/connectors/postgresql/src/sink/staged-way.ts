import type { Logger } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { Mark, Plan, PlanTarget, TableColumn } from '@dmg/model';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, quoteTableName, type TableName } from '../table-name.ts';
import { runScript } from './pre-copy-script.ts';
import { clearStages, createStage, dropStages, plannedDefinition, type Stage, stageDefinition, StageSet } from './staging.ts';
import { type CatalogueTable, checkPlanColumns, createTable, readTable } from './target-table.ts';
import { checkMove, countsAll, type Move, runMove, upsertKeys } from './upsert.ts';
import type { UpsertMode } from './write-mode.ts';
import type { WriteWay } from './write-way.ts';

export interface StagedWayOptions {
  readonly table: TableName;
  readonly jobs: TableName;
  readonly jobId: string;
  readonly preCopyScript: string;
  readonly autoCreate: boolean;
  readonly interimSchema: string | undefined;
  readonly upsert: UpsertMode | undefined;
  readonly logger: Logger;
}

/**
 * Chunks are copied into tables of the job's own, with their marks; the transaction that ends the job runs the script, makes the
 * table where that is wanted, and moves the rows. Until then the target is as it was.
 */
export class StagedWay implements WriteWay {
  readonly endsSlowly = true;
  readonly #options: StagedWayOptions;
  readonly #path: string;
  readonly #sets = new WeakMap<Plan, StageSet>();

  constructor(options: StagedWayOptions) {
    this.#options = options;
    this.#path = formatTableName(options.table);
  }

  async prepare(session: Session, plan: Plan, signal: AbortSignal): Promise<string | undefined> {
    const { table, autoCreate, jobs, jobId } = this.#options;
    const { stages } = this.#stagesOf(plan);
    const found = await readTable(session, table, signal);
    if (plan.targets.length === 0) return undefined;
    if (found === undefined && !autoCreate) throw this.#missing(session);
    if (found !== undefined) checkPlanColumns(table, found, plan);
    const keys = await this.#keys(session, { found, stages }, signal);
    await this.#checkInterimSchema(session, signal);
    for (const stage of stages) {
      const definition = found === undefined ? await plannedDefinition(session, stage.columns, signal)
        : await stageDefinition(session, { path: this.#path, oid: found.oid }, stage.columns, signal);
      await createStage(session, { table: stage.table, jobs, jobId, definition }, signal);
      if (found !== undefined) await checkMove(session, this.#move(stage, found, keys), signal);
    }
    return found?.oid;
  }

  intoTable(plan: Plan, target: PlanTarget): TableName {
    return this.#stagesOf(plan).of(target)?.table ?? this.#options.table;
  }

  async publish(
    session: Session, job: { plan: Plan; marks: readonly Mark[]; tableOid: string | undefined }, signal: AbortSignal,
  ): Promise<void> {
    const { plan, marks, tableOid } = job;
    const { stages } = this.#stagesOf(plan);
    if (plan.targets.length === 0) return;
    await this.#checkStages(session, stages, signal);
    const table = await this.#target(session, { plan, tableOid }, signal);
    const keys = await this.#keys(session, { found: table, stages }, signal);
    const sent = marks.reduce((sum, mark) => sum + mark.rows, 0);
    let stored = 0;
    for (const stage of stages) {
      const move = this.#move(stage, table, keys);
      const moved = await runMove(session, move, signal);
      stored += countsAll(move) ? moved : await this.#rowsOf(session, stage, signal);
    }
    if (stored !== sent) throw postgresqlErrors.MOVED_DIFFER.create({ path: this.#path, stored, sent });
    await dropStages(session, stages.map((stage) => stage.table), signal);
  }

  async clear(session: Session, keep: Plan | undefined, signal: AbortSignal): Promise<void> {
    const kept = keep === undefined ? [] : this.#stagesOf(keep).stages.map((stage) => stage.table);
    await clearStages(session, { ...this.#options, keep: kept }, signal);
  }

  #stagesOf(plan: Plan): StageSet {
    const known = this.#sets.get(plan);
    if (known !== undefined) return known;
    const made = new StageSet(plan, this.#options.interimSchema ?? this.#options.table.schema);
    this.#sets.set(plan, made);
    return made;
  }

  /** The table as the script has left it; made now where there is none. */
  async #target(
    session: Session, { plan, tableOid }: { plan: Plan; tableOid: string | undefined }, signal: AbortSignal,
  ): Promise<CatalogueTable> {
    const { table, autoCreate, preCopyScript, upsert } = this.#options;
    const before = await readTable(session, table, signal);
    if (tableOid !== undefined && before?.oid !== tableOid) throw connectorErrors.TARGET_CHANGED.create({ path: this.#path });
    await runScript(session, { path: this.#path, script: preCopyScript }, signal);
    let found = preCopyScript === '' ? before : await readTable(session, table, signal);
    if (found === undefined && autoCreate) {
      const columns = plan.targets.find((target) => (target.columns ?? []).length > 0)?.columns ?? [];
      await createTable(session, { name: table, columns, ...(upsert?.keys === undefined ? {} : { unique: upsert.keys }) }, signal);
      found = await readTable(session, table, signal);
    }
    if (found === undefined) throw this.#missing(session);
    checkPlanColumns(table, found, plan);
    return found;
  }

  /** Undefined where rows are only added. */
  async #keys(
    session: Session, { found, stages }: { found: CatalogueTable | undefined; stages: readonly Stage[] }, signal: AbortSignal,
  ): Promise<readonly string[] | undefined> {
    const { table, upsert } = this.#options;
    const [first] = stages;
    if (upsert === undefined || first === undefined) return undefined;
    if (stages.length > 1) {
      throw connectorErrors.TARGET_BLOCKED.create({
        path: this.#path, reason: 'its sources have different columns, and rows are upserted by one set of them',
        remedy: 'Map the same columns for all files, or copy the others by an activity of their own.',
      });
    }
    const written: readonly TableColumn[] = first.columns;
    return upsertKeys(session, { name: table, table: found, mode: upsert, written }, signal);
  }

  #move(stage: Stage, table: CatalogueTable, keys: readonly string[] | undefined): Move {
    return { from: stage.table, into: this.#options.table, table, columns: stage.columns, keys };
  }

  async #rowsOf(session: Session, { table }: Stage, signal: AbortSignal): Promise<number> {
    const call = { what: 'count the rows of', path: formatTableName(table), signal, limitMs: session.statementLimitMs };
    const [row] = await session.query(call, `SELECT count(*) AS rows FROM ${quoteTableName(table)}`);
    return Number(row?.rows ?? 0);
  }

  async #checkStages(session: Session, stages: readonly Stage[], signal: AbortSignal): Promise<void> {
    for (const { table } of stages) {
      const stage = quoteTableName(table);
      const [row] = await session.query({ what: 'look for', path: stage, signal }, 'SELECT to_regclass($1)::text AS found', [stage]);
      if (row?.found === null) throw postgresqlErrors.STAGE_LOST.create({ path: this.#path, stage: formatTableName(table) });
    }
  }

  async #checkInterimSchema(session: Session, signal: AbortSignal): Promise<void> {
    const { interimSchema } = this.#options;
    if (interimSchema === undefined) return;
    const rows = await session.query(
      { what: 'look for the interim schema at', signal }, 'SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [interimSchema],
    );
    if (rows.length > 0) return;
    throw connectorErrors.BAD_SETTING.create({
      name: 'interimSchemaName', reason: `there is no schema ${interimSchema}`,
      remedy: 'Create the schema, or leave interimSchemaName out; names are case-sensitive.',
    });
  }

  #missing(session: Session): Error {
    return postgresqlErrors.TABLE_MISSING.create({ path: this.#path, store: session.store });
  }
}
