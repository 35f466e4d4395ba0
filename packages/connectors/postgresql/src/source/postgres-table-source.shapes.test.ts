import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hasCode } from '@dmg/base';
import type { TableSource } from '@dmg/connector-api';
import type { DelimitedTextFormat, JsonObject } from '@dmg/model';
import { startPostgres } from '../testing/postgres-server.ts';
import { dynamicRange, readAll, readText, SourceFixture } from '../testing/source-fixture.ts';
import { csvText } from './copy-format.ts';

const server = await startPostgres({ after });
const fixture = new SourceFixture(server);
const { signal } = new AbortController();

const ownText: DelimitedTextFormat = { ...csvText, columnDelimiter: '\t', quoteChar: '', escapeChar: '\\', nullValue: '\\N' };

async function onlyText(source: TableSource, format: DelimitedTextFormat = csvText): Promise<string> {
  const { kind, partitions } = await source.partition(signal);
  const [partition, ...others] = partitions;
  assert.ok(partition !== undefined && others.length === 0);
  assert.equal(kind, 'onePass');
  return (await readText(source, partition, format)).text;
}

test('a query is read in one piece, as it is spelled', async () => {
  const queries: [query: string, text: string][] = [
    ['SELECT 1 AS a, NULL AS b, \'\' AS c;', '1,,""\n'],
    ['VALUES (1, true), (2, NULL) -- the end\n;\n', '1,true\n2,\n'],
    ['WITH s AS (SELECT \'x,"y"\' AS v) SELECT v, v FROM s ORDER BY 1', '"x,""y""","x,""y"""\n'],
    ['SELECT NULL::text', '\n'],
    ['SELECT 1 WHERE false', ''],
    ['SELECT \'a\nb\'', '"a\nb"\n'],
  ];
  for (const [query, text] of queries) {
    await fixture.with(fixture.end({}, { query }), async (source) => assert.equal(await onlyText(source), text));
  }
});

test('ranges of a query stand where it says, or around it', async () => {
  await server.query(`CREATE TABLE orders (id int PRIMARY KEY, at timestamptz, amount money, note text);
    INSERT INTO orders SELECT g, CASE WHEN g % 10 > 0 THEN '2024-01-01'::timestamptz + g * interval '1 hour' END, g, 'n' || g
      FROM generate_series(1, 5000) g`);
  const hook = 'SELECT id, note FROM orders WHERE ?AdfDynamicRangePartitionCondition AND id % 2 = 0';
  const wishes: [query: string, details: JsonObject, rows: number, smallest: number][] = [
    [hook, { partitionColumnName: 'id' }, 2500, 600],
    [hook, { partitionColumnName: 'id', partitionLowerBound: '1000', partitionUpperBound: '2000' }, 2500, 250],
    [hook, { partitionColumnName: 'id', partitionLowerBound: '-5', partitionUpperBound: '-1' }, 2500, 0],
    ['SELECT * FROM orders', { partitionColumnName: 'at' }, 5000, 1100],
    ['SELECT * FROM orders;', { partitionColumnName: 'at', partitionUpperBound: '2024-03-01' }, 5000, 1],
    ['SELECT id AS "the id", note FROM orders LIMIT 300', { partitionColumnName: 'the id' }, 300, 50],
  ];
  for (const [query, details, rows, smallest] of wishes) {
    await fixture.with(fixture.end({}, { query, ...dynamicRange(details) }), async (source) => {
      const made = await source.partition(signal);
      assert.equal(made.kind, 'addressable');
      assert.ok(made.partitions.length >= 3, `${made.partitions.length}`);
      const lines = await readAll(source, made);
      assert.equal(new Set(lines.flat().map((line) => line.split(',')[0])).size, rows, query);
      assert.equal(lines.flat().length, rows, query);
      assert.ok(Math.min(...lines.map((part) => part.length)) >= smallest, lines.map((part) => part.length).join());
    });
  }
  const wrong = fixture.end({}, { query: hook, ...dynamicRange({ partitionColumnName: 'note', partitionLowerBound: 'a' }) });
  await assert.rejects(fixture.with(wrong, (source) => source.partition(signal)), (error) => hasCode(error, 'DMG_CONNECTOR_BAD_SETTING'));
});

test('views are read in one piece, or in ranges of a column', async () => {
  await server.query('CREATE VIEW seen AS SELECT g AS n FROM generate_series(1, 1000) g');
  await server.query('CREATE MATERIALIZED VIEW kept AS SELECT g AS n FROM generate_series(1, 1000) g; CREATE UNIQUE INDEX ON kept (n)');
  for (const table of ['seen', 'kept']) {
    await fixture.with(fixture.end({ table }), async (source) => assert.equal((await onlyText(source)).split('\n').length, 1001));
    await fixture.with(fixture.end({ table }, dynamicRange({ partitionColumnName: 'n' })), async (source) => {
      const lines = await readAll(source, await source.partition(signal));
      assert.equal(new Set(lines.flat()).size, 1000);
      assert.ok(lines.length === 4 && lines.flat().length === 1000);
    });
  }
});

test('tables without key, and those that are not to be cut, are one pass; small ones with a key are one range', async () => {
  await server.query(`CREATE TABLE keyless (a int, b text); CREATE UNIQUE INDEX ON keyless (a); CREATE UNIQUE INDEX ON keyless (lower(b));
    INSERT INTO keyless VALUES (NULL, 'x'), (2, NULL);
    CREATE TABLE small (a int PRIMARY KEY); INSERT INTO small VALUES (1), (2)`);
  await fixture.with(fixture.end({ table: 'keyless' }), async (source) => assert.equal(await onlyText(source), ',x\n2,\n'));
  const whole = fixture.end({ table: 'small' }, { partitionOption: 'None' });
  await fixture.with(whole, async (source) => assert.equal(await onlyText(source), '1\n2\n'));
  await fixture.with(fixture.end({ table: 'small' }), async (source) => {
    const made = await source.partition(signal);
    assert.deepEqual([made.kind, made.partitions.length], ['addressable', 1]);
    assert.deepEqual(await readAll(source, made), [['1', '2']]);
  });
});

test('a column that may be null keeps its rows in one of the ranges', async () => {
  await server.query(`CREATE TABLE nulls (id int PRIMARY KEY, v int);
    INSERT INTO nulls SELECT g, CASE WHEN g % 2 = 0 THEN g % 5 END FROM generate_series(1, 1000) g`);
  await fixture.with(fixture.end({ table: 'nulls' }, dynamicRange({ partitionColumnName: 'v' })), async (source) => {
    const lines = await readAll(source, await source.partition(signal));
    assert.equal(new Set(lines.flat()).size, 1000);
    assert.equal(lines.flat().length, 1000);
  });
});

test('a partitioned table is cut by its key over all partitions, or partition by partition', async () => {
  await server.query(`CREATE TABLE parent (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    CREATE TABLE leaf_a PARTITION OF parent FOR VALUES FROM (MINVALUE) TO (1000);
    CREATE TABLE middle PARTITION OF parent FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id);
    CREATE TABLE leaf_b PARTITION OF middle FOR VALUES FROM (1000) TO (1500);
    CREATE TABLE "Leaf C" (v text, gone int, id int NOT NULL); ALTER TABLE "Leaf C" DROP COLUMN gone;
    ALTER TABLE middle ATTACH PARTITION "Leaf C" FOR VALUES FROM (1500) TO (2000);
    CREATE TABLE leaf_d PARTITION OF parent DEFAULT;
    INSERT INTO parent SELECT g, 'v' || g FROM generate_series(1, 3000) g`);
  await fixture.with(fixture.end({ table: 'parent' }, dynamicRange({ partitionColumnName: 'id' })), async (source) => {
    const lines = await readAll(source, await source.partition(signal));
    assert.equal(new Set(lines.flat()).size, 3000);
    assert.ok(lines.every((part) => part.length > 500));
  });
  const physical = { partitionOption: 'PhysicalPartitionsOfTable' };
  await fixture.with(fixture.end({ table: 'parent' }, physical), async (source) => {
    const made = await source.partition(signal);
    assert.ok(made.partitions.every(({ path, sizeBytes }) => path === 'public.parent' && sizeBytes > 0));
    const parts = (await readAll(source, made)).map((part) => [part.length, part[0]]);
    assert.deepEqual(parts, [[500, '1500,v1500'], [999, '1,v1'], [500, '1000,v1000'], [1001, '2000,v2000']]);
  });
  const named = { ...physical, partitionSettings: { partitionNames: ['leaf_a', 'public.Leaf C'] } };
  const made = await fixture.with(fixture.end({ table: 'parent' }, named), async (source) => {
    const partitions = await source.partition(signal);
    assert.deepEqual((await readAll(source, partitions)).map((part) => part.length), [500, 999]);
    return partitions;
  });
  await server.query('ALTER TABLE middle DETACH PARTITION "Leaf C"');
  await fixture.with(fixture.end({ table: 'parent' }, named), async (source) => {
    await assert.rejects(readAll(source, made), (error) => hasCode(error, 'DMG_CONNECTOR_SOURCE_CHANGED'));
    await assert.rejects(source.partition(signal), (error) => hasCode(error, 'DMG_CONNECTOR_BAD_SETTING'));
  });
});

test('values of every type come as text that means the same everywhere', async () => {
  await server.admin(`ALTER ROLE dmg SET lc_monetary = 'C'; ALTER ROLE dmg SET IntervalStyle = 'iso_8601';
    ALTER ROLE dmg SET extra_float_digits = -5; ALTER ROLE dmg SET bytea_output = 'escape';
    ALTER ROLE dmg SET timezone = 'Asia/Tokyo'; ALTER ROLE dmg SET default_transaction_isolation = 'serializable'`);
  await server.query(`CREATE DOMAIN cents AS numeric(12,2); CREATE TYPE mood AS ENUM ('sad', 'ok')`);
  const values: [expression: string, csv: string, own: string, type: string, native: string][] = [
    ['true', 'true', 't', 'Boolean', 'boolean'],
    ['9223372036854775807::bigint', '9223372036854775807', '9223372036854775807', 'Int64', 'bigint'],
    ['(-32768)::smallint', '-32768', '-32768', 'Int16', 'smallint'],
    ['0.1::real', '0.1', '0.1', 'Single', 'real'],
    ['0.1::float8 + 0.2::float8', '0.30000000000000004', '0.30000000000000004', 'Double', 'double precision'],
    [
      '12345678901234567890.123456789::numeric(40,9)',
      '12345678901234567890.123456789', '12345678901234567890.123456789', 'Decimal', 'numeric(40,9)',
    ],
    ['12.50::cents', '12.50', '12.50', 'Decimal', 'numeric(12,2)'],
    ["'1234.5'::money", '1234.50', '1234.50', 'Decimal', 'money'],
    ["DATE '2024-02-29'", '2024-02-29', '2024-02-29', 'DateTime', 'date'],
    [
      "TIMESTAMP '2024-02-29 12:34:56.123456'",
      '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.123456', 'DateTime', 'timestamp without time zone',
    ],
    [
      "TIMESTAMPTZ '2024-02-29 12:34:56.5+09'",
      '2024-02-29 03:34:56.5+00', '2024-02-29 03:34:56.5+00', 'DateTimeOffset', 'timestamp with time zone',
    ],
    ["TIME '24:00:00'", '24:00:00', '24:00:00', 'TimeSpan', 'time without time zone'],
    ["INTERVAL '1 mon 2 days 00:00:03.5'", '1 mon 2 days 00:00:03.5', '1 mon 2 days 00:00:03.5', 'String', 'interval'],
    [
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'Guid', 'uuid',
    ],
    [`'\\x00ff0a5c'::bytea`, '\\x00ff0a5c', '\\\\x00ff0a5c', 'Byte[]', 'bytea'],
    ["ARRAY[1, NULL, 3]", '"{1,NULL,3}"', '{1,NULL,3}', 'String', 'integer[]'],
    [`'{"a": "b"}'::jsonb`, '"{""a"": ""b""}"', '{"a": "b"}', 'String', 'jsonb'],
    ["'ok'::mood", 'ok', 'ok', 'String', 'mood'],
    ["'ab'::char(4)", 'ab  ', 'ab  ', 'String', 'character(4)'],
    ["E'tab\\there\\\\'::varchar(20)", 'tab\there\\', 'tab\\there\\\\', 'String', 'character varying(20)'],
    ["U&'\\+01F600\\FEFF'", '😀\uFEFF', '😀\uFEFF', 'String', 'text'],
    ['NULL::text', '', '\\N', 'String', 'text'],
    ["''::text", '""', '', 'String', 'text'],
  ];
  const select = values.map(([expression], index) => `${expression} AS c${index}`).join(', ');
  await server.query(`CREATE TABLE kinds AS SELECT ${select}`);
  for (const end of [fixture.end({ table: 'kinds' }), fixture.end({}, { query: `SELECT * FROM kinds` })]) {
    await fixture.with(end, async (source) => {
      const columns = await source.columns(signal);
      assert.deepEqual(columns.map(({ type, nativeType }) => [type, nativeType]), values.map(([, , , type, native]) => [type, native]));
      assert.equal(await onlyText(source), `${values.map(([, csv]) => csv).join(',')}\n`);
      assert.equal(await onlyText(source, ownText), `${values.map(([, , own]) => own).join('\t')}\n`);
    });
  }
  await server.admin('ALTER ROLE dmg RESET ALL');
});

test('some of the columns, in an order of their own', async () => {
  await server.query(`CREATE TABLE wide (a int, b bool, c text); INSERT INTO wide VALUES (1, true, 'x')`);
  for (const end of [fixture.end({ table: 'wide' }), fixture.end({}, { query: 'SELECT a, b, c, c FROM wide' })]) {
    await fixture.with(end, async (source) => {
      const [partition] = (await source.partition(signal)).partitions;
      assert.ok(partition !== undefined && source.openColumns !== undefined);
      const stream = await source.openColumns(partition, csvText, [2, 1], signal);
      assert.equal(Buffer.from(await stream.next(signal) ?? []).toString(), 'x,true\n');
      assert.equal(await stream.next(signal), undefined);
      assert.equal(stream.rows, 1);
      await stream.close();
    });
  }
});

test('the server writes the formats that it says it writes', async () => {
  const rows = `VALUES ('plain', NULL), ('a;b', ''), ('q"u''o', 'N'),
    (E'line\\nbreak', E'cr\\rhere'), ('back\\slash', '\\N'), ('\\.', 'é'), ('~', '|')`;
  const read = (format: Partial<DelimitedTextFormat>): Promise<string> => fixture.with(fixture.end({}, { query: rows }), async (source) => {
    const whole = { ...csvText, ...format };
    assert.ok(source.writes(whole));
    return await onlyText(source, whole);
  });
  assert.equal(
    await read({ columnDelimiter: ';', quoteChar: "'", escapeChar: '\\', nullValue: 'N' }),
    `plain;N\n'a;b';\n'q"u\\'o';'N'\n'line\nbreak';'cr\rhere'\nback\\slash;\\N\n\\.;é\n~;|\n`,
  );
  assert.equal(
    await read({ columnDelimiter: '|', quoteAllText: true, escapeChar: '' }),
    `"plain"|\n"a;b"|""\n"q""u'o"|"N"\n"line\nbreak"|"cr\rhere"\n"back\\slash"|"\\N"\n"\\."|"é"\n"~"|"|"\n`,
  );
});

test('keys that are null in a table that inherits are read all the same', async () => {
  await server.query(`CREATE TABLE elder (id int PRIMARY KEY, v text); CREATE TABLE younger () INHERITS (elder);
    ALTER TABLE younger ALTER COLUMN id DROP NOT NULL; INSERT INTO elder SELECT g, 'e' FROM generate_series(1, 2000) g;
    INSERT INTO younger SELECT NULLIF(g % 10, 0), 'y' FROM generate_series(1, 100) g`);
  await fixture.with(fixture.end({ table: 'elder' }, dynamicRange({ partitionColumnName: 'id' })), async (source) => {
    const parts = await source.partition(signal);
    assert.ok(parts.partitions.length > 1);
    assert.equal((await readAll(source, parts)).flat().length, 2100);
    assert.deepEqual((await source.columns(signal)).map(({ nullable }) => nullable), [true, true]);
  });
});
