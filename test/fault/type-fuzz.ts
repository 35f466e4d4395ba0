import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Random, seededRandom } from '@dmg/base';
import { postgresqlConnector } from '@dmg/connector-postgresql';
import type { AttemptOutcome, DelimitedTextFormat, JsonObject } from '@dmg/model';
import { type PostgresServer, startPostgres } from '../../packages/connectors/postgresql/src/testing/postgres-server.ts';
import type { CleanupContext } from '../harness/cleanup.ts';
import { copyOnce, type CopySide, fileSide } from '../harness/copy-run.ts';
import { type BoundaryClass, boundaryClasses, type FuzzedType } from './type-cells.ts';
import { numberTypes } from './type-numbers.ts';
import { shapeTypes, typeDefinitions } from './type-shapes.ts';
import { timeTypes } from './type-times.ts';

export const fuzzedTypes: readonly FuzzedType[] = [...numberTypes, ...timeTypes, ...shapeTypes];

/** What one way did to the values of one type and boundary class. */
export interface CellVerdict {
  readonly type: string;
  readonly boundary: BoundaryClass;
  readonly way: string;
  readonly values: number;
  /** Values that arrived otherwise than they were, without an error. */
  readonly changed: number;
  /** Values that were refused with an error. */
  readonly refused: number;
}

export interface TypeFuzz {
  readonly server: PostgresServer;
  readonly folder: string;
  /** Types, by column `c0`, `c1` … */
  readonly types: readonly FuzzedType[];
}

const plain: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

/** Ways of writing a file that can hold every value. */
export const wholeDialects: Readonly<Record<string, DelimitedTextFormat>> = {
  'CSV of the server': plain,
  'defaults of a dataset': { ...plain, rowDelimiter: '', escapeChar: '\\' },
  'all quoted, NULL': { ...plain, columnDelimiter: ';', quoteAllText: true, nullValue: 'NULL' },
  'tabs and backslashes': { ...plain, columnDelimiter: '\t', quoteChar: '', escapeChar: '\\', nullValue: '\\N', firstRowAsHeader: false },
  'long delimiters': { ...plain, columnDelimiter: '||', rowDelimiter: '\r\n', quoteChar: "'", escapeChar: "'", firstRowAsHeader: false },
};

/** Without quotes and escapes most values can be written, and the others have to be refused. */
export const bareDialect: DelimitedTextFormat = { ...plain, columnDelimiter: '|', quoteChar: '', escapeChar: '', nullValue: 'NULL' };

/** Starts a server with the types, and a table `fuzz_a` with `count` values of every cell. */
export async function openTypeFuzz(
  context: CleanupContext, options: { readonly seed: number; readonly count: number; readonly types?: readonly FuzzedType[] },
): Promise<TypeFuzz> {
  const server = await startPostgres(context);
  const folder = await mkdtemp(join(tmpdir(), 'dmg-types-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'out'));
  for (const sql of typeDefinitions) await server.query(sql);
  const fuzz = { server, folder, types: options.types ?? fuzzedTypes };
  const columns = fuzz.types.map(({ name }, index) => `c${index} ${name}`).join(', ');
  await server.query(`CREATE TABLE fuzz_a (id bigint PRIMARY KEY, boundary text NOT NULL, ${columns})`);
  await fillTable(fuzz, seededRandom(options.seed), options.count);
  return fuzz;
}

/** Rows: for each class `count`, each with a value of every type that has it. */
async function fillTable({ server, types }: TypeFuzz, random: Random, count: number): Promise<void> {
  const ids: string[] = [];
  const boundaries: string[] = [];
  for (const boundary of boundaryClasses) {
    for (let index = 0; index < count; index++) {
      boundaries.push(boundary);
      ids.push(String(ids.length + 1));
    }
  }
  const values = types.map((type) => boundaries.map((boundary, row) => type.cells[boundary as BoundaryClass]?.(random,
    row % count) ?? null));
  const names = types.map((_type, index) => `c${index}`);
  const arrays = ['$1::bigint[]', '$2::text[]', ...names.map((_name, index) => `$${index + 3}::text[]`)];
  const read = types.map(({ name }, index) => `c${index}::${name}`);
  await server.query(
    `INSERT INTO fuzz_a (id, boundary, ${names.join(', ')}) SELECT id, boundary, ${read.join(', ')}
     FROM unnest(${arrays.join(', ')}) AS t(id, boundary, ${names.join(', ')})`,
    [ids, boundaries, ...values],
  );
}

function tableSide(server: PostgresServer, table: string, settings: JsonObject = {}): CopySide {
  return {
    end: {
      connector: 'postgresql', connection: server.connection, location: { schema: 'public', table }, settings, format: { type: 'Table' },
    },
    secrets: server.secrets,
  };
}

function run(source: CopySide, sink: CopySide): Promise<AttemptOutcome> {
  return copyOnce({ source, sink, connectors: [postgresqlConnector] });
}

/** Why a copy did not succeed; undefined when it did. */
function failureOf(outcome: AttemptOutcome): string | undefined {
  return outcome.kind === 'succeeded' ? undefined : JSON.stringify(outcome);
}

/** From the table to one that is made for it. */
export async function copyDirectly(fuzz: TypeFuzz): Promise<readonly CellVerdict[]> {
  const { server } = fuzz;
  await server.query('DROP TABLE IF EXISTS fuzz_c');
  const failure = failureOf(await run(tableSide(server, 'fuzz_a'), tableSide(server, 'fuzz_c', { tableOption: 'autoCreate' })));
  if (failure !== undefined) throw new Error(`the direct copy failed: ${failure}`);
  return judge(fuzz, 'direct', 'fuzz_c', 'true');
}

/** From the table to a file of this dialect, and from the file to an equal table. */
export async function copyByFile(fuzz: TypeFuzz, way: string, dialect: DelimitedTextFormat): Promise<readonly CellVerdict[]> {
  const { server } = fuzz;
  await server.query('DROP TABLE IF EXISTS fuzz_b; CREATE TABLE fuzz_b (LIKE fuzz_a)');
  const file = fileSide(fuzz.folder, { folderPath: 'out', fileName: 'all.txt' }, {}, dialect);
  const out = failureOf(await run(tableSide(server, 'fuzz_a'), file));
  if (out !== undefined) throw new Error(`${way}: the copy to a file failed: ${out}`);
  const back = failureOf(await run(file, tableSide(server, 'fuzz_b')));
  if (back !== undefined) throw new Error(`${way}: the copy from the file failed: ${back}`);
  return judge(fuzz, way, 'fuzz_b', 'true');
}

/** One cell after the other, since a dialect that cannot hold a value has to refuse the file. `only`: indexes of types. */
export async function copyBarely(fuzz: TypeFuzz, only: readonly number[]): Promise<readonly CellVerdict[]> {
  const { server, types } = fuzz;
  const way = 'neither quotes nor escapes';
  const verdicts: CellVerdict[] = [];
  for (const column of only) {
    for (const boundary of boundaryClasses) {
      if (types[column]?.cells[boundary] === undefined) continue;
      await server.query('DROP TABLE IF EXISTS fuzz_b; CREATE TABLE fuzz_b (LIKE fuzz_a)');
      const where = `boundary = '${boundary}'`;
      const source = tableSide(server, 'fuzz_a', { query: `SELECT id, boundary, c${column} FROM fuzz_a WHERE ${where} ORDER BY id` });
      const file = fileSide(fuzz.folder, { folderPath: 'out', fileName: 'cell.txt' }, {}, bareDialect);
      const failure = failureOf(await run(source, file)) ?? failureOf(await run(file, tableSide(server, 'fuzz_b')));
      const [found] = await judgeColumn(fuzz, { way, table: 'fuzz_b', where, column });
      if (found === undefined) throw new Error(`nothing of ${boundary} was judged`);
      if (failure === undefined) {
        verdicts.push(found);
      } else if (/DMG_FORMATS_INVALID_VALUE/.test(failure)) {
        verdicts.push({ ...found, changed: 0, refused: found.values });
      } else {
        throw new Error(`${types[column]?.name ?? ''}, ${boundary}: ${failure}`);
      }
    }
  }
  return verdicts;
}

/** All columns of two tables, compared by the server. */
async function judge(fuzz: TypeFuzz, way: string, table: string, where: string): Promise<readonly CellVerdict[]> {
  const { server } = fuzz;
  // The tables hold as many rows, and the made one has the same types.
  const [counts] = await server.query<{ a: string; b: string; ids: string }>(
    `SELECT (SELECT count(*) FROM fuzz_a) AS a, (SELECT count(*) FROM ${table}) AS b,
       (SELECT count(*) FROM fuzz_a JOIN ${table} USING (id, boundary)) AS ids`,
  );
  if (counts === undefined || counts.a !== counts.b || counts.a !== counts.ids) throw new Error(`${way}: ${JSON.stringify(counts)} rows`);
  const others = await server.query<{ name: string }>(
    `WITH own AS (
       SELECT c.attrelid AS rel, c.attname AS name, CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
         ELSE format_type(c.atttypid, c.atttypmod) END AS type
       FROM pg_attribute c JOIN pg_type t ON t.oid = c.atttypid WHERE c.attnum > 0)
     SELECT a.name || ' ' || a.type || ' ' || coalesce(b.type, 'none') AS name
     FROM own a LEFT JOIN own b ON b.rel = '${table}'::regclass AND b.name = a.name
     WHERE a.rel = 'fuzz_a'::regclass AND a.type IS DISTINCT FROM b.type`,
  );
  if (others.length > 0) throw new Error(`${way}: columns became others: ${others.map(({ name }) => name).join('; ')}`);
  const verdicts: CellVerdict[] = [];
  for (const column of fuzz.types.keys()) verdicts.push(...(await judgeColumn(fuzz, { way, table, where, column })));
  return verdicts;
}

interface ColumnQuestion {
  readonly way: string;
  readonly table: string;
  readonly where: string;
  readonly column: number;
}

/**
 * A value counts as unchanged when its text, its binary form (which tells -0 from 0, and 1.10 from 1.1) and the type's own comparison
 * say so, and when nothing is on one side only. A type's binary form is that of a row of it.
 */
async function judgeColumn({ server, types }: TypeFuzz, { way, table, where, column }: ColumnQuestion): Promise<CellVerdict[]> {
  const type = types[column];
  if (type === undefined) throw new RangeError(`no column ${column}`);
  const cast = type.base === undefined ? '' : `::${type.base}`;
  const [a, b] = [`a.c${column}${cast}`, `b.c${column}${cast}`];
  const own = type.equality === 'none' ? 'false' : type.equality === 'distinct' ? `${a} IS DISTINCT FROM ${b}`
    : `(${a} IS NULL) <> (${b} IS NULL) OR NOT coalesce(${a} ~= ${b} OR ${a}::text LIKE '%NaN%', true)`;
  const read = `SELECT id, boundary, c${column}::text, record_send(ROW(c${column}${cast}))`;
  const form = (from: string): string => `${read} FROM ${from} WHERE ${where}`;
  const rows = await server.query<{ boundary: BoundaryClass; n: string; changed: string; apart: string }>(
    `WITH apart AS (
       SELECT boundary FROM (${form('fuzz_a')} EXCEPT ALL ${form(table)}) AS lost
       UNION ALL SELECT boundary FROM (${form(table)} EXCEPT ALL ${form('fuzz_a')}) AS strange)
     SELECT a.boundary, count(*) AS n, (SELECT count(*) FROM apart WHERE apart.boundary = a.boundary) AS apart,
       count(*) FILTER (WHERE ${a}::text IS DISTINCT FROM ${b}::text OR ${own}
         OR record_send(ROW(${a})) IS DISTINCT FROM record_send(ROW(${b}))) AS changed
     FROM fuzz_a a LEFT JOIN ${table} b ON b.id = a.id WHERE a.${where === 'true' ? 'id > 0' : where} GROUP BY a.boundary`,
  );
  return rows.flatMap(({ boundary, n, changed, apart }): CellVerdict[] => {
    if (type.cells[boundary] === undefined && Number(changed) + Number(apart) === 0) return [];
    return [{ type: type.name, boundary, way, values: Number(n), changed: Math.max(Number(changed), Number(apart)), refused: 0 }];
  });
}
