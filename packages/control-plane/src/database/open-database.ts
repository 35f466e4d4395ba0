import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { firstLine } from '@dmg/base';
import { Kysely, SqliteDialect } from 'kysely';
import { type MigrationProvider, Migrator } from 'kysely/migration';
import { controlPlaneErrors } from '../errors.ts';
import { migrations } from './migrations.ts';
import { adaptNodeSqlite } from './node-sqlite.ts';
import type { Database } from './schema.ts';

export type Db = Kysely<Database>;

/**
 * Opens the control plane's database, makes or migrates its tables, and holds it exclusively until it is closed: a second
 * control plane on the same file is refused. Every commit is on disk when it returns (WAL, synchronous = FULL).
 */
export async function openDatabase(path: string): Promise<Db> {
  let database: DatabaseSync;
  try {
    // Made with its rights beforehand; SQLite gives its journal the same ones.
    closeSync(openSync(path, 'a', 0o600));
    database = new DatabaseSync(path);
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on');
    // The lock is taken by the first write, and then kept.
    database.exec('begin immediate; commit');
  } catch (error) {
    throw controlPlaneErrors.DATABASE_UNUSABLE.create({ path, reason: firstLine(error) }, { cause: error });
  }
  const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: adaptNodeSqlite(database) }) });
  const provider: MigrationProvider = { getMigrations: () => Promise.resolve({ ...migrations }) };
  const { error } = await new Migrator({ db, provider }).migrateToLatest();
  if (error !== undefined) {
    await db.destroy();
    throw controlPlaneErrors.DATABASE_UNUSABLE.create({ path, reason: firstLine(error) }, { cause: error });
  }
  return db;
}
