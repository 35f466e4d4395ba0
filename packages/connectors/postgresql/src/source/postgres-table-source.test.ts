import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hasCode } from '@dmg/base';
import type { JsonObject } from '@dmg/model';
import { startPostgres } from '../testing/postgres-server.ts';
import { dynamicRange, readAll, readText, rest, SourceFixture } from '../testing/source-fixture.ts';
import { csvText } from './copy-format.ts';

const server = await startPostgres({ after });
const fixture = new SourceFixture(server);
const { signal } = new AbortController();

const series = 'generate_series(1, 20000) g';
const keys: [name: string, type: string, values: string, extremes: string][] = [
  ['integers', 'integer', `SELECT g FROM ${series}`, '(-2147483648), (2147483647), (0), (-1)'],
  ['bigints', 'bigint', `SELECT g::bigint * g * g FROM ${series}`, '(-9223372036854775808), (9223372036854775807)'],
  [
    'uuids', 'uuid', `SELECT md5(g::text)::uuid FROM ${series}`,
    `('00000000-0000-0000-0000-000000000000'::uuid), ('ffffffff-ffff-ffff-ffff-ffffffffffff')`,
  ],
  [
    'texts', 'text COLLATE "C"', `SELECT 'k' || g FROM ${series}`,
    `(''), (U&'\\FFFD'), ('it''s \\ "x"'), (E'two\\tlines'), (U&'\\+01F600'), (repeat('z', 1000))`,
  ],
  ['varchars', 'varchar(9)', `SELECT 'K' || g FROM ${series}`, `('k1'), ('É')`],
  ['chars', 'character(12)', `SELECT 'k' || g FROM ${series}`, `('K')`],
  ['numerics', 'numeric', `SELECT g / 7.0 FROM ${series}`, `('NaN'), ('Infinity'), ('-Infinity'), (1e-20), (-1e30)`],
  [
    'dates', 'date', `SELECT DATE '1990-01-01' + g FROM ${series}`,
    `('infinity'::date), ('-infinity'), ('4713-01-01 BC'), ('5874897-12-31')`,
  ],
  [
    'moments', 'timestamptz', `SELECT TIMESTAMPTZ '2000-01-01 00:00:00.000001+14' + g * interval '1.000001 s' FROM ${series}`,
    `('infinity'::timestamptz), ('-infinity')`,
  ],
  [
    'doubles', 'double precision', `SELECT sqrt(g) FROM ${series}`,
    `('NaN'::float8), ('Infinity'), ('-Infinity'), (5e-324), (1.7976931348623157e308)`,
  ],
  ['skewed', 'bigint', `SELECT CASE WHEN g < 19000 THEN g ELSE 1000000000000 + g * 1000000::bigint END FROM ${series}`, '(-1)'],
];

test('each row is in exactly one range, for keys of every kind', async () => {
  for (const [name, type, values, extremes] of keys) {
    await server.query(`CREATE TABLE ${name} (k ${type} PRIMARY KEY, n int)`);
    await server.query(`INSERT INTO ${name} SELECT v, row_number() OVER () FROM (${values} UNION ALL VALUES ${extremes}) AS s(v)`);
    await fixture.with(fixture.end({ table: name }, dynamicRange({ partitionColumnName: 'k' })), async (source) => {
      const made = await source.partition(signal);
      assert.equal(made.kind, 'addressable');
      assert.equal(made.consistency, 'snapshot');
      assert.ok(made.partitions.length === 4, `${name}: ${made.partitions.length} partitions`);
      assert.ok(made.partitions.every((partition) => partition.path === `public.${name}`));
      const lines = await readAll(source, made);
      const numbers = lines.flat().map((line) => Number(line.slice(line.lastIndexOf(',') + 1))).filter((n) => !Number.isNaN(n));
      const [{ count } = { count: -1 }] = await server.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${name}`);
      assert.equal(numbers.length, count, name);
      assert.deepEqual(numbers.toSorted((a, b) => a - b), Array.from({ length: count }, (_none, index) => index + 1), name);
      for (const { length } of lines) assert.ok(length > count / 4 * 0.8 && length < count / 4 * 1.2, `${name}: ${length} of ${count}`);
    });
  }
});

test('a big table is cut by its key without being asked, from a sample of its pages', async () => {
  await server.query(`CREATE TABLE big (id int PRIMARY KEY, filler text) WITH (fillfactor = 10)`);
  await server.query(`INSERT INTO big SELECT g, repeat('x', 700) FROM generate_series(1, 25000) g; ANALYZE big`);
  await fixture.with(fixture.end({ table: 'big' }), async (source) => {
    const made = await source.partition(signal);
    const count = made.partitions.length;
    assert.ok(count >= 3, `${count} partitions`);
    const lines = await readAll(source, made);
    assert.equal(new Set(lines.flat()).size, 25_000);
    for (const part of lines) assert.ok(part.length > 25_000 / count * 0.5 && part.length < 25_000 / count * 1.5, `${part.length}`);
    assert.equal((await source.partition(signal, { partitionsMax: 2 })).partitions.length, 2);
  });
});

test('a snapshot stays while the table is updated, vacuumed, extended and added to between its partitions', async () => {
  await server.query('CREATE TABLE moving (id int PRIMARY KEY, v int NOT NULL, filler text)');
  await server.query(`INSERT INTO moving SELECT g, 1, repeat('x', 200) FROM generate_series(1, 8000) g`);
  await fixture.with(fixture.end({ table: 'moving' }, dynamicRange({ partitionColumnName: 'id' })), async (source) => {
    const made = await source.partition(signal);
    const seen: string[] = [];
    const keep = (read: { text: string }): void => void seen.push(...read.text.split('\n').slice(0, -1));
    const change = async (round: number): Promise<void> => {
      await server.query(`UPDATE moving SET v = v + 1, id = CASE WHEN id < 100000 THEN id + 1000000 * ${round + 1} ELSE id END
        WHERE id % 3 = ${round % 3}`);
      await server.query('DELETE FROM moving WHERE id % 7 = 0');
      await server.query('VACUUM moving');
      const from = 9000 + round * 1000;
      await server.query(`INSERT INTO moving SELECT g, 0, 'new' FROM generate_series(${from}, ${from + 500}) g ON CONFLICT DO NOTHING`);
    };
    const [first, second, ...others] = made.partitions;
    assert.ok(first !== undefined && second !== undefined && others.length > 0);
    // Two sessions, the second of which begins when the table is another already.
    await change(0);
    const early = await source.open(first, csvText, signal);
    await change(1);
    keep(await readText(source, second));
    keep(await rest(early));
    for (const [index, partition] of others.entries()) {
      await change(index + 2);
      keep(await readText(source, partition));
    }
    assert.equal(seen.length, 8000);
    assert.equal(new Set(seen.map((line) => line.split(',')[0])).size, 8000);
    assert.ok(seen.every((line) => line.split(',')[1] === '1'));
  });
});

test('the table cannot be truncated or rewritten under a snapshot; a reader that is held up by that says so', async () => {
  await server.query('CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept SELECT generate_series(1, 1000)');
  const source = await fixture.open(fixture.end({ table: 'kept' }, dynamicRange({ partitionColumnName: 'id' })), fixture.context(1000));
  const other = await server.client();
  const made = await source.partition(signal);
  const [first, second] = made.partitions;
  assert.ok(first !== undefined && second !== undefined);
  const truncated = other.query('TRUNCATE kept');
  await fixture.waitFor(`SELECT 1 FROM pg_stat_activity WHERE query = 'TRUNCATE kept' AND wait_event_type = 'Lock'`);
  await assert.rejects(readText(source, first), (error) => hasCode(error, 'DMG_POSTGRESQL_BUSY'));
  await source.close();
  await truncated;
  await other.end();
});

test('an earlier plan is read again without its snapshot, by several sources at once', async () => {
  await server.query('CREATE TABLE shared (id int PRIMARY KEY, v text); INSERT INTO shared SELECT g, g FROM generate_series(1, 4000) g');
  const end = fixture.end({ table: 'shared' }, dynamicRange({ partitionColumnName: 'id' }));
  const made = await fixture.with(end, (source) => source.partition(signal));
  await server.query('INSERT INTO shared VALUES (100000, 1)');
  const [one, two] = await Promise.all([1, 2].map(() => fixture.with(end, async (source) => await readAll(source, made))));
  assert.deepEqual(one, two);
  assert.equal(one?.flat().length, 4001);
});

test('columns that changed since the plan are noticed', async () => {
  await server.query('CREATE TABLE altered (id int PRIMARY KEY, v int); INSERT INTO altered SELECT g, g FROM generate_series(1, 100) g');
  const end = fixture.end({ table: 'altered' }, dynamicRange({ partitionColumnName: 'id' }));
  for (const change of ['ADD COLUMN w int', 'ALTER COLUMN v TYPE bigint', 'RENAME COLUMN v TO u', 'DROP COLUMN w']) {
    const made = await fixture.with(end, (source) => source.partition(signal));
    await server.query(`ALTER TABLE altered ${change}`);
    await fixture.with(end, async (source) => {
      for (const partition of made.partitions) {
        await assert.rejects(readText(source, partition), (error) => hasCode(error, 'DMG_CONNECTOR_SOURCE_CHANGED'), change);
      }
    });
  }
});

test('names are taken exactly as they are spelled', async () => {
  const names = [['public', 'My Table', 'Some Column'], ['Schéma "x"', 'a.b"c', 'k"; DROP'], ['public', '表😀', "it's"]];
  for (const [schema, table, column] of names) {
    const quote = (name: string | undefined): string => `"${(name ?? '').replaceAll('"', '""')}"`;
    await server.query(`CREATE SCHEMA IF NOT EXISTS ${quote(schema)}`);
    await server.query(`CREATE TABLE ${quote(schema)}.${quote(table)} (${quote(column)} text PRIMARY KEY, "select" int)`);
    await server.query(`INSERT INTO ${quote(schema)}.${quote(table)} VALUES ('a', 1), ('b\\c', 2), ('d''e', 3)`);
    const spellings: JsonObject[] = [{ schema: schema ?? '', table: table ?? '' }, { tableName: `${quote(schema)}.${quote(table)}` }];
    for (const location of spellings) {
      await fixture.with(fixture.end(location, dynamicRange({ partitionColumnName: column ?? '' })), async (source) => {
        const columns = await source.columns(signal);
        assert.deepEqual(columns.map(({ name, nullable }) => [name, nullable]), [[column, false], ['select', true]]);
        const made = await source.partition(signal);
        assert.deepEqual((await readAll(source, made)).flat(), ['a,1', 'b\\c,2', "d'e,3"]);
      });
    }
  }
});
