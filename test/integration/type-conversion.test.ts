import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { postgresqlConnector } from '@dmg/connector-postgresql';
import { isConvertible } from '@dmg/formats';
import {
  type AttemptOutcome, type ColumnMapping, type DelimitedTextFormat, type InterimType, interimTypes, type TypeConversionSettings,
} from '@dmg/model';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import { copyOnce, type CopySide, fileSide } from '../harness/copy-run.ts';

const csv: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: '|', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

const guid = '0e984725-c51c-4bf4-9960-e1c80e27aba0';
const day = '2024-02-29 12:34:56.123456';

/** For each interim type: a value in a file, the type of a column, the value there, and the text that it becomes as String. */
const samples: Readonly<Record<InterimType, readonly [text: string, column: string, value: string, asString: string]>> = {
  String: ['a "b"', 'text', 'a "b"', 'a "b"'], Boolean: ['true', 'boolean', 'true', 'True'], Byte: ['1', 'smallint', '1', '1'],
  SByte: ['1', 'smallint', '1', '1'], Int16: ['1', 'smallint', '1', '1'], UInt16: ['1', 'integer', '1', '1'],
    Int32: ['1', 'integer', '1', '1'],
  UInt32: ['1', 'bigint', '1', '1'], Int64: ['1', 'bigint', '1', '1'], UInt64: ['1', 'numeric(20,0)', '1', '1'],
    Single: ['1', 'real', '1', '1'],
  Double: ['1', 'double precision', '1', '1'], Decimal: ['1.00', 'numeric', '1', '1.00'],
  DateTime: [day, 'timestamp', day, `${day}0`],
  DateTimeOffset: ['2024-02-29T14:34:56.123456+02:00', 'timestamptz', `${day}+00`, '2024-02-29 14:34:56.1234560 +02:00'],
  TimeSpan: ['1.02:03:04.5', 'interval', '1 day 02:03:04.5', '1.02:03:04.5000000'], Guid: [`{${guid}}`, 'uuid', guid, guid],
  'Byte[]': ['AQID', 'bytea', '\\x010203', 'AQID'],
};

interface Stage {
  readonly server: PostgresServer;
  readonly folder: string;
}

async function openStage(t: { after(undo: () => Promise<void>): void }): Promise<Stage> {
  const server = await startPostgres(t);
  const folder = await mkdtemp(join(tmpdir(), 'dmg-conversion-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'f'));
  await server.query("SET TimeZone = 'UTC'");
  return { server, folder };
}

const strict: TypeConversionSettings = { allowDataTruncation: false, treatBooleanAsNumber: false };

function copy(source: CopySide, sink: CopySide, mappings: readonly ColumnMapping[], settings = strict): Promise<AttemptOutcome> {
  const translator = { mappings, typeConversion: true, typeConversionSettings: settings };
  return copyOnce({ source, sink, connectors: [postgresqlConnector], activity: { translator } });
}

function file(stage: Stage, fileName: string): CopySide {
  return fileSide(stage.folder, { folderPath: 'f', fileName }, {}, csv);
}

function table({ server }: Stage, name: string): CopySide {
  return {
    end: { connector: 'postgresql', connection: server.connection, location: { table: name }, settings: {}, format: { type: 'Table' } },
    secrets: server.secrets,
  };
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const pairs = interimTypes.flatMap((from) => interimTypes.map((to) => ({ from, to, name: `${from} ${to}`.toLowerCase() })))
  .filter(({ from, to }) => isConvertible(from, to));

/** What stands in a file for a value of `from` that is to become one of `to`: a String has the text of the other type. */
function given(from: InterimType, to: InterimType): string {
  // The offset of the one is lost to the other, which is refused.
  if (from === 'DateTimeOffset' && to === 'DateTime') return `${day}Z`;
  return samples[from === 'String' ? to : from][0];
}

function expected(from: InterimType, to: InterimType): string {
  if (to === 'String') return samples[from][3];
  return from === 'DateTime' && to === 'DateTimeOffset' ? `${day}+00` : samples[to][2];
}

test('every conversion of the matrix, from a file into columns of a table', async (t) => {
  const stage = await openStage(t);
  const { server } = stage;
  await server.query(`CREATE TABLE t (${pairs.map(({ name, to }) => `${quoted(name)} ${samples[to][1]}`).join(', ')})`);
  const lines = [pairs.map(({ name }) => quoted(name)), pairs.map(({ from, to }) => quoted(given(from, to)))];
  await writeFile(join(stage.folder, 'f', 'in.csv'), lines.map((line) => `${line.join('|')}\n`).join(''));
  const mappings = pairs.map(({ from, to, name }) => ({ source: { name, type: from }, sink: { name, type: to } }));
  const outcome = await copy(file(stage, 'in.csv'), table(stage, 't'), mappings);
  assert.equal(outcome.kind, 'succeeded', JSON.stringify(outcome));
  const same = pairs.map(({ from, to, name }) => `(${quoted(name)} = '${expected(from, to)}'::${samples[to][1]})::text AS ${quoted(name)}`);
  const [row] = await server.query<Record<string, string>>(`SELECT ${same.join(', ')} FROM t`);
  assert.deepEqual(pairs.filter(({ name }) => row?.[name] !== 'true').map(({ name }) => name), []);
});

test('columns of a table are converted on their way to a file and to another table', async (t) => {
  const stage = await openStage(t);
  const { server } = stage;
  await server.query(`CREATE TABLE s (b bytea, z timestamptz, d timestamp, o time, k boolean, i bigint, n numeric(20,4));
    CREATE TABLE u (b text, z timestamp, d date, o text, k smallint, i text, n integer);
    INSERT INTO s VALUES ('\\x010203', '${day}+00', '2024-02-29', '02:03:04.5', true, 9007199254740993, 12.0000)`);
  const types: readonly (readonly [name: string, type: InterimType])[] = [
    ['b', 'String'], ['z', 'String'], ['d', 'DateTimeOffset'], ['o', 'String'], ['k', 'Int32'], ['i', 'Decimal'], ['n', 'Int64'],
  ];
  const out = await copy(table(stage, 's'), file(stage, 'out.csv'),
    types.map(([name, type]) => ({ source: { name }, sink: { name, type } })));
  assert.equal(out.kind, 'succeeded', JSON.stringify(out));
  // As String, values stay as the server writes them where nothing says what they are.
  assert.equal(await readFile(join(stage.folder, 'f', 'out.csv'), 'utf8'),
    `b|z|d|o|k|i|n\n\\x010203|${day}+00|2024-02-29 00:00:00.0000000 +00:00|02:03:04.5|1|9007199254740993|12\n`);
  const sources = ['Byte[]', 'DateTimeOffset', 'DateTime', 'TimeSpan', 'Boolean', 'Int64', 'Decimal'] as const;
  const typed = types.map(([name, type], index): ColumnMapping => ({
    source: { name, type: sources[index] ?? 'String' }, sink: { name, type },
  }));
  const again = await copy(table(stage, 's'), file(stage, 'typed.csv'), typed);
  assert.equal(again.kind, 'succeeded', JSON.stringify(again));
  assert.equal(await readFile(join(stage.folder, 'f', 'typed.csv'), 'utf8'),
    `b|z|d|o|k|i|n\nAQID|${day}0 +00:00|2024-02-29 00:00:00.0000000 +00:00|02:03:04.5000000|1|9007199254740993|12\n`);
  const sinks = ['String', 'DateTime', 'DateTime', 'String', 'Int16', 'String', 'Int32'] as const;
  const over = await copy(table(stage, 's'), table(stage, 'u'), typed.map(({ source }, index) => (
    { source, sink: { name: source.name ?? '', type: sinks[index] ?? 'String' } })));
  assert.equal(over.kind, 'succeeded', JSON.stringify(over));
  const [row] = await server.query<{ u: string }>('SELECT u::text FROM u');
  assert.equal(row?.u, `(AQID,"${day}",2024-02-29,02:03:04.5000000,1,9007199254740993,12)`);
});

test('what a column would cut off is refused by row, column, value and types, unless it may be lost', async (t) => {
  const stage = await openStage(t);
  const { server } = stage;
  await server.query(`CREATE TABLE t (n numeric(10,2), d date, z timestamp(3), w numeric(10,2));
    CREATE TABLE s (n numeric(20,6)); INSERT INTO s VALUES (1.005)`);
  const refused = async (line: string, column: string, reason: string, value: string, type: string): Promise<void> => {
    await writeFile(join(stage.folder, 'f', 'in.csv'), `n|d|z\n1.50|2024-01-01|2024-01-01 00:00:00.125\n${line}\n`);
    const text = JSON.stringify(await copy(file(stage, 'in.csv'), table(stage, 't'), []));
    const parts = [`column ${column} in row 2 of in.csv`, reason, value, `from String to ${type}`];
    for (const part of parts) assert.ok(text.includes(part), `${text} lacks ${part}`);
  };
  await refused('1.505|2024-01-01|2024-01-01', 'n', 'holds 2 digits behind the point', '1.505', 'Decimal');
  await refused('1|2024-01-01 10:00:00|2024-01-01', 'd', 'holds no time of day', '10:00:00', 'DateTime');
  await refused('1|2024-01-01|2024-01-01 00:00:00.1234', 'z', 'holds 3 digits of a second', '00.1234', 'DateTime');
  const narrow = [{ source: { name: 'n' }, sink: { name: 'w' } }];
  assert.match(JSON.stringify(await copy(table(stage, 's'), table(stage, 't'), narrow)), /holds 2 digits behind the point/);
  assert.deepEqual(await server.query('SELECT * FROM t'), []);
  const rounded = await copy(table(stage, 's'), table(stage, 't'), narrow, { ...strict, allowDataTruncation: true });
  assert.equal(rounded.kind, 'succeeded', JSON.stringify(rounded));
  assert.deepEqual(await server.query('SELECT w::text FROM t'), [{ w: '1.01' }]);
});
