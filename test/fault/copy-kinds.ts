import { newId, type Random } from '@dmg/base';
import type { CopyActivity, CopyEnd, DelimitedTextFormat, Job, JsonObject } from '@dmg/model';
import { MovingTable } from '../harness/moving-table.ts';
import { binaryFolder, csvFolder, type CopyStage, expectedTable, rowsQuery, tableColumns } from './copy-stage.ts';

export const copyKinds = ['table-file', 'file-table', 'table-table', 'table-staged', 'files-blobs', 'blobs-files'] as const;
export type CopyKind = (typeof copyKinds)[number];

/** One copy that is ready to be made, in places of its own. */
export interface PreparedCopy {
  readonly kind: CopyKind;
  /** Name of its folders, containers and schemas. */
  readonly name: string;
  readonly activity: CopyActivity;
  readonly secrets: { readonly source: Readonly<Record<string, string>>; readonly sink: Readonly<Record<string, string>> };
  /** The source, where it is a table. */
  readonly moving: MovingTable | undefined;
  /** The sink, where it is a table. */
  readonly table: string | undefined;
  /** Rows that were in the table before; the script removes them with the plan. */
  readonly decoys: number;
}

export const csv: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true,
  nullValue: 'NULL', encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};
/** What a copy of a table to a file makes. */
export const csvTarget = 'rows.csv';
const decoys = 100;
/** Rows that an upsert finds in the table and replaces, where the source still has theirs. */
export const staleRows = 500;
export const staleVersion = -1;

export interface CopyWish {
  readonly kind: CopyKind;
  readonly name: string;
  readonly random: Random;
  /** Into a table without a script: rows are added to what is there. */
  readonly appends: boolean;
}

export async function prepareCopy(stage: CopyStage, wish: CopyWish): Promise<PreparedCopy> {
  const { kind, name } = wish;
  const fromTable = kind.startsWith('table-');
  const toTable = kind.endsWith('-table') || kind === 'table-staged';
  if (fromTable || toTable) await stage.server.query(`CREATE SCHEMA ${name}; CREATE SCHEMA ${name}_sink`);
  const moving = fromTable ? await movingSource(stage, wish) : undefined;
  const source = sourceOf(stage, wish);
  const sink = sinkOf(stage, wish);
  if (toTable) {
    await stage.server.query(`CREATE TABLE ${name}_sink.rows (${tableColumns})`);
    if (kind === 'table-staged') {
      await stage.server.query(`ALTER TABLE ${name}_sink.rows ADD PRIMARY KEY (id);
        INSERT INTO ${name}_sink.rows ${rowsQuery(1, staleRows, String(staleVersion))}`);
    }
    if (!wish.appends) await stage.server.query(`INSERT INTO ${name}_sink.rows ${rowsQuery(-decoys, -1)}`);
  }
  return {
    kind, name, moving,
    activity: { type: 'Copy', source: source.end, sink: sink.end, parallelCopies: 0, validateDataConsistency: false },
    secrets: { source: source.secrets, sink: sink.secrets },
    table: toTable ? `${name}_sink.rows` : undefined,
    decoys: toTable && !wish.appends ? decoys : 0,
  };
}

/** A new run of the copy's activity. */
export function newJob({ activity }: Pick<PreparedCopy, 'activity'>, random: Random): Job {
  return {
    formatVersion: 1, jobId: newId(random), gatewayId: 'test', tryNumber: 1, finalTry: false,
    origin: { factoryName: 'test', pipelineName: 'test', runId: 'test', activityName: 'test', activityRunId: 'test' },
    policy: { timeoutMs: 600_000, retry: 10, retryIntervalMs: 1_000 },
    activity,
  };
}

async function movingSource({ server }: CopyStage, { name, random }: CopyWish): Promise<MovingTable> {
  const rows = 8_000 + Math.floor(random.unit() * 40_000);
  const table = `${name}.rows`;
  await server.query(`CREATE TABLE ${table} (${tableColumns}, PRIMARY KEY (id));
    INSERT INTO ${table} ${rowsQuery(1, rows)}; ANALYZE ${table}`);
  return MovingTable.open({
    server, table, history: `${name}.history`, keys: ['id'], random, pauseMs: 10,
    movement: (k) => ({
      update: { where: `id % 97 = ${k % 97}`, set: `version = ${k}, words = words || '+'` },
      remove: `id <= ${rows} AND id % 997 = ${(k * 7) % 997} AND id % 97 <> ${k % 97}`,
      insert: rowsQuery(rows + k * 20, rows + k * 20 + 19, String(k)),
    }),
  });
}

interface Side {
  readonly end: CopyEnd;
  readonly secrets: Readonly<Record<string, string>>;
}

function tableSide({ server, sql }: CopyStage, schema: string, settings: JsonObject): Side {
  const connection = { ...server.connection, port: sql.port };
  return {
    end: { connector: 'postgresql', connection, location: { schema, table: 'rows' }, settings, format: { type: 'Table' } },
    secrets: Object.fromEntries(server.secrets),
  };
}

function fileSide({ root }: CopyStage, location: JsonObject, format: CopyEnd['format'], settings: JsonObject = {}): Side {
  return { end: { connector: 'file', connection: { host: root }, location, settings, format }, secrets: {} };
}

function blobSide({ connectionString }: CopyStage, container: string): Side {
  const end: CopyEnd = {
    connector: 'azure-blob', connection: {}, location: { container }, settings: { recursive: true }, format: { type: 'Binary' },
  };
  return { end, secrets: { connectionString } };
}

function sourceOf(stage: CopyStage, { kind, name }: CopyWish): Side {
  switch (kind) {
    case 'table-file':
    case 'table-table':
    case 'table-staged':
      return tableSide(stage, name, { partitionOption: 'DynamicRange', partitionSettings: { partitionColumnName: 'id' } });
    case 'file-table': return fileSide(stage, { folderPath: csvFolder }, csv, { recursive: true });
    case 'files-blobs': return fileSide(stage, { folderPath: binaryFolder }, { type: 'Binary' }, { recursive: true });
    case 'blobs-files': return blobSide(stage, binaryFolder);
  }
}

function sinkOf(stage: CopyStage, { kind, name, appends }: CopyWish): Side {
  switch (kind) {
    case 'table-file': return fileSide(stage, { folderPath: `out/${name}`, fileName: csvTarget }, csv);
    case 'table-table':
    case 'file-table': return tableSide(stage, `${name}_sink`, appends ? {} : { preCopyScript: `TRUNCATE ${name}_sink.rows` });
    case 'table-staged': return tableSide(stage, `${name}_sink`, { writeMethod: 'Upsert', upsertSettings: { keys: ['id'] } });
    case 'files-blobs': return blobSide(stage, name);
    case 'blobs-files': return fileSide(stage, { folderPath: `out/${name}` }, { type: 'Binary' });
  }
}

/** What a copy into a table that does not move must hold, so many times. */
export function expectedRows(times: number): string {
  return `(${Array.from({ length: times }, () => `SELECT * FROM ${expectedTable}`).join(' UNION ALL ')})`;
}
