import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';
import { Kysely, SqliteDialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { migrations } from './migrations.ts';
import { adaptNodeSqlite } from './node-sqlite.ts';
import { openDatabase } from './open-database.ts';

/** A database as the release before made it, with a gateway and a node in it. */
async function oldDatabase(path: string): Promise<void> {
  const database = new DatabaseSync(path);
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: adaptNodeSqlite(database) }) });
  const { '0001-first': first } = migrations;
  assert.ok(first);
  const provider = { getMigrations: () => Promise.resolve({ '0001-first': first }) };
  assert.equal((await new Migrator({ db, provider }).migrateToLatest()).error, undefined);
  database.exec(`insert into factories values ('f', 's', 's', 'g', 'g', 'fab', 'fab', '{}', 'e', 1);
    insert into gateways values ('gw', 'f', 'one', 'one', '{}', 'e', 1, 1, 'h1', 1, 'h2', 7, 3, '{"kty":"EC"}', 'kid');
    insert into nodes values ('n', 'gw', 'Node', 'node', 'machine', '0.1.0', 'authKey1', 'hash', 5, 6, 'boot', 7, 9, 16)`);
  await db.destroy();
}

test('a database of the release before is migrated with what is in it, also after a migration that was cut off', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-migrations-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'control-plane.db');
  await oldDatabase(path);
  const cut = new DatabaseSync(path);
  cut.exec('alter table gateways add column ca_certificate text; alter table gateways add column ca_key_sealed text');
  cut.close();
  for (const opened of ['migrated', 'as it is']) {
    const db = await openDatabase(path);
    const gateway = await db.selectFrom('gateways').selectAll().executeTakeFirstOrThrow();
    const { name, next_send_no: nextSendNo, credential_key_id: keyId, nodes_max: nodesMax, decision, target_version: target } = gateway;
    assert.deepEqual([name, nextSendNo, keyId, nodesMax, decision, target], ['one', 7, 'kid', 4, null, null], opened);
    const node = await db.selectFrom('nodes').selectAll().executeTakeFirstOrThrow();
    assert.deepEqual(
      [node.name, node.concurrent_jobs_limit, node.address, node.config_digest, node.drain_grace_ms], ['Node', 9, '', '', null], opened,
    );
    await db.insertInto('stores').values({ gateway_id: 'gw', path: opened, store_id: 'x' }).execute();
    await db.insertInto('store_nodes').values({ gateway_id: 'gw', path: opened, node_id: 'n' }).execute();
    assert.equal(await db.selectFrom('store_nodes').selectAll().execute().then((rows) => rows.length), opened === 'migrated' ? 1 : 2);
    await db.destroy();
  }
});
