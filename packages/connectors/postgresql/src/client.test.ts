import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { hasCode, isDmgError, Secret, silentLogger, systemClock } from '@dmg/base';
import { Session, type SessionOptions } from './client.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { startPostgres } from './testing/postgres-server.ts';

const server = await startPostgres({ after });

function options(change: Partial<ConnectionSettings> = {}, more: Partial<SessionOptions> = {}): SessionOptions {
  const settings: ConnectionSettings = {
    host: server.host, port: server.port, database: server.database, user: server.user, password: new Secret(server.password),
    sslMode: 'prefer', connectLimitMs: undefined, statementLimitMs: undefined, ...change,
  };
  return { settings, clock: systemClock, logger: silentLogger, callLimitMs: 5000, tag: 'dmg:job:attempt', ...more };
}

const call = { what: 'ask' };

test('a session has its tag and the settings that make text exact', async () => {
  await server.admin('ALTER ROLE dmg SET DateStyle = \'SQL, DMY\'; ALTER ROLE dmg SET statement_timeout = 1000');
  const session = await Session.open(options());
  try {
    const [row] = await session.query(call, `
      SELECT current_setting('application_name') AS tag, DATE '2024-02-01' AS day, now()::text LIKE '%+00' AS utc,
        current_setting('statement_timeout') AS "limit", current_setting('client_connection_check_interval') AS watch, 12::bigint AS n`);
    assert.deepEqual({ ...row }, { tag: 'dmg:job:attempt', day: '2024-02-01', utc: 't', limit: '0', watch: '2s', n: '12' });
    assert.equal(await session.execute(call, 'CREATE TEMP TABLE t AS SELECT generate_series(1, $1::int)', [7]), 7);
  } finally {
    await session.close();
    await server.admin('ALTER ROLE dmg RESET ALL');
  }
  assert.equal(session.lost, true);
});

test('what cannot be opened says why, without the password', async () => {
  const refusals: [Partial<ConnectionSettings>, string][] = [
    [{ password: new Secret('wrong-secret') }, 'DMG_CONNECTOR_ACCESS_DENIED'],
    [{ password: new Secret('') }, 'DMG_CONNECTOR_ACCESS_DENIED'],
    [{ user: 'nobody' }, 'DMG_CONNECTOR_ACCESS_DENIED'],
    [{ database: 'none' }, 'DMG_POSTGRESQL_DATABASE_MISSING'],
    [{ sslMode: 'require' }, 'DMG_POSTGRESQL_TLS_REFUSED'],
    [{ port: 1 }, 'DMG_CONNECTOR_UNREACHABLE'],
    [{ host: 'no-such-host.invalid' }, 'DMG_CONNECTOR_UNREACHABLE'],
  ];
  for (const [change, code] of refusals) {
    await assert.rejects(Session.open(options(change)), (error) => {
      assert.ok(isDmgError(error));
      assert.equal(error.code, code, error.message);
      const said = JSON.stringify(error.toFault());
      assert.ok(!said.includes(server.password) && !said.includes('wrong-secret'), said);
      return true;
    });
  }
});

test('a server that does not answer is given up at the deadline', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const sockets = new Set<{ destroy(): void }>();
  silent.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
  try {
    await assert.rejects(Session.open(options({ port, connectLimitMs: 100 })), (error) => hasCode(error, 'DMG_BASE_DEADLINE'));
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  }
});

test('a statement that is given up is cancelled at the server, and its session is lost', async () => {
  const session = await Session.open(options());
  const controller = new AbortController();
  const sleeping = session.query({ ...call, signal: controller.signal, limitMs: 60_000 }, 'SELECT pg_sleep(60)');
  await assert.rejects(session.query(call, 'SELECT 1'), /one task at a time/);
  controller.abort(new Error('enough'));
  await assert.rejects(sleeping, /enough/);
  await session.close();
  const watcher = await server.client('postgres');
  const startMs = systemClock.monotonicMs();
  for (;;) {
    const { rows } = await watcher.query(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'`);
    if (rows.length === 0) break;
    // Sooner than the server notices by itself that nobody is there.
    assert.ok(systemClock.monotonicMs() - startMs < 1500, 'the statement still runs');
  }
  await watcher.end();
  await assert.rejects(session.query(call, 'SELECT 1'), (error) => hasCode(error, 'DMG_CONNECTOR_UNREACHABLE'));
});

test('a session that the server ends says so at its next call', async () => {
  const session = await Session.open(options());
  await server.admin('SELECT pg_terminate_backend($1)', [session.processId]);
  await assert.rejects(session.query(call, 'SELECT 1'), (error) => hasCode(error, 'DMG_CONNECTOR_UNREACHABLE'));
  await session.close();
});

test('errors of SQL name what they are about and leave out values of rows', async () => {
  const session = await Session.open(options());
  const failure = async (sql: string): Promise<string> => {
    try {
      await session.query({ what: 'ask', path: 'public.t', doing: 'write' }, sql);
    } catch (error) {
      return isDmgError(error) ? `${error.code} ${error.message}` : String(error);
    }
    return 'none';
  };
  assert.match(await failure('SELECT * FROM missing'), /^DMG_POSTGRESQL_TABLE_MISSING .*public\.t/);
  assert.match(await failure('SELECT * FROM pg_authid'), /^DMG_CONNECTOR_ACCESS_DENIED .*42501/);
  assert.match(await failure('SELEC'), /^DMG_POSTGRESQL_BAD_SQL .*syntax error/);
  const bad = await failure(`SELECT 'secret-value'::int`);
  assert.match(bad, /^DMG_POSTGRESQL_BAD_ROW .*invalid input syntax for type integer \(/);
  assert.ok(!bad.includes('secret-value'));
  await session.close();
});
