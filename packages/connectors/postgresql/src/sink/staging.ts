import { createHash } from 'node:crypto';
import { firstLine, type Logger } from '@dmg/base';
import type { Plan, PlanTarget, TableColumn } from '@dmg/model';
import type { Session } from '../client.ts';
import { quoteIdentifier, quoteLiteral, quoteTableName, type TableName } from '../table-name.ts';
import { columnTypes, type StagedColumn } from './target-table.ts';

/** How long removing a staging table waits for somebody who reads it, a backup say. Then it is left to a later plan. */
const dropPatienceMs = 500;
const prefix = 'dmg_stage_';

/** Rows of all targets that write the same columns. */
export interface Stage {
  readonly table: TableName;
  /** What the text carries, in the order of the first target. */
  readonly columns: readonly TableColumn[];
}

/** Staging tables of a plan: one for each set of columns, so that a column that a source leaves out gets its default at the end. */
export class StageSet {
  readonly stages: readonly Stage[];
  readonly #bySet = new Map<string, Stage>();

  constructor(plan: Plan, schema: string) {
    for (const { columns = [] } of plan.targets) {
      const key = setKey(columns);
      // Nothing is ever written for a source without columns.
      if (columns.length === 0 || this.#bySet.has(key)) continue;
      this.#bySet.set(key, { table: { schema, table: stageName(plan, this.#bySet.size) }, columns });
    }
    this.stages = [...this.#bySet.values()];
  }

  of(target: PlanTarget): Stage | undefined {
    return this.#bySet.get(setKey(target.columns ?? []));
  }
}

function setKey(columns: readonly TableColumn[]): string {
  return JSON.stringify(columns.map((column) => column.name).sort());
}

function stageName({ jobId, generation }: Plan, index: number): string {
  const digest = createHash('sha256').update(jobId).digest('hex').slice(0, 20);
  return `${prefix}${digest}_${generation}${index === 0 ? '' : `_${index}`}`;
}

/** By its comment a staging table is known to be one of ours, and whose. `jobs`: the table in which the job stands. */
function commentParts(jobs: TableName): readonly [before: string, after: string] {
  return ['Rows on their way into a table, of job ', ` in ${quoteTableName(jobs)} of Data Management Gateway`];
}

export interface StageDefinition {
  readonly columns: readonly StagedColumn[];
  /** `CONSTRAINT … CHECK …`, so that a wrong row is refused where its line is known. */
  readonly checks: readonly string[];
}

/**
 * What a staging table for rows of the table `oid` looks like. Types are the target's own; not-null and check constraints are taken
 * over unless a trigger may still change the row. The target needs not be readable for that.
 */
export async function stageDefinition(
  session: Session, target: { path: string; oid: string }, columns: readonly TableColumn[], signal: AbortSignal,
): Promise<StageDefinition> {
  const call = { what: 'read the columns of', path: target.path, signal };
  const names = JSON.stringify(columns.map((column) => column.name));
  const found = await session.query(call, columnsSql, [target.oid, names]);
  const changes = found[0]?.changes === 'true';
  const rows = changes ? [] : await session.query(call, checksSql, [target.oid, names]);
  return {
    columns: found.map((row) => ({
      name: row.name ?? '', type: row.type ?? '', required: row.required === 'true' && !changes,
    })),
    checks: rows.flatMap((row) => (row.definition === null || row.definition === undefined ? [] : [row.definition])),
  };
}

/** A table that is to be made. */
export async function plannedDefinition(
  session: Session, columns: readonly TableColumn[], signal: AbortSignal,
): Promise<StageDefinition> {
  return { columns: await columnTypes(session, columns, signal), checks: [] };
}

/** Bits of `tgtype`: 1 for each row, 2 before, 64 instead, 4 insert. A trigger may stand at a partition. */
const columnsSql = `
WITH RECURSIVE part(oid) AS (
  SELECT $1::oid UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part p ON p.oid = i.inhparent)
SELECT a.attname AS name,
  pg_catalog.format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %I.%I', n.nspname, l.collname) ELSE '' END AS type,
  a.attnotnull::text AS required,
  EXISTS (SELECT FROM pg_catalog.pg_trigger g JOIN part p ON p.oid = g.tgrelid
    WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 5 = 5 AND g.tgtype & 66 <> 0)::text AS changes
FROM jsonb_array_elements_text($2::jsonb) WITH ORDINALITY AS w(name, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::oid AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
ORDER BY w.place`;

/** Only those that need no other column. */
const checksSql = `
SELECT format('CONSTRAINT %I %s', c.conname, pg_catalog.pg_get_constraintdef(c.oid)) AS definition
FROM pg_catalog.pg_constraint c
WHERE c.conrelid = $1::oid AND c.contype = 'c' AND cardinality(c.conkey) > 0 AND c.conkey <@ ARRAY(
  SELECT a.attnum FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1::oid AND a.attnum > 0 AND a.attname IN (SELECT jsonb_array_elements_text($2::jsonb)))
ORDER BY c.conname`;

/** Makes a staging table, in the caller's transaction. One of the same name is left over from a job that nobody knows any more. */
export async function createStage(
  session: Session, stage: { table: TableName; jobs: TableName; jobId: string; definition: StageDefinition }, signal: AbortSignal,
): Promise<void> {
  const { table, jobs, jobId, definition } = stage;
  const name = quoteTableName(table);
  const [before, after] = commentParts(jobs);
  const parts = [
    ...definition.columns.map((column) => `${quoteIdentifier(column.name)} ${column.type}${column.required ? ' NOT NULL' : ''}`),
    ...definition.checks,
  ];
  await session.query({ what: 'create', path: `${table.schema}.${table.table}`, signal }, `
    DROP TABLE IF EXISTS ${name};
    CREATE TABLE ${name} (\n  ${parts.join(',\n  ')}\n);
    COMMENT ON TABLE ${name} IS ${quoteLiteral(`${before}${jobId}${after}`)}`);
}

/**
 * Removes tables as far as that is possible at once: whoever reads one of them, a backup say, is not waited for, and does not keep
 * the caller's transaction from its end.
 */
export async function dropStages(session: Session, tables: readonly TableName[], signal: AbortSignal): Promise<void> {
  const drops = tables.map((table) => `
    BEGIN
      DROP TABLE IF EXISTS ${quoteTableName(table)};
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG 'dmg: a staging table could not be removed yet: %', SQLERRM;
    END;`);
  if (drops.length === 0) return;
  const body = `BEGIN PERFORM set_config('lock_timeout', '${dropPatienceMs}', true);${drops.join('')} END`;
  await session.query({ what: 'remove staging tables at', signal }, `DO ${quoteLiteral(body)}`);
}

/** Staging tables of a job, of every generation. */
export async function stagesOfJob(
  session: Session, job: { jobs: TableName; jobId: string }, signal: AbortSignal,
): Promise<TableName[]> {
  const [before, after] = commentParts(job.jobs);
  return namesOf(await session.query({ what: 'look for staging tables at', signal }, `
    SELECT n.nspname AS schema, c.relname AS name ${stagesFrom} AND d.description = $1`, [`${before}${job.jobId}${after}`]));
}

/** At most so many staging tables of jobs that are over, or that nobody knows any more. */
export async function leftoverStages(
  session: Session, leftover: { jobs: TableName; countMax: number }, signal: AbortSignal,
): Promise<TableName[]> {
  const [before, after] = commentParts(leftover.jobs);
  // One statement sees a staging table and its job at the same moment, or none of the two: they are made in one transaction.
  return namesOf(await session.query({ what: 'look for staging tables at', signal }, `
    SELECT n.nspname AS schema, c.relname AS name ${stagesFrom} AND pg_has_role(c.relowner, 'USAGE')
    AND left(d.description, length($1)) = $1 AND right(d.description, length($2)) = $2
    AND NOT EXISTS (SELECT FROM ${quoteTableName(leftover.jobs)} j WHERE j.phase = 'open' AND d.description = $1 || j.job_id || $2)
    ORDER BY c.oid LIMIT $3::int`, [before, after, leftover.countMax]));
}

const stagesFrom = `FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_catalog.pg_class'::regclass
  WHERE c.relkind = 'r' AND starts_with(c.relname::text, '${prefix}')`;

function namesOf(rows: readonly Readonly<Record<string, string | null>>[]): TableName[] {
  return rows.map((row) => ({ schema: row.schema ?? '', table: row.name ?? '' }));
}

/** Removes the staging tables of a job but those of `keep`. Never throws: what is left over is removed with a later plan. */
export async function clearStages(
  session: Session, job: { jobs: TableName; jobId: string; keep: readonly TableName[]; logger: Logger }, signal: AbortSignal,
): Promise<void> {
  try {
    const kept = new Set(job.keep.map(quoteTableName));
    const found = await stagesOfJob(session, job, signal);
    await dropStages(session, found.filter((table) => !kept.has(quoteTableName(table))), signal);
  } catch (error) {
    job.logger.info({ reason: firstLine(error) }, 'staging tables are left to a later plan');
  }
}
