import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { container, type DemoCopy, type MappedColumn, type Place } from './definitions.ts';

/**
 * Judges every sink by itself: with the bare SDK and the file system, a CSV reader of its own and no line of the engine, the
 * formats or the connectors. What is missing counts as lost, what is there more often than it should as doubled.
 */
export interface Verdict {
  readonly activity: string;
  readonly lost: number;
  readonly doubled: number;
  readonly bytes: number;
  /** Empty: the sink holds exactly what it should. */
  readonly problems: readonly string[];
}

interface Stores {
  readonly root: string;
  readonly blob: BlobServiceClient;
}

export async function verifyCopy(copy: DemoCopy, root: string, blobConnectionString: string): Promise<Verdict> {
  const stores: Stores = { root, blob: BlobServiceClient.fromConnectionString(blobConnectionString) };
  return copy.csv === undefined ? verifyBytes(copy, stores) : verifyRows(copy, copy.csv, stores);
}

async function verifyBytes(copy: DemoCopy, stores: Stores): Promise<Verdict> {
  const expected = await fingerprints(stores, copy.from, copy.recursive === true);
  const found = await fingerprints(stores, copy.to.file === undefined ? copy.to : { store: copy.to.store, folder: copy.to.folder }, true);
  // A named target, and generated names, are compared by content; everything else by path and content.
  const relevant = copy.to.file === undefined ? found : found.filter(({ path }) => path === copy.to.file);
  const byContent = copy.to.file !== undefined || copy.flatten === true;
  const key = (item: Fingerprint): string => (byContent ? item.hash : `${item.path} ${item.hash}`);
  const { lost, doubled } = compareBags(expected.map(key), relevant.map(key));
  const problems = [...lost.map((item) => `missing or changed: ${item}`), ...doubled.map((item) => `not expected: ${item}`)];
  return { activity: copy.activity, lost: lost.length, doubled: doubled.length, bytes: sum(relevant.map(({ bytes }) => bytes)), problems };
}

interface Fingerprint {
  readonly path: string;
  readonly hash: string;
  readonly bytes: number;
}

async function fingerprints(stores: Stores, place: Place, recursive: boolean): Promise<Fingerprint[]> {
  const paths = place.file === undefined ? await listPaths(stores, place, recursive) : [place.file];
  return Promise.all(paths.map(async (path) => ({ path, ...(await fingerprint(stores, place, path)) })));
}

async function listPaths(stores: Stores, place: Place, recursive: boolean): Promise<string[]> {
  if (place.store === 'blob') {
    const prefix = `${place.folder}/`;
    const paths: string[] = [];
    for await (const item of stores.blob.getContainerClient(container).listBlobsFlat({ prefix }))
      paths.push(item.name.slice(prefix.length));
    return paths.filter((path) => recursive || !path.includes('/')).sort();
  }
  const entries = await readdir(join(stores.root, place.folder), { recursive, withFileTypes: true }).catch(() => []);
  const base = join(stores.root, place.folder);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(base.length + 1))
    .sort();
}

async function fingerprint(stores: Stores, place: Place, path: string): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const source =
    place.store === 'file'
      ? createReadStream(join(stores.root, place.folder, path))
      : (await stores.blob.getContainerClient(container).getBlobClient(`${place.folder}/${path}`).download()).readableStreamBody;
  if (source === undefined) return { hash: 'unreadable', bytes: 0 };
  await pipeline(source, async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      hash.update(chunk);
    }
  });
  return { hash: hash.digest('hex'), bytes };
}

async function verifyRows(copy: DemoCopy, csv: NonNullable<DemoCopy['csv']>, stores: Stores): Promise<Verdict> {
  const source = parseCsv(await readText(stores, copy.from), csv.fromDelimiter);
  const sinkText = await readText(stores, copy.to);
  const sink = parseCsv(sinkText, csv.toDelimiter);
  const header = source[0] ?? [];
  const columns: readonly MappedColumn[] = csv.columns ?? header.map((name) => ({ source: name, sink: name, judge: 'text' as const }));
  const positions = columns.map((column) => header.indexOf(column.source));
  const problems: string[] = [];
  const expectedHeader = columns.map((column) => column.sink).join('|');
  if ((sink[0] ?? []).join('|') !== expectedHeader) problems.push(`header is ${JSON.stringify(sink[0])}, not ${expectedHeader}`);
  const expected = source
    .slice(1)
    .map((row) => JSON.stringify(columns.map((column, index) => judged(row[positions[index] ?? -1] ?? '', column))));
  const found = sink.slice(1).map((row) => JSON.stringify(columns.map((column, index) => judged(row[index] ?? '', column))));
  const { lost, doubled } = compareBags(expected, found);
  if (lost.length > 0) problems.push(`${lost.length} rows are missing or changed, the first: ${lost[0]}`);
  if (doubled.length > 0) problems.push(`${doubled.length} rows are not expected, the first: ${doubled[0]}`);
  if (problems.length === 0 && expected.join('\n') !== found.join('\n')) problems.push('rows are in another order');
  return { activity: copy.activity, lost: lost.length, doubled: doubled.length, bytes: Buffer.byteLength(sinkText), problems };
}

function judged(text: string, column: MappedColumn): string {
  switch (column.judge) {
    case 'text':
      return text;
    case 'number':
      return text === '' ? '' : String(Number(text));
    case 'moment':
      return new Date(`${text.trim().replace(' ', 'T').replace(/Z$/, '')}${/T|\s/.test(text.trim()) ? 'Z' : 'T00:00:00Z'}`).toISOString();
  }
}

async function readText(stores: Stores, place: Place): Promise<string> {
  if (place.store === 'file') return readFile(join(stores.root, place.folder, place.file ?? ''), 'utf8');
  const buffer = await stores.blob
    .getContainerClient(container)
    .getBlobClient(`${place.folder}/${place.file ?? ''}`)
    .downloadToBuffer();
  return buffer.toString('utf8');
}

/** A plain RFC 4180 reader, one character at a time: slow, obvious, and unrelated to the product's scanner. */
export function parseCsv(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  let begun = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[at + 1] === '"') {
        field += '"';
        at++;
      } else quoted = false;
      continue;
    }
    if (character === '"') {
      quoted = true;
      begun = true;
    } else if (character === delimiter) {
      row.push(field);
      field = '';
      begun = true;
    } else if (character === '\n' || character === '\r') {
      if (character === '\r' && text[at + 1] === '\n') at++;
      row.push(field);
      rows.push(row);
      row = [];
      field = '';
      begun = false;
    } else {
      field += character;
      begun = true;
    }
  }
  if (begun || row.length > 0) rows.push([...row, field]);
  return rows;
}

function compareBags(expected: readonly string[], found: readonly string[]): { lost: string[]; doubled: string[] } {
  const counts = new Map<string, number>();
  for (const item of expected) counts.set(item, (counts.get(item) ?? 0) + 1);
  const doubled: string[] = [];
  for (const item of found) {
    const left = counts.get(item) ?? 0;
    if (left === 0) doubled.push(item);
    else counts.set(item, left - 1);
  }
  const lost = [...counts].flatMap(([item, left]) => Array.from({ length: left }, () => item));
  return { lost, doubled };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
