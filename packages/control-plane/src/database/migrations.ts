import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/**
 * In order. A migration that was released is never changed; the next one is added below it. On SQLite a migration and the note that it
 * ran are not one transaction, so each statement must bear being run twice: a process killed between them starts again.
 */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': { up: (db) => runAll(db, first) },
  '0002-cluster': {
    async up(db) {
      for (const [table, column, definition] of clusterColumns) await addColumn(db, table, column, definition);
      await runAll(db, clusterTables);
    },
  },
};

const first = [
  'create table if not exists meta (key text primary key, value text not null)',
  `create table if not exists factories (
    id text primary key, subscription_id text not null, subscription_key text not null, resource_group text not null,
    resource_group_key text not null, name text not null, name_key text not null, resource text not null, etag text not null,
    created_at integer not null, unique (subscription_key, resource_group_key, name_key))`,
  `create table if not exists definitions (
    factory_id text not null references factories (id) on delete cascade, kind text not null, name text not null, name_key text not null,
    resource text not null, etag text not null, updated_at integer not null, primary key (factory_id, kind, name_key))`,
  `create table if not exists secrets (
    factory_id text not null references factories (id) on delete cascade, linked_service_key text not null, property text not null,
    sealed text not null, primary key (factory_id, linked_service_key, property))`,
  `create table if not exists gateways (
    id text primary key, factory_id text not null references factories (id) on delete cascade, name text not null, name_key text not null,
    resource text not null, etag text not null, created_at integer not null, key1_generation integer not null, key1_hash text not null,
    key2_generation integer not null, key2_hash text not null, next_send_no integer not null, desired_version integer not null,
    credential_key text, credential_key_id text, unique (factory_id, name_key))`,
  `create table if not exists nodes (
    id text primary key, gateway_id text not null references gateways (id) on delete cascade, name text not null, name_key text not null,
    machine_name text not null, version text not null, key_name text not null, token_hash text unique, registered_at integer not null,
    last_alive_at integer, boot_id text, last_start_at integer, concurrent_jobs_limit integer not null, slots_max integer,
    unique (gateway_id, name_key))`,
  `create table if not exists pipeline_runs (
    run_id text primary key, factory_id text not null references factories (id) on delete cascade, pipeline_name text not null,
    pipeline_key text not null, parameters text not null, status text not null, cancel_requested integer not null,
    created_at integer not null, ended_at integer, updated_at integer not null, message text)`,
  'create index if not exists pipeline_runs_updated on pipeline_runs (factory_id, updated_at)',
  `create table if not exists activity_runs (
    activity_run_id text primary key, job_id text not null unique, run_id text not null references pipeline_runs (run_id) on delete cascade,
    factory_id text not null, gateway_id text not null, ordinal integer not null, name text not null, type text not null,
    depends_on text not null, policy text not null, activity text not null, sealed_secrets text not null, phase text not null,
    status text not null, try_number integer not null, sends integer not null, resends integer not null, dead_letters integer not null,
    send_no integer, abandoned integer not null, queued_at integer, started_at integer, ended_at integer, node_name text, outcome text,
    attempt_ms integer, fault text, last_failure text, note text)`,
  'create index if not exists activity_runs_run on activity_runs (run_id, ordinal)',
  "create index if not exists activity_runs_open on activity_runs (gateway_id) where phase in ('Queued', 'Running') or abandoned = 1",
  `create table if not exists outbox (
    job_id text primary key references activity_runs (job_id) on delete cascade, gateway_id text not null, due_at integer not null,
    message_id text, send_no integer, reason text)`,
  'create index if not exists outbox_due on outbox (gateway_id, due_at)',
];

const clusterColumns = [
  ['gateways', 'ca_certificate', 'text'],
  ['gateways', 'ca_key_sealed', 'text'],
  ['gateways', 'nodes_max', 'integer not null default 4'],
  ['gateways', 'decision', 'text'],
  ['gateways', 'target_version', 'text'],
  ['nodes', 'address', "text not null default ''"],
  ['nodes', 'config_digest', "text not null default ''"],
  ['nodes', 'credential_key_id', 'text'],
  ['nodes', 'drain_grace_ms', 'integer'],
] as const;

const clusterTables = [
  `create table if not exists stores (
    gateway_id text not null references gateways (id) on delete cascade, path text not null, store_id text not null,
    primary key (gateway_id, path))`,
  `create table if not exists store_nodes (
    gateway_id text not null, path text not null, node_id text not null references nodes (id) on delete cascade,
    primary key (gateway_id, path, node_id), foreign key (gateway_id, path) references stores (gateway_id, path) on delete cascade)`,
];

/** SQLite knows no `add column if not exists`. */
async function addColumn(db: Kysely<unknown>, table: string, column: string, definition: string): Promise<void> {
  const tables = await db.introspection.getTables();
  if (tables.find(({ name }) => name === table)?.columns.some(({ name }) => name === column)) return;
  await sql.raw(`alter table ${table} add column ${column} ${definition}`).execute(db);
}

async function runAll(db: Kysely<unknown>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
