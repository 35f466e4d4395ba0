import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hasCode } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { binaryForm } from './binary-form.ts';
import { startPostgres } from './testing/postgres-server.ts';
import { column, factsOf, never, planOf, SinkBench } from './testing/sink-bench.ts';
import { SourceFixture } from './testing/source-fixture.ts';

const server = await startPostgres({ after });

/** Each type with values at its edges, as literals. */
const values: Readonly<Record<string, readonly string[]>> = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807'],
  real: ['NaN', '-Infinity', '-0', '1e-45', '3.4028235e38'],
  'double precision': ['NaN', 'Infinity', '-0', '5e-324', '1.7976931348623157e308', '0.1'],
  numeric: ['NaN', 'Infinity', '-Infinity', '0.000', '-1e-300', '123456789012345678901234567890.123456789'],
  'numeric(15,2)': ['-9999999999999.99', '0.00'],
  text: ['', '\\N', '\\.', 'ä\t\r\n"\u{1F600}'],
  'character varying(5)': ['a   ', ''],
  'character(3)': ['a', 'äöü'],
  bytea: ['', '\\x0a0d5c00ff'],
  uuid: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  json: ['{"b": 1.0, "a":[null]}', '"\\u0041"'],
  jsonb: ['{"b": 1.0, "a":[null]}', '1e400'],
  date: ['infinity', '-infinity', '4713-01-01 BC', '5874897-12-31'],
  'time without time zone': ['24:00:00', '00:00:00.000001'],
  'time(3) with time zone': ['23:59:59.999+15:59:59', '00:00:00-15:59:59'],
  'timestamp without time zone': ['infinity', '4713-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999'],
  'timestamp with time zone': ['-infinity', '1900-01-01 00:00:00.000001+00', '294276-12-31 23:59:59.999999+00'],
};

test('every type that travels in binary form arrives as it was, and so do nulls and tables without rows', async (t) => {
  const types = Object.keys(values);
  for (const nativeType of types) assert.equal(binaryForm.typeOf(column('c', nativeType)), nativeType);
  const list = types.map((type, index) => `c${index} ${type}`).join(', ');
  await server.query(`CREATE TABLE s (id int PRIMARY KEY, ${list}); CREATE TABLE d (LIKE s)`);
  const most = Math.max(...Object.values(values).map(({ length }) => length));
  for (let row = 0; row <= most; row++) {
    const literals = types.map((type) => {
      const value = values[type]?.[row];
      return value === undefined ? 'NULL' : `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'::${type}`;
    });
    await server.query(`INSERT INTO s VALUES (${row}, ${literals.join(', ')})`);
  }
  const fixture = new SourceFixture(server);
  const copyAll = (jobId: string): Promise<void> => fixture.with(fixture.end({ table: 's' }), async (source) => {
    const columns = await source.columns(never);
    const plan = planOf({ chunks: 1, columns, path: 'public.d', jobId });
    const sink = new SinkBench(t, server).sink({ attempt: 'a', table: 'd', jobId });
    await sink.insertPlan(plan, never);
    const [partition] = (await source.partition(never)).partitions;
    assert.ok(partition !== undefined);
    const stream = await source.open(partition, 'own', never);
    const writer = await sink.openChunk(plan, { target: 0, chunk: 0 }, never, 'own');
    const blocks: Buffer[] = [];
    for (let block = await stream.next(never); block !== undefined; block = await stream.next(never)) blocks.push(Buffer.from(block));
    await stream.close();
    const bytes = Buffer.concat(blocks);
    // Cut anywhere.
    const cut = Math.floor(bytes.length / 3);
    await writer.writePart(0, bytes.subarray(0, cut), never);
    assert.equal(await writer.mark(factsOf(bytes, stream.rows), { part: 1, bytes: bytes.subarray(cut) }, never), 'marked');
  });
  await copyAll('all');
  // As rows of text: jsonb and others have no order that tells all of them apart.
  const different = await server.query(`SELECT s FROM s FULL JOIN d USING (id) WHERE s::text IS DISTINCT FROM d::text`);
  assert.deepEqual(different, []);
  assert.deepEqual(await server.query('SELECT count(*)::int AS n FROM d'), [{ n: most + 1 }]);
  await server.query('TRUNCATE s; TRUNCATE d');
  await copyAll('none');
  assert.deepEqual(await server.query('SELECT * FROM d'), []);
});

test('types whose binary form depends on a locale, a catalogue or modifiers travel as text', () => {
  for (const nativeType of ['money', 'xml', 'interval', 'integer[]', 'mood', 'public.text', '"char"', 'numeric(15)', 'oid', 'bit(3)', '']) {
    assert.equal(binaryForm.typeOf(column('c', nativeType)), undefined, nativeType);
  }
  assert.equal(binaryForm.typeOf({ name: 'c', type: 'String', nullable: true }), undefined);
});

test('a column that has another type since the plan was made takes no bytes for something else', async (t) => {
  await server.query('CREATE TABLE t (n bigint)');
  const bench = new SinkBench(t, server);
  const sink = bench.sink({ attempt: 'a' });
  const [base] = await sink.bases(['public.t'], never);
  const plan = await sink.insertPlan(planOf({ chunks: 2, columns: [column('n', 'bigint')], base: base ?? '' }), never);
  // One row of one column of eight bytes, which are a number of either type.
  const bytes = Buffer.concat([
    Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8), Buffer.from([0, 1, 0, 0, 0, 8, 63, 240, 0, 0, 0, 0, 0, 0, 255, 255]),
  ]);
  const write = async (chunk: number): Promise<string> => {
    const writer = await sink.openChunk(plan, { target: 0, chunk }, never, 'own');
    return writer.mark(factsOf(bytes, 1), { part: 0, bytes }, never);
  };
  assert.equal(await write(0), 'marked');
  await server.query('ALTER TABLE t ADD COLUMN m double precision; ALTER TABLE t DROP COLUMN n; ALTER TABLE t RENAME m TO n');
  await assert.rejects(write(1), (error) => hasCode(error, connectorErrors.TARGET_CHANGED.code));
  assert.deepEqual(await server.query('SELECT n FROM t WHERE n IS NOT NULL'), []);
});
