import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Compression, DataFormat } from '@dmg/model';
import { bzip2Contents, bzip2Files } from '../../packages/formats/src/testing/bzip2-files.ts';
import { zipEntryHead, zipTail } from '../../packages/formats/src/compression/zip-writer.ts';
import type { CleanupContext } from '../harness/cleanup.ts';
import { fileSide } from '../harness/copy-run.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { measureCopy, memoryBytesMax } from './measured-copy.ts';

/** A small file that becomes a large one, and what a copy of it must come to. */
interface BombCase {
  readonly name: string;
  readonly make: (path: string, contentBytes: number) => Promise<number>;
  readonly source: DataFormat;
  readonly sink: DataFormat;
  /** Part of the fault's message; undefined: it succeeds. */
  readonly fault?: RegExp;
}

export interface BombVerdict {
  readonly name: string;
  readonly sourceBytes: number;
  readonly contentBytes: number;
  readonly memoryBytes: number;
  readonly ms: number;
  readonly problems: readonly string[];
}

const binary = (type?: Compression['type']): DataFormat =>
  ({ type: 'Binary', ...(type === undefined ? {} : { compression: { type, level: 'Fastest' } }) });
const text: DataFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '"', firstRowAsHeader: false, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

const cases: readonly BombCase[] = [
  { name: 'gzip of zeros → file', make: gzipOfZeros, source: binary('gzip'), sink: binary() },
  { name: 'gzip of zeros → deflate', make: gzipOfZeros, source: binary('gzip'), sink: binary('deflate') },
  { name: 'archive of zeros → file', make: zipOfZeros, source: binary('zipDeflate'), sink: binary() },
  { name: 'bzip2 that repeats itself → file', make: bzip2Repeated, source: binary('bzip2'), sink: binary() },
  {
    name: 'gzip of zeros as text', make: gzipOfZeros, source: { ...text, compression: { type: 'gzip', level: 'Optimal' } },
    sink: { ...text, columnDelimiter: ';' },
    fault: /row 1 of bomb/,
  },
  {
    name: 'gzip of zeros, cut off', source: binary('gzip'), sink: binary(), fault: /it is cut off, .* byte \d+,/,
    make: async (path, contentBytes) => {
      await gzipOfZeros(path, contentBytes);
      await truncate(path, (await stat(path)).size - 9);
      return contentBytes;
    },
  },
];

/** Copies each bomb into a folder of files, in a process with the memory of an executor. */
export async function runBombs(context: CleanupContext, contentBytes: number, say: (verdict: BombVerdict) => void): Promise<BombVerdict[]> {
  const verdicts: BombVerdict[] = [];
  for (const bomb of cases) {
    const root = await tempDir(context, 'dmg-bomb-');
    const verdict = await runBomb(root, bomb, contentBytes);
    await rm(root, { recursive: true, force: true });
    say(verdict);
    verdicts.push(verdict);
  }
  return verdicts;
}

async function runBomb(root: string, bomb: BombCase, contentBytes: number): Promise<BombVerdict> {
  await mkdir(join(root, 'in'));
  const path = join(root, 'in/bomb');
  const length = await bomb.make(path, contentBytes);
  const source = fileSide(root, { folderPath: 'in' }, {}, bomb.source);
  const sink = fileSide(root, { folderPath: 'out', fileName: 'all' }, {}, bomb.sink);
  const { outcome, memoryBytes, ms } = await measureCopy({ source, sink });
  const problems: string[] = [];
  const found = (await readdir(root, { recursive: true })).filter((name) => name.startsWith('out/'));
  if (bomb.fault === undefined) {
    if (outcome.kind !== 'succeeded') problems.push(`it ended with ${JSON.stringify(outcome)}`);
    else if (bomb.sink.type === 'Binary' && bomb.sink.compression === undefined) {
      const { size } = await stat(join(root, 'out/all'));
      if (size !== length) problems.push(`the target has ${size} bytes and not ${length}`);
    }
  } else {
    if (outcome.kind !== 'failed' || !bomb.fault.test(outcome.fault.message)) problems.push(`it ended with ${JSON.stringify(outcome)}`);
    if (found.length > 0) problems.push(`${found.join(', ')} is to be seen`);
  }
  if (memoryBytes > memoryBytesMax) problems.push(`it took ${Math.round(memoryBytes / 1e6)} MB of memory`);
  return { name: bomb.name, sourceBytes: (await stat(path)).size, contentBytes: length, memoryBytes, ms, problems };
}

export function describeBomb({ name, sourceBytes, contentBytes, memoryBytes, ms, problems }: BombVerdict): string {
  const facts = `${Math.round(sourceBytes / 1e3)} kB that hold ${Math.round(contentBytes / 1e6)} MB, `
    + `${Math.round(memoryBytes / 1e6)} MB of memory, ${(ms / 1000).toFixed(1)} s`;
  return `${problems.length === 0 ? 'ok ' : 'BAD'} ${name}: ${facts}${problems.map((problem) => `\n      ${problem}`).join('')}`;
}

function* zeros(bytes: number): Iterable<Buffer> {
  const block = Buffer.alloc(1024 * 1024);
  for (let left = bytes; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
}

async function gzipOfZeros(path: string, contentBytes: number): Promise<number> {
  await pipeline(Readable.from(zeros(contentBytes)), createGzip(), createWriteStream(path));
  return contentBytes;
}

/** The deflate stream of the gzip file, between the headers of an archive. */
async function zipOfZeros(path: string, contentBytes: number): Promise<number> {
  await gzipOfZeros(`${path}.gz`, contentBytes);
  const { size } = await stat(`${path}.gz`);
  const deflated: Buffer[] = [];
  for await (const block of createReadStream(`${path}.gz`, { start: 10 })) deflated.push(block as Buffer);
  const rest = Buffer.concat(deflated);
  const entry = { name: 'zeros', modifiedMs: 0, isLarge: contentBytes >= 2 ** 32 };
  const facts = { crc: rest.readUInt32LE(rest.length - 8), contentBytes, compressedBytes: size - 18 };
  await writeFile(path, Buffer.concat([zipEntryHead(entry), rest.subarray(0, -8), zipTail(entry, facts)]));
  await rm(`${path}.gz`);
  return contentBytes;
}

async function bzip2Repeated(path: string, contentBytes: number): Promise<number> {
  const stream = Buffer.from(bzip2Files.table, 'base64');
  // A tenth: it is decompressed in JavaScript.
  const times = Math.ceil(contentBytes / 10 / bzip2Contents.table.length);
  await writeFile(path, Buffer.concat(Array.from({ length: times }, () => stream)));
  return times * bzip2Contents.table.length;
}
