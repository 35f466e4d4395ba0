import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newId, silentLogger, systemClock, systemRandom } from '@dmg/base';
import { fileConnector } from '@dmg/connector-file';
import { runCopy } from '@dmg/engine';
import type { CopyEnd, Job } from '@dmg/model';
import { postgresqlConnector } from '../../packages/connectors/postgresql/src/index.ts';
import { startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';

// Rows that a real server refuses (type, length, key, check) and rows that cannot be read, among good ones: exactly these are left out.
test('rows that cannot be read and rows that the table refuses are redirected, all others are in', { timeout: 60_000 }, async (t) => {
  const server = await startPostgres({ after });
  const root = await mkdtemp(join(tmpdir(), 'dmg-skipped-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await server.query('CREATE TABLE t (id int PRIMARY KEY, name varchar(8), price numeric(6, 2) CHECK (price >= 0))');
  await server.query("INSERT INTO t VALUES (700, 'there', 1)");
  const bad = new Map([
    [11, '11,much too long,1'], [222, 'x222,a,1'], [333, '333,a,-1'], [444, '444,a'], [555, '555,"a"b,1'], [666, '665,twice,1'],
    [701, '700,again,1'], [888, '888,a,12345678'],
  ]);
  const rows = Array.from({ length: 1000 }, (_, index) => bad.get(index + 1) ?? `${index + 1},"n,${index + 1}",${index}.25`);
  // Row 700 is good by itself, and its key is taken.
  bad.set(700, rows[699] ?? '');
  await mkdir(join(root, 'in'));
  await writeFile(join(root, 'in/t.csv'), `id,name,price\n${rows.join('\n')}\n`);
  const end = (location: CopyEnd['location'], format: CopyEnd['format']): CopyEnd =>
    ({ connector: 'file', connection: { host: root }, location, settings: {}, format });
  const job: Job = {
    formatVersion: 1, jobId: newId(systemRandom), gatewayId: 'g', tryNumber: 1, finalTry: true,
    origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'run-1' },
    policy: { timeoutMs: 60_000, retry: 0, retryIntervalMs: 1000 },
    activity: {
      type: 'Copy', parallelCopies: 0, validateDataConsistency: false, skipIncompatibleRows: true,
      source: end({ folderPath: 'in', fileName: 't.csv' }, {
        type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true,
        nullValue: '', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
      }),
      sink: {
        connector: 'postgresql', location: { schema: 'public', table: 't' }, settings: {}, format: { type: 'Table' },
        connection: { server: server.host, port: server.port, database: server.database, username: server.user, sslMode: 0 },
      },
      log: { store: end({ folderPath: 'bad' }, { type: 'Binary' }), form: 'rows', level: 'Warning' },
    },
  };
  const outcome = await runCopy({
    job, attemptId: newId(systemRandom), nodeName: 'n', epoch: '1.a', clock: systemClock, random: systemRandom, logger: silentLogger,
    connectors: new Map([['file', fileConnector], ['postgresql', postgresqlConnector]]),
    secrets: { source: new Map(), sink: new Map([['password', server.password]]) }, signal: new AbortController().signal,
  });
  assert.equal(outcome.kind, 'succeeded', JSON.stringify(outcome));
  const receipt = outcome.kind === 'succeeded' ? outcome.receipt : undefined;
  assert.deepEqual([receipt?.rowsRead, receipt?.rowsWritten, receipt?.rowsSkipped], [1000, 1000 - bad.size, bad.size]);
  const ids = Array.from({ length: 1000 }, (_, index) => index + 1).filter((id) => !bad.has(id) || id === 700);
  const stored = await server.query('SELECT array_agg(id ORDER BY id) AS ids, (SELECT rows_skipped::int FROM dmg_chunk) AS skipped FROM t');
  assert.deepEqual(stored, [{ ids, skipped: bad.size }]);
  const [name = ''] = await readdir(join(root, 'bad/run-1'));
  const lines = (await readFile(join(root, 'bad/run-1', name), 'utf8')).trimEnd().split('\n').slice(1);
  const numbers = lines.map((line) => Number(line.split(',').at(-2)));
  assert.deepEqual(numbers.toSorted((a, b) => a - b), [...bad.keys()].toSorted((a, b) => a - b));
  assert.match(lines.find((line) => line.startsWith('"700,again')) ?? '', /DMG_POSTGRESQL_BAD_ROW,.*duplicate key.*SQLSTATE 23505/);
  assert.deepEqual(await readdir(join(root, '.dmg/side')), []);
});
