import { appendFile, readFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Connector } from '@dmg/connector-api';
import { azureBlobConnector } from '@dmg/connector-azure-blob';
import { fileConnector } from '@dmg/connector-file';
import type { DataFormat, JsonObject } from '@dmg/model';
import { blobSide, copyOnce, type CopySide, fileSide } from '../harness/copy-run.ts';
import { differenceOf, readBlobs, readTree, type Tree, writeTree } from '../harness/file-tree.ts';
import { type FilesVerdict, type FileStores, newName } from './many-files.ts';

interface SinkPlace {
  readonly kind: string;
  readonly side: (settings: JsonObject, format?: DataFormat, fileName?: string) => CopySide;
  readonly look: () => Promise<Tree>;
  readonly read: (path: string) => Promise<Buffer>;
}

/** A new folder and a new container. */
function sinkPlaces(stores: FileStores): readonly SinkPlace[] {
  const { root, client } = stores;
  const name = newName(stores);
  const blob = { connectionString: stores.connectionString, container: name };
  const location = (fileName: string | undefined): JsonObject => ({ folderPath: name, ...(fileName === undefined ? {} : { fileName }) });
  return [
    {
      kind: 'files', side: (settings, format, fileName) => fileSide(root, location(fileName), settings, format),
      look: () => readTree(join(root, name)), read: (path) => readFile(join(root, name, path)),
    },
    {
      kind: 'blobs', side: (settings, format, fileName) => blobSide(blob, location(fileName), settings, format),
      look: () => readBlobs(client, name, `${name}/`),
      read: (path) => client.getContainerClient(name).getBlobClient(`${name}/${path}`).downloadToBuffer(),
    },
  ];
}

const csv: DataFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

async function ended(name: string, source: CopySide, sink: CopySide, problemsOf: () => Promise<readonly string[]>): Promise<FilesVerdict> {
  const outcome = await copyOnce({ source, sink });
  const problems = outcome.kind === 'succeeded' ? await problemsOf() : [`it ended with ${JSON.stringify(outcome)}`];
  return { name, files: 0, problems };
}

/** Flattened and merged, to files and to blobs; names that repeat in other folders, empty files among them. */
export async function copyBehaviors(stores: FileStores, count: number): Promise<readonly FilesVerdict[]> {
  const { root } = stores;
  const files = new Map<string, Uint8Array>();
  for (let index = 0; index < count; index++) {
    const rows = Array.from({ length: index % 7 }, (_, row) => `${index},"row ${row}, of ""${index}"""`);
    const text = index % 9 === 8 ? '' : `${['id,text', ...rows].join('\n')}${index % 2 === 0 ? '\n' : ''}`;
    files.set(`${index % 5}/same-${Math.floor(index / 5)}.csv`, Buffer.from(text));
  }
  const tree = await writeTree(join(root, 'behaviors'), files);
  const paths = [...files.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const whole = Buffer.concat(paths.map((path) => files.get(path) ?? new Uint8Array()));
  const rows = paths.flatMap((path) => Buffer.from(files.get(path) ?? []).toString().split('\n').slice(1).filter((row) => row !== ''));
  const text = `id,text\n${rows.join('\n')}\n`;
  const source = (format?: DataFormat): CopySide => fileSide(root, { folderPath: 'behaviors' }, { recursive: true }, format);
  const verdicts: FilesVerdict[] = [];
  for (const place of sinkPlaces(stores)) {
    verdicts.push(await ended(`flattened to ${place.kind}`, source(), place.side({ copyBehavior: 'FlattenHierarchy' }), async () => {
      return flatProblems(await place.look(), tree);
    }));
  }
  for (const place of sinkPlaces(stores)) {
    const side = place.side({ copyBehavior: 'MergeFiles' }, undefined, 'all.bin');
    verdicts.push(await ended(`merged byte by byte to ${place.kind}`, source(), side, async () => {
      const found = await place.read('all.bin');
      if (found.equals(whole)) return onlyOne(await place.look());
      return [`the file has ${found.length} bytes and not the ${whole.length} of its parts`];
    }));
  }
  for (const place of sinkPlaces(stores)) {
    const side = place.side({ copyBehavior: 'MergeFiles' }, csv, 'all.csv');
    verdicts.push(await ended(`merged row by row to ${place.kind}`, source(csv), side, async () => {
      const found = (await place.read('all.csv')).toString();
      // Quotes are written where they are needed only, and here they always are.
      return found === text ? onlyOne(await place.look()) : [`the file has ${found.length} characters and not ${text.length}`];
    }));
  }
  return verdicts;
}

function onlyOne(found: Tree): readonly string[] {
  return found.size === 1 ? [] : [`there are ${found.size} files`];
}

/** Every file is there once, in one folder, under a name that keeps its ending. */
function flatProblems(found: Tree, tree: Tree): readonly string[] {
  const problems: string[] = [];
  const byDigest = (of: Tree): string => [...of.values()].toSorted().join();
  if (byDigest(found) !== byDigest(tree)) problems.push(`${found.size} files hold something else than the ${tree.size} sources`);
  const wrong = [...found.keys()].find((path) => !/^same-\d+_[0-9a-f]{12}\.csv$/.test(path));
  if (wrong !== undefined) problems.push(`${wrong} is not a flat name`);
  return problems;
}

/** Which files wildcards select, in folders and in containers, beside a plain reading of the rules. The first patterns tell most. */
export async function wildcards(stores: FileStores, options: { patternsMax: number }): Promise<readonly FilesVerdict[]> {
  const { root, connectionString } = stores;
  const names = [
    'a.csv', 'b.csv', 'ab.csv', 'a.txt', '.csv', '*.csv', 'a?b', 'a^b', '😀.csv', 'A.CSV', 'e\u0301.csv', '[a].csv', 'a.csv.gz',
  ];
  const all = ['', 'x', 'x1', 'x/y', 'x/y/z', 'z 1', '😀', '2024-01', '2024-02'];
  const folders = all.slice(0, 2 + options.patternsMax);
  const files = new Map(folders.flatMap((folder) =>
    names.map((name) => [folder === '' ? name : `${folder}/${name}`, Buffer.from(`${folder}|${name}`)] as const)));
  const tree = await writeTree(join(root, 'wild'), files);
  const container = newName(stores);
  const blob = { connectionString, container };
  const verdicts = [await ended('files for wildcards', fileSide(root, { folderPath: 'wild' }, { recursive: true }),
    blobSide(blob, { folderPath: 'wild' }), async () => differences(await readBlobs(stores.client, container, 'wild/'), tree))];
  const patterns = [
    { name: '?.csv' }, { folder: 'x?', name: '*.csv' }, { name: '^*.csv' }, { folder: '*/y', name: 'a.*' },
    { name: '*.csv' }, { name: 'a*' }, { name: 'a^?b' }, { name: 'a^^b' }, { name: '*' }, { name: '[a].csv' }, { name: '😀.*' },
    { name: 'nothing*' }, { folder: 'x*', name: '*.csv' }, { folder: '2024-0?', name: '*' },
    { folder: 'x/*/z', name: '?????' }, { folder: '*', name: 'A*' },
  ];
  for (const recursive of [true, false]) {
    for (const { folder, name } of patterns.slice(0, options.patternsMax)) {
      const settings = { recursive, wildcardFileName: name, ...(folder === undefined ? {} : { wildcardFolderPath: `wild/${folder}` }) };
      const location: JsonObject = folder === undefined ? { folderPath: 'wild' } : {};
      const literal = folder === undefined ? '' : leadingLiteral(folder);
      const expected = new Map([...tree].filter(([path]) => isSelected(path, folder, name, recursive))
        .map(([path, digest]) => [path.slice(literal.length), digest]));
      const shown = `${recursive ? 'recursive ' : ''}${folder === undefined ? '' : `${folder}/`}${name}`;
      for (const source of [fileSide(root, location, settings), blobSide(blob, location, settings)]) {
        const [sink] = sinkPlaces(stores);
        if (sink === undefined) throw new Error('there is no sink');
        const of = source.end.connector;
        verdicts.push(await ended(`${shown} of ${of}`, source, sink.side({}), async () => differences(await sink.look(), expected)));
      }
    }
  }
  return verdicts;
}

function differences(found: Tree, expected: Tree): readonly string[] {
  const difference = differenceOf(found, expected);
  return difference === undefined ? [] : [difference];
}

/** The folders before the first with a wildcard, which paths at the sink do not repeat. */
function leadingLiteral(folder: string): string {
  const parts = folder.split('/');
  const count = parts.findIndex((part) => /[*?]/.test(part));
  return parts.slice(0, count).map((part) => `${part}/`).join('');
}

function isSelected(path: string, folder: string | undefined, name: string, recursive: boolean): boolean {
  const parts = path.split('/').slice(0, -1);
  const patterns = folder?.split('/') ?? [];
  if (parts.length < patterns.length || (!recursive && parts.length > patterns.length)) return false;
  return patterns.every((pattern, index) => plainPattern(pattern).test(parts[index] ?? '')) && plainPattern(name).test(basename(path));
}

/** `*` any characters, `?` one or none, `^` the next as it is. */
function plainPattern(pattern: string): RegExp {
  const source = pattern.replaceAll(/\^(.)|([*?])|([\\[\](){}.+|$^])/gsu, (_, escaped?: string, wild?: string, special?: string) => {
    if (wild !== undefined) return wild === '*' ? '.*' : '.?';
    return `\\${escaped ?? special ?? ''}`;
  });
  return new RegExp(`^${source}$`, 'su');
}

type Change = 'rewritten' | 'longer' | 'shorter' | 'removed' | 'replaced';
const changesOfFiles: readonly Change[] = ['rewritten', 'longer', 'shorter', 'removed', 'replaced'];
const victim = 'd/victim.bin';

/** A file or blob that is changed or taken away between the plan and its first read, or while it is read. */
export async function changes(stores: FileStores, kinds: readonly ('small' | 'large')[]): Promise<readonly FilesVerdict[]> {
  const verdicts: FilesVerdict[] = [];
  const { root, client, connectionString } = stores;
  for (const kind of kinds) {
    const bytes = kind === 'small' ? 1000 : 20_000_000;
    for (const change of changesOfFiles) {
      const folderPath = newName(stores);
      const others = Array.from({ length: 20 }, (_, index): [string, Uint8Array] => [`d/${index}.bin`, stores.random.bytes(500)]);
      const tree = await writeTree(join(root, folderPath), new Map([...others, [victim, Buffer.alloc(bytes, 7)]]));
      const path = join(root, folderPath, victim);
      const source = fileSide(root, { folderPath }, { recursive: true });
      const [, blobs] = sinkPlaces(stores);
      const strike = (): Promise<void> => changeFile(path, change, bytes);
      // Who has a file open reads what it was when somebody else takes away its name.
      const whole = kind === 'large' && (change === 'removed' || change === 'replaced') ? tree : undefined;
      verdicts.push(await struck(`a ${kind} file is ${change}`, {
        connector: fileConnector, source, sink: blobs, strike, late: kind === 'large', whole,
      }));
      if (change === 'shorter' || change === 'longer') continue;
      const container = newName(stores);
      const blob = { connectionString, container };
      await writeFile(path, Buffer.alloc(bytes, 7));
      const look = async (): Promise<readonly string[]> => differences(await readBlobs(client, container), tree);
      const filled = await ended('blobs to be changed', source, blobSide(blob), look);
      if (filled.problems.length > 0) verdicts.push(filled);
      const [toFiles] = sinkPlaces(stores);
      const target = client.getContainerClient(container).getBlockBlobClient(victim);
      const strikeBlob = async (): Promise<void> => {
        if (change === 'removed') await target.delete();
        else await target.upload(Buffer.alloc(bytes, change === 'rewritten' ? 7 : 8), bytes);
      };
      verdicts.push(await struck(`a ${kind} blob is ${change}`, {
        connector: azureBlobConnector, source: blobSide(blob, {}, { recursive: true }), sink: toFiles, strike: strikeBlob,
        late: kind === 'large', whole: undefined,
      }));
    }
  }
  return verdicts;
}

async function changeFile(path: string, change: Change, bytes: number): Promise<void> {
  switch (change) {
    case 'rewritten': await writeFile(path, Buffer.alloc(bytes, 8)); break;
    case 'longer': await appendFile(path, 'more'); break;
    case 'shorter': await truncate(path, bytes - 1); break;
    case 'removed': await rm(path); break;
    case 'replaced':
      await writeFile(`${path}.new`, Buffer.alloc(bytes, 8));
      await rename(`${path}.new`, path);
      break;
  }
  // The clock of a file system moves in steps of some milliseconds.
  if (change === 'rewritten') await utimes(path, 1_700_000_000, 1_700_000_000);
}

interface Strike {
  readonly connector: Connector;
  readonly source: CopySide;
  readonly sink: SinkPlace | undefined;
  readonly strike: () => Promise<void>;
  /** Not before the first read but before the third. */
  readonly late: boolean;
  /** What was planned may be copied after all. */
  readonly whole: Tree | undefined;
}

async function struck(name: string, { connector, source, sink, strike, late, whole }: Strike): Promise<FilesVerdict> {
  if (sink === undefined) throw new Error('there is no sink');
  let reads = 0;
  const striking: Connector = {
    ...connector,
    async openSource(end, context) {
      const opened = await connector.openSource(end, context);
      return {
        kind: opened.kind,
        list: (signal) => opened.list(signal),
        close: () => opened.close(),
        async read(object, position, into, signal) {
          if (object.path === victim && ++reads === (late ? 3 : 1)) await strike();
          return opened.read(object, position, into, signal);
        },
      };
    },
  };
  const outcome = await copyOnce({ source, sink: sink.side({}), connectors: [striking] });
  const problems: string[] = [];
  const seen = await sink.look();
  if (outcome.kind === 'succeeded' && whole !== undefined) return { name, files: 21, problems: differences(seen, whole) };
  if (outcome.kind !== 'failed' || outcome.fault.code !== 'DMG_CONNECTOR_SOURCE_CHANGED' || outcome.sink !== 'aborted') {
    problems.push(`after ${reads} reads it ended with ${JSON.stringify(outcome)}`);
  } else if (!String(outcome.fault.params['path']).endsWith(victim)) {
    problems.push(`it names ${String(outcome.fault.params['path'])}`);
  }
  if (seen.size > 0) problems.push(`${seen.size} files are to be seen`);
  return { name, files: 21, problems };
}
