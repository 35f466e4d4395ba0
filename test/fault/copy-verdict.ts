import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@dmg/base';
import type { AttemptOutcome, Plan, Receipt } from '@dmg/model';
import { waitFor } from '../harness/wait-for.ts';
import { csvTarget, expectedRows, type PreparedCopy, staleRows, staleVersion } from './copy-kinds.ts';
import { type CopyStage, tableColumns } from './copy-stage.ts';

/** What is not as it must be at a sink: counted in rows where there are rows, else in files. */
export interface CopyFindings {
  lost: number;
  doubled: number;
  changed: number;
  readonly problems: string[];
}

/** How a copy ended, as its attempts say: once, whatever happened to them. */
export interface CopyEnding {
  /** Jobs that must be in: more than one where a copy was asked for again. */
  readonly receipts: readonly Receipt[];
  readonly outcomes: readonly AttemptOutcome[];
  /** Files or blobs that somebody has taken away, by name; undefined: nobody takes any. */
  readonly taken: ReadonlyMap<string, readonly string[]> | undefined;
}

/** Judges what is at the sink, inside the store: nothing of the engine or its connectors has a part in it. */
export async function judgeCopy(stage: CopyStage, copy: PreparedCopy, ending: CopyEnding): Promise<CopyFindings> {
  const findings: CopyFindings = { lost: 0, doubled: 0, changed: 0, problems: [] };
  // Its last transaction is over before the table that it changes is compared.
  await copy.moving?.stop();
  if (copy.table !== undefined) await judgeTable(stage, copy, ending, findings, copy.table);
  else if (copy.kind === 'table-file') await judgeCsv(stage, copy, ending, findings);
  else await judgeObjects(stage, copy, ending, findings);
  judgeReceipts(ending, findings);
  await judgeLeftovers(stage, copy, ending, findings);
  return findings;
}

/** Whoever says that a job is done says it with the same receipt. */
function judgeReceipts({ receipts, outcomes }: CopyEnding, { problems }: CopyFindings): void {
  const said = new Set(receipts.map((receipt) => JSON.stringify(receipt)));
  for (const outcome of outcomes) {
    if (outcome.kind === 'succeeded' && !said.has(JSON.stringify(outcome.receipt))) problems.push('two receipts of one job differ');
    if (outcome.kind === 'cancelled' && receipts.length > 0) problems.push('one attempt says cancelled and another one done');
    if (outcome.kind === 'failed' && outcome.sink !== 'open') {
      problems.push(`an attempt failed: ${outcome.fault.code} ${outcome.fault.message}`);
    }
  }
}

interface MarkSums {
  readonly phase: string;
  readonly plan: string | null;
  readonly marks: number;
  readonly rows: number;
}

async function judgeTable(
  stage: CopyStage, copy: PreparedCopy, ending: CopyEnding, findings: CopyFindings, table: string,
): Promise<void> {
  const { server } = stage;
  const schema = table.split('.')[0] ?? '';
  const { problems } = findings;
  const isDone = ending.receipts.length > 0;
  const [known] = await server.query<{ there: boolean }>(`SELECT to_regclass('${schema}.dmg_job') IS NOT NULL AS there`);
  const jobs = known?.there !== true ? [] : await server.query<MarkSums>(`
    SELECT phase, plan, count(c.*)::int AS marks, coalesce(sum(c.rows), 0)::int AS rows
    FROM ${schema}.dmg_job j LEFT JOIN ${schema}.dmg_chunk c ON c.job_id = j.job_id AND c.generation = j.generation
    GROUP BY j.job_id`);
  for (const job of jobs) {
    if (job.phase !== (isDone ? 'done' : 'aborted')) problems.push(`a job is ${job.phase} at the sink`);
  }
  if (isDone && jobs.length !== ending.receipts.length) problems.push(`${jobs.length} jobs are at the sink, not ${ending.receipts.length}`);
  for (const receipt of ending.receipts) {
    if (!jobs.some(({ marks, rows }) => marks === receipt.chunks && rows === receipt.rowsWritten)) {
      problems.push(`the receipt counts ${receipt.chunks} chunks and ${receipt.rowsWritten} rows, the marks ${JSON.stringify(jobs)}`);
    }
  }
  for (const { plan, marks } of isDone ? jobs : []) problems.push(...marksMissing(plan, marks));
  const isStaged = copy.kind === 'table-staged';
  // Rows that were staged show with the end, all at once.
  const marked = isStaged && !isDone ? 0 : jobs.reduce((sum, { rows }) => sum + rows, 0);
  // The script ran with the plan, or not at all. An upsert has none.
  const decoys = !isStaged && jobs.some(({ plan }) => plan !== null) ? 0 : copy.decoys;
  const [count] = await server.query<{ rows: number; decoys: number; stale: number }>(`SELECT
    count(*) FILTER (WHERE id > 0 AND version >= 0)::int AS rows, count(*) FILTER (WHERE id < 0)::int AS decoys,
    count(*) FILTER (WHERE version = ${staleVersion})::int AS stale FROM ${table}`);
  if (count?.decoys !== decoys) problems.push(`${count?.decoys} rows from before are in the table, not ${decoys}`);
  if (count?.rows !== marked) problems.push(`${count?.rows} rows are in the table, and marks for ${marked}`);
  if (isStaged && !isDone && count?.stale !== staleRows) problems.push(`${count?.stale} rows are as before, not ${staleRows}`);
  await judgeRows(stage, copy, ending, findings, `(SELECT * FROM ${table} WHERE id > 0 AND version >= 0)`);
}

/** Where the chunks were known from the start, each has its mark. */
function marksMissing(plan: string | null, marks: number): string[] {
  if (plan === null) return [];
  const { targets } = JSON.parse(plan) as Plan;
  const known = targets.map(({ cutting, sources }) =>
    cutting.kind === 'streams' ? sources.length : cutting.kind === 'ranges' ? cutting.chunks.length : undefined);
  if (known.includes(undefined)) return [];
  const planned = known.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  return planned === marks ? [] : [`${marks} chunks have a mark, ${planned} were planned`];
}

async function judgeRows(
  stage: CopyStage, copy: PreparedCopy, { receipts }: CopyEnding, findings: CopyFindings, rows: string,
): Promise<void> {
  const { server } = stage;
  const { moving, name } = copy;
  const copied = `${name}_sink.judged`;
  await server.query(`CREATE TABLE ${copied} AS SELECT * FROM ${rows} AS r; ANALYZE ${copied}`);
  const isDone = receipts.length > 0;
  if (moving !== undefined && receipts[0]?.consistency !== 'snapshot') {
    const { lost, doubled, changed } = await moving.judgeLoose(copied);
    Object.assign(findings, { lost: isDone ? lost : 0, doubled, changed });
    return;
  }
  const expected = moving === undefined ? expectedRows(Math.max(1, receipts.length)) : moving.after(await moving.momentOf(copied));
  const [difference] = await server.query<{ lost: number; doubled: number }>(`SELECT
    (SELECT count(*)::int FROM (SELECT * FROM ${expected} AS e EXCEPT ALL SELECT * FROM ${copied}) AS l) AS lost,
    (SELECT count(*)::int FROM (SELECT * FROM ${copied} EXCEPT ALL SELECT * FROM ${expected} AS e) AS d) AS doubled`);
  Object.assign(findings, { lost: isDone ? difference?.lost : 0, doubled: difference?.doubled });
}

/** The server itself reads the file. */
async function judgeCsv(stage: CopyStage, copy: PreparedCopy, ending: CopyEnding, findings: CopyFindings): Promise<void> {
  const { root, server } = stage;
  const folder = join(root, ending.taken === undefined ? `out/${copy.name}` : `taken/${copy.name}`);
  const names = await readdir(folder).catch(() => []);
  const isDone = ending.receipts.length > 0;
  if (names.length !== (isDone ? 1 : 0)) findings.problems.push(`the sink has the files ${names.join(', ') || '(none)'}`);
  judgeTaken(ending, findings);
  if (!isDone || names.length === 0) return;
  const path = join(folder, names[0] ?? csvTarget);
  await chmod(path, 0o644);
  await server.query(`CREATE TABLE ${copy.name}_sink.read (${tableColumns})`);
  await server.admin(`COPY ${copy.name}_sink.read FROM '${path}' (FORMAT csv, HEADER true, NULL 'NULL')`);
  const [count] = await server.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${copy.name}_sink.read`);
  const [receipt] = ending.receipts;
  if (count?.rows !== receipt?.rowsWritten) {
    findings.problems.push(`${count?.rows} rows are in the file, the receipt says ${receipt?.rowsWritten}`);
  }
  await judgeRows(stage, copy, ending, findings, `${copy.name}_sink.read`);
}

async function judgeObjects(stage: CopyStage, copy: PreparedCopy, ending: CopyEnding, findings: CopyFindings): Promise<void> {
  const isDone = ending.receipts.length > 0;
  const found = copy.kind === 'files-blobs' ? await blobHashes(stage, copy) : await fileHashes(join(stage.root, 'out', copy.name));
  judgeTaken(ending, findings);
  const all = new Map(found);
  for (const [name, hashes] of ending.taken ?? []) {
    if (found.has(name)) findings.doubled += 1;
    all.set(name, hashes[0] ?? '');
  }
  const expected = isDone ? stage.binaries : new Map<string, Uint8Array>();
  for (const [name, bytes] of expected) {
    const hash = all.get(name);
    if (hash === undefined) findings.lost += 1;
    else if (hash !== sha256(bytes)) findings.changed += 1;
  }
  findings.doubled += [...all.keys()].filter((name) => !expected.has(name)).length;
}

/** Nothing comes back that was taken away. */
function judgeTaken({ taken }: CopyEnding, findings: CopyFindings): void {
  for (const hashes of taken?.values() ?? []) findings.doubled += hashes.length - 1;
}

/** Sessions, work files, staged blocks: nothing of a job stays but its record. */
async function judgeLeftovers(
  stage: CopyStage, copy: PreparedCopy, ending: CopyEnding, { problems }: CopyFindings,
): Promise<void> {
  const { root, server, blobs } = stage;
  const endRecord = /^\.dmg(?:\/store-id|\/jobs(?:\/[0-9a-f]{2}(?:\/[0-9a-f]{32}(?:\/(?:begin|end))?)?)?)?$/;
  const files = (await readdir(root, { recursive: true })).filter((path) =>
    !/^(?:in-binary|in-csv|out|taken)(?:$|\/)/.test(path) && !endRecord.test(path));
  const hidden = (await readdir(join(root, 'out'), { recursive: true }).catch(() => [])).filter((path) => path.includes('.dmg'));
  if (files.length + hidden.length > 0) problems.push(`work files are left: ${[...files, ...hidden].slice(0, 5).join(', ')}`);
  if (copy.kind === 'files-blobs') {
    const container = blobs.getContainerClient(copy.name);
    const targets = new Set((await namesIn(stageContainer(container, false))).filter((name) => !name.startsWith('.dmg/')));
    for (const name of await namesIn(stageContainer(container, true))) {
      // A block that was on its way when the job was aborted shows nothing, and the store drops it after a week.
      const isLate = ending.receipts.length === 0 && stage.binaries.has(name);
      if (!targets.has(name) && !isLate && !/^\.dmg\/jobs\/[0-9a-f]{32}$/.test(name)) problems.push(`a blob is left: ${name}`);
    }
  }
  if (copy.moving === undefined && copy.table === undefined) return;
  const sessions = async (): Promise<number> => (await server.admin<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'dmg:%'"))[0]?.n ?? 0;
  const areGone = await waitFor('sessions to end', async () => (await sessions()) === 0, { withinMs: 10_000 }).catch(() => false);
  if (!areGone) problems.push(`${await sessions()} sessions of attempts are left`);
  const schema = `${copy.name}_sink`;
  const staging = await server.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p')
       AND relname NOT IN ('rows', 'read', 'judged', 'dmg_job', 'dmg_chunk')`, [schema]);
  if (staging.length > 0) problems.push(`tables are left: ${staging.map(({ name }) => name).join(', ')}`);
}

type Container = ReturnType<CopyStage['blobs']['getContainerClient']>;

async function* stageContainer(container: Container, includeUncommitedBlobs: boolean): AsyncGenerator<string> {
  if (!(await container.exists())) return;
  for await (const { name } of container.listBlobsFlat({ includeUncommitedBlobs })) yield name;
}

async function namesIn(names: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const name of names) found.push(name);
  return found;
}

async function fileHashes(folder: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const name of await readdir(folder).catch(() => [])) hashes.set(name, sha256(await readFile(join(folder, name))));
  return hashes;
}

async function blobHashes({ blobs }: CopyStage, { name: containerName }: PreparedCopy): Promise<Map<string, string>> {
  const container = blobs.getContainerClient(containerName);
  const hashes = new Map<string, string>();
  for await (const name of stageContainer(container, false)) {
    if (!name.startsWith('.dmg/')) hashes.set(name, sha256(await container.getBlobClient(name).downloadToBuffer()));
  }
  return hashes;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Takes each finished file or blob away as soon as it is seen, until it is told to stop; returns what it took, by name. */
export async function consume(stage: CopyStage, copy: PreparedCopy, signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
  const taken = new Map<string, string[]>();
  const note = (name: string, bytes: Uint8Array): void => void taken.set(name, [...(taken.get(name) ?? []), sha256(bytes)]);
  const container = stage.blobs.getContainerClient(copy.name);
  const [from, to] = [join(stage.root, 'out', copy.name), join(stage.root, 'taken', copy.name)];
  await mkdir(to, { recursive: true });
  for (let isLast = false; !isLast;) {
    // Once more after the end: a copy that comes back late is seen as well.
    isLast = signal.aborted;
    if (copy.kind === 'files-blobs') {
      for await (const name of stageContainer(container, false)) {
        if (name.startsWith('.dmg/')) continue;
        note(name, await container.getBlobClient(name).downloadToBuffer());
        await container.deleteBlob(name);
      }
    } else {
      for (const name of await readdir(from).catch(() => [])) {
        if (name.startsWith('.dmg')) continue;
        await rename(join(from, name), join(to, name));
        note(name, await readFile(join(to, name)));
      }
    }
    await new Promise<void>((resolve) => void systemClock.after(2, resolve));
  }
  return taken;
}

/** Removes what a copy has left where it should, so that hundreds of them need no room. */
export async function removeCopy({ root, server, blobs }: CopyStage, copy: PreparedCopy): Promise<void> {
  for (const folder of ['out', 'taken']) await rm(join(root, folder, copy.name), { recursive: true, force: true });
  if (copy.kind === 'files-blobs') await blobs.getContainerClient(copy.name).deleteIfExists();
  if (copy.moving === undefined && copy.table === undefined) return;
  await server.query(`DROP SCHEMA ${copy.name} CASCADE; DROP SCHEMA ${copy.name}_sink CASCADE`);
}
