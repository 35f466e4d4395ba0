import { postgresqlErrors } from '../errors.ts';
import type { Session } from '../client.ts';
import { formatTableName, quoteIdentifier, quoteTableName, type TableName } from '../table-name.ts';

export interface WantedRights {
  readonly table: TableName;
  readonly jobs: TableName;
  readonly chunks: TableName;
  /** Schema of staging tables; undefined where there are none. */
  readonly stageSchema: string | undefined;
  readonly autoCreate: boolean;
  readonly upsert: boolean;
}

/** The error that says which rights the user lacks, as statements that grant them; undefined when none is missing. */
export async function rightsMissing(session: Session, wanted: WantedRights, signal: AbortSignal): Promise<Error | undefined> {
  const { table, jobs, chunks } = wanted;
  const [who] = await session.query({ what: 'look up rights at', signal }, 'SELECT current_user::text AS name');
  const user = who?.name ?? '';
  const grants: string[] = [];
  const tables: [name: TableName, rights: string[]][] = [
    [jobs, ['SELECT', 'INSERT', 'UPDATE', 'DELETE']], [chunks, ['SELECT', 'INSERT', 'UPDATE', 'DELETE']],
    [table, wanted.upsert ? ['INSERT', 'SELECT', 'UPDATE'] : ['INSERT']],
  ];
  let creates = wanted.stageSchema === table.schema;
  for (const [name, rights] of tables) {
    const missing = await missingAt(session, { name, rights }, signal);
    if (missing === undefined) creates ||= name !== table || wanted.autoCreate;
    else if (missing.length > 0) grants.push(`GRANT ${missing.join(', ')} ON ${quoteTableName(name)} TO ${quoteIdentifier(user)};`);
  }
  const schemas = new Map([[table.schema, creates], ...(wanted.stageSchema === undefined ? [] : [[wanted.stageSchema, true] as const])]);
  for (const [schema, create] of schemas) {
    const missing = await missingInSchema(session, { schema, rights: create ? ['USAGE', 'CREATE'] : ['USAGE'] }, signal);
    if (missing.length > 0) grants.push(`GRANT ${missing.join(', ')} ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(user)};`);
  }
  if (grants.length === 0) return undefined;
  return postgresqlErrors.RIGHTS_MISSING.create({ path: formatTableName(table), user, grants: grants.join(' ') });
}

/** Undefined when there is no such table. Rights to columns are as good. */
async function missingAt(
  session: Session, { name, rights }: { name: TableName; rights: readonly string[] }, signal: AbortSignal,
): Promise<string[] | undefined> {
  const rows = await session.query({ what: 'look up rights at', signal }, `
    SELECT w.name, (CASE WHEN w.name = 'DELETE' THEN has_table_privilege(c.oid, w.name)
      ELSE has_any_column_privilege(c.oid, w.name) END)::text AS held
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN jsonb_array_elements_text($3::jsonb) AS w(name)
    WHERE n.nspname = $1 AND c.relname = $2`, [name.schema, name.table, JSON.stringify(rights)]);
  return rows.length === 0 ? undefined : notHeld(rows);
}

async function missingInSchema(
  session: Session, { schema, rights }: { schema: string; rights: readonly string[] }, signal: AbortSignal,
): Promise<string[]> {
  return notHeld(await session.query({ what: 'look up rights at', signal }, `
    SELECT w.name, has_schema_privilege(n.oid, w.name)::text AS held
    FROM pg_catalog.pg_namespace n CROSS JOIN jsonb_array_elements_text($2::jsonb) AS w(name)
    WHERE n.nspname = $1`, [schema, JSON.stringify(rights)]));
}

function notHeld(rows: readonly Readonly<Record<string, string | null>>[]): string[] {
  return rows.flatMap((row) => (row.held === 'true' || row.name === null || row.name === undefined ? [] : [row.name]));
}
