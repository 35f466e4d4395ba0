import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, test } from 'node:test';
import { startPostgres } from './postgres-server.ts';

const server = await startPostgres({ after });

test('A private server takes queries of a role without superuser rights.', async () => {
  const rows = await server.query("SELECT current_user AS who, current_setting('is_superuser') AS super, current_database() AS db");
  assert.deepEqual(rows, [{ who: 'dmg', super: 'off', db: 'dmg' }]);
  assert.deepEqual(await server.query('SELECT 1 AS a; SELECT 2 AS b'), [{ b: 2 }]);
  assert.deepEqual(await server.query('SELECT $1::text AS a', ['x']), [{ a: 'x' }]);
});

test('What was committed outlives a kill of all processes, a session does not.', async () => {
  await server.query('CREATE TABLE kept (a int)');
  const session = await server.client();
  await session.query('BEGIN; INSERT INTO kept VALUES (1)');
  await server.query('INSERT INTO kept VALUES (2)');
  const port = server.port;
  await server.kill9();
  assert.equal(server.running, false);
  await server.restart();
  assert.equal(server.port, port);
  assert.deepEqual(await server.query('SELECT a FROM kept'), [{ a: 2 }]);
  await server.stop();
  await server.restart();
  assert.deepEqual(await server.admin('SELECT count(*)::int AS n FROM kept'), [{ n: 1 }]);
});

test('Nothing is left of a server that was removed.', async () => {
  const undos: (() => void | Promise<void>)[] = [];
  const other = await startPostgres({ after: (undo) => void undos.push(undo) });
  const [row] = await other.admin<{ folder: string }>("SELECT current_setting('data_directory') AS folder");
  assert.ok(row !== undefined && existsSync(row.folder));
  await other.kill9();
  for (const undo of undos) await undo();
  assert.equal(existsSync(row.folder), false);
});
