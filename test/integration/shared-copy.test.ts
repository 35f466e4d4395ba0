import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId, silentLogger, systemClock, systemRandom } from '@dmg/base';
import { type Connector, connectorErrors } from '@dmg/connector-api';
import { azureBlobSpec } from '@dmg/connector-azure-blob/spec';
import { postgresqlConnector } from '@dmg/connector-postgresql';
import { startPostgres } from '@dmg/connector-postgresql/testing';
import { assistCopy, type CopyOptions, keepSnapshot, runCopy } from '@dmg/engine';
import type { AttemptOutcome, CopyEnd, Job, JsonObject, Receipt } from '@dmg/model';
import { BlobSink } from '../../packages/connectors/azure-blob/src/blob-sink.ts';
import { GatedBlobCalls, ModelBlobs } from '../../packages/connectors/azure-blob/src/testing/model-blobs.ts';
import { type Gate, gatedConnector } from '../../packages/engine/src/testing/gated-connector.ts';

// One table of a real PostgreSQL, copied by attempts that die, while others keep its snapshot and rows are moved, removed and added.
const server = await startPostgres({ after });
const rows = 4000;
const oldRows = Array.from({ length: rows }, (_, index) => `${index + 1},old ${index + 1}`);
const limits = { marksPauseMs: 5, marksAgeMs: 0, shareSilenceMs: 500, shareSilenceMinMs: 200, keepCheckMs: 20 };

/** Block blobs in memory, stricter than an emulator, behind the sink of the connector. */
class BlobStage {
  readonly blobs = new ModelBlobs({ deleteDiscards: true });

  readonly connector: Connector = {
    spec: azureBlobSpec,
    check: () => Promise.resolve(),
    openSource: () => Promise.reject(new Error('nothing is read from here')),
    openSink: (_end, job, { clock, random, logger }) => Promise.resolve(new BlobSink({
      calls: new GatedBlobCalls({ blobs: this.blobs, gate: () => Promise.resolve(), repeats: () => false }),
      close: () => undefined, settled: () => Promise.resolve(), folder: '', job, clock, random, logger,
      limits: { partBytes: 4096, partBytesMax: 4096, partsPerTargetMax: 1000, chunksPerTargetMax: 1000, parallelParts: 4 },
    })),
  };
}

function tableEnd(table: string, settings: JsonObject = {}): CopyEnd {
  return { connector: 'postgresql', connection: server.connection, location: { table }, settings, format: { type: 'Table' } };
}

const csvFile: CopyEnd = {
  connector: azureBlobSpec.name, connection: {}, location: { fileName: 'rows.csv' }, settings: {},
  format: {
    type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: false,
    nullValue: '', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
  },
};

/** One job, of which any number of attempts can be run. */
class Copy {
  readonly #stage = new BlobStage();
  readonly #job: Job;
  readonly #source: string;

  constructor(source: string, settings: JsonObject, sink: CopyEnd) {
    this.#source = source;
    this.#job = {
      formatVersion: 1, jobId: newId(systemRandom), gatewayId: 'test', tryNumber: 1, finalTry: false,
      origin: { factoryName: 'test', pipelineName: 'test', runId: 'test', activityName: 'test', activityRunId: 'test' },
      policy: { timeoutMs: 60_000, retry: 0, retryIntervalMs: 30_000 },
      activity: { type: 'Copy', source: tableEnd(source, settings), sink, parallelCopies: 2, validateDataConsistency: false },
    };
  }

  options(gate?: Gate, signal = new AbortController().signal): CopyOptions {
    const connectors = [postgresqlConnector, this.#stage.connector].map((connector) =>
      [connector.spec.name, gate === undefined ? connector : gatedConnector(connector, gate)] as const);
    return {
      job: this.#job, attemptId: newId(systemRandom), nodeName: 'node', epoch: '1.test', connectors: new Map(connectors), limits,
      secrets: { source: server.secrets, sink: server.secrets }, clock: systemClock, random: systemRandom, logger: silentLogger, signal,
    };
  }

  /** A lead that dies at its second mark; before that `meanwhile` happens. */
  async dyingLead(meanwhile: () => Promise<void>): Promise<AttemptOutcome> {
    let marks = 0;
    let dead = false;
    return runCopy(this.options(async (call, work) => {
      if (call === 'mark' && ++marks === 2) {
        await meanwhile();
        dead = true;
      }
      if (dead) throw connectorErrors.NO_SPACE.create({ path: 'x', store: 'dead' });
      return work();
    }));
  }

  /** What of the source a session holds. */
  async holders(): Promise<number> {
    const sql = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name ~ '^dmg:s:[0-9a-f]{32}:'`;
    return (await server.query<{ count: number }>(sql))[0]?.count ?? 0;
  }

  async churn(): Promise<void> {
    const table = this.#source;
    for (const step of [
      `UPDATE ${table} SET name = 'new'`, `DELETE FROM ${table} WHERE id % 3 = 0`, `VACUUM ${table}`,
      `INSERT INTO ${table} SELECT g, 'later' FROM generate_series(5001, 9000) g`, `VACUUM ${table}`,
    ]) await server.query(step);
  }

  get blob(): string {
    return this.#stage.blobs.get('rows.csv') ?? '';
  }
}

async function create(name: string, key: string): Promise<void> {
  await server.query(`CREATE TABLE ${name} (id int NOT NULL ${key}, name text)`);
  await server.query(`INSERT INTO ${name} SELECT g, 'old ' || g FROM generate_series(1, ${rows}) g`);
}

async function linesOf(table: string): Promise<string[]> {
  const found = await server.query<{ line: string }>(`SELECT id || ',' || name AS line FROM ${table} ORDER BY id`);
  return found.map(({ line }) => line);
}

function receiptOf(outcome: AttemptOutcome): Receipt {
  assert.ok(outcome.kind === 'succeeded', JSON.stringify(outcome));
  return outcome.receipt;
}

const ranges: JsonObject = { partitionOption: 'DynamicRange' };
const into = (table: string, settings: JsonObject = {}): CopyEnd => tableEnd(table, { tableOption: 'autoCreate', ...settings });
const cases: readonly (readonly [name: string, key: string, sink: (name: string) => CopyEnd])[] = [
  ['keyed_direct', 'PRIMARY KEY', (name) => into(`${name}_copy`)],
  ['keyed_staged', 'PRIMARY KEY', (name) => into(`${name}_copy`, { writeMode: 'staged' })],
  ['bare_staged', '', (name) => into(`${name}_copy`, { writeMode: 'staged' })],
  ['keyed_blob', 'PRIMARY KEY', () => csvFile],
];

for (const [name, key, sink] of cases) {
  test(`${name}: the lead dies, a keeper holds its snapshot, three attempts copy the rest of that moment`, async () => {
    await create(name, key);
    const copy = new Copy(name, key === '' ? ranges : { ...ranges, partitionSettings: { partitionColumnName: 'id' } }, sink(name));
    const controller = new AbortController();
    let keeper: Promise<void> | undefined;
    const first = await copy.dyingLead(async () => {
      keeper = keepSnapshot(copy.options(undefined, controller.signal));
      while (await copy.holders() < 2);
      await copy.churn();
    });
    assert.equal(first.kind, 'failed', JSON.stringify(first));
    const assistants = [1, 2].map((index) => assistCopy({ ...copy.options(), share: { index, of: 3 } }));
    const receipt = receiptOf(await runCopy({ ...copy.options(), assistants: () => 2 }));
    for (const outcome of await Promise.all(assistants)) assert.equal(outcome.kind, 'assisted', JSON.stringify(outcome));
    await keeper;
    assert.deepEqual([receipt.consistency, receipt.generation, receipt.rowsWritten], ['snapshot', 1, rows]);
    assert.ok(receipt.attempts.length >= 2 && receipt.chunks >= 4);
    const lines = name.endsWith('blob') ? copy.blob.trimEnd().split('\n') : await linesOf(`${name}_copy`);
    assert.deepEqual(lines.toSorted(), oldRows.toSorted());
    assert.equal(await copy.holders(), 0);
  });
}

test('nobody keeps the snapshot: a staged copy begins anew and is of a later moment, another says what it is', async () => {
  for (const [name, key, mode] of [['lost_staged', '', 'staged'], ['lost_direct', 'PRIMARY KEY', 'direct']] as const) {
    await create(name, key);
    const copy = new Copy(name, key === '' ? ranges : { ...ranges, partitionSettings: { partitionColumnName: 'id' } },
      into(`${name}_copy`, { writeMode: mode }));
    await copy.dyingLead(() => copy.churn());
    const receipt = receiptOf(await runCopy(copy.options()));
    const lines = await linesOf(`${name}_copy`);
    if (mode === 'staged') {
      assert.deepEqual([receipt.consistency, receipt.generation], ['snapshot', 2]);
      assert.deepEqual(lines, await linesOf(name));
    } else {
      assert.deepEqual([receipt.consistency, receipt.generation], ['perChunk', 1]);
      assert.equal(new Set(lines.map((line) => line.split(',')[0])).size, lines.length);
    }
  }
});
