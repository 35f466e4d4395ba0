import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DelimitedTextFormat } from '@dmg/model';
import type { CleanupContext } from '../harness/cleanup.ts';
import { type CopySide, fileSide } from '../harness/copy-run.ts';
import type { Region } from '../harness/patterned-source.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { measureCopy, memoryBytesMax } from './measured-copy.ts';
import type { CopyMeasurement } from './measured-copy-process.ts';

/** Most bytes of a row. */
const recordBytesMax = 48 * 1024 * 1024;

const comma: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};

/** A source that cannot be copied, or just so, and what must come of it. */
export interface LargeFieldCase {
  readonly name: string;
  /** Undefined: a sparse file of zeros, of `sizeBytes`. */
  readonly regions: readonly Region[] | undefined;
  readonly sizeBytes: number;
  readonly format: DelimitedTextFormat;
  /** The code without `DMG_FORMATS_` and what it must say; undefined: the copy succeeds with so many bytes at the sink. */
  readonly fault: { readonly code: string; readonly params: Readonly<Record<string, string | number>> } | undefined;
  readonly bytesWritten?: number;
}

export interface LargeFieldVerdict {
  readonly name: string;
  readonly sizeBytes: number;
  /** Above the idle process. */
  readonly memoryBytes: number;
  readonly ms: number;
  readonly problems: readonly string[];
}

const row = 'row,"of a, text"\n';
const rowsBefore = 1000;
const before = `id,text\n${row.repeat(rowsBefore)}`;
const once = (text: string): Region => ({ pattern: text, bytes: text.length });
const repeated = (pattern: string, bytes: number): Region => ({ pattern, bytes });
const wide = (text: string): string => Buffer.from(text, 'utf16le').toString('latin1');

/** What goes wrong with fields of so many bytes. */
export function largeFieldCases(fieldBytes: number): readonly LargeFieldCase[] {
  const common = { file: 'large.csv', row: rowsBefore + 1, column: 'text' };
  const cases: readonly (Omit<LargeFieldCase, 'sizeBytes'> & { readonly sizeBytes?: number })[] = [
    {
      name: 'a field that fills the rest', format: comma,
      regions: [once(`${before}last,`), repeated('field ', fieldBytes)],
      fault: tooLarge({ ...common, position: before.length, columnPosition: before.length + 5 }),
    },
    {
      name: 'a quote that is never closed', format: comma,
      regions: [once(`${before}last,"`), repeated('1,"" text\r\n', fieldBytes)],
      fault: tooLarge({ ...common, position: before.length, columnPosition: before.length + 5 }),
    },
    {
      name: 'a field of UTF-16', format: { ...comma, encodingName: 'UTF-16' },
      regions: [once(wide(`\uFEFF${before}last,`)), repeated(wide('☃'), fieldBytes)],
      fault: tooLarge({ ...common, position: 2 * before.length + 2, columnPosition: 2 * before.length + 12 }),
    },
    {
      name: 'a file of zeros', format: { ...comma, firstRowAsHeader: false }, regions: undefined, sizeBytes: fieldBytes,
      fault: tooLarge({ file: 'large.csv', row: 1, column: 1, position: 0, columnPosition: 0 }),
    },
    lateQuote(fieldBytes),
    largestRow(),
  ];
  return cases.map((each) => ({ ...each, sizeBytes: each.sizeBytes ?? (each.regions ?? []).reduce((sum, { bytes }) => sum + bytes, 0) }));
}

function tooLarge(params: Readonly<Record<string, string | number>>): LargeFieldCase['fault'] {
  return { code: 'RECORD_TOO_LARGE', params: { ...params, limitBytes: recordBytesMax } };
}

/** Good rows, chunk after chunk of them staged, and a quote that opens near the end. */
function lateQuote(bytes: number): Omit<LargeFieldCase, 'sizeBytes'> {
  const rows = Math.floor(bytes / row.length);
  const header = 'id,text\n';
  const position = header.length + rows * row.length + 5;
  return {
    name: 'a quote near the end that is never closed', format: comma,
    regions: [once(header), repeated(row, rows * row.length), once('last,"'), repeated('rest, of it\n', 3_000_000)],
    fault: { code: 'UNCLOSED_QUOTE', params: { file: 'large.csv', row: rows + 1, column: 'text', position } },
  };
}

/** A row of exactly as many bytes as it may have, half of them quotes that are doubled. */
function largestRow(): Omit<LargeFieldCase, 'sizeBytes'> {
  const start = 'id,text\nlast,"';
  const end = '"\n1,2\n';
  const inside = recordBytesMax - 'last,"'.length - '"\n'.length;
  // What is written has the same size: a semicolon for the comma, and quotes that are doubled again.
  return {
    name: 'a row as large as it may be', format: comma,
    regions: [once(start), repeated('ab""', inside), once(end)], fault: undefined, bytesWritten: start.length + inside + end.length,
  };
}

/** Copies the case's source into a folder of files, in a process of its own, and judges error, memory and what is seen at the sink. */
export async function runLargeField(context: CleanupContext, large: LargeFieldCase): Promise<LargeFieldVerdict> {
  const root = await tempDir(context, 'dmg-large-');
  await mkdir(join(root, 'in'));
  if (large.regions === undefined) {
    const file = await open(join(root, 'in/large.csv'), 'w');
    await file.truncate(large.sizeBytes);
    await file.close();
  }
  const { regions, format } = large;
  const patterned: CopySide = {
    end: { connector: 'patterned', connection: {}, location: {}, settings: {}, format }, secrets: new Map(),
  };
  const source = regions === undefined ? fileSide(root, { folderPath: 'in' }, {}, format) : patterned;
  const sinkFormat: DelimitedTextFormat = { ...format, encodingName: 'UTF-8', columnDelimiter: ';', rowDelimiter: '\n' };
  const sink = fileSide(root, { folderPath: 'out' }, {}, sinkFormat);
  const report = await measureCopy({ source, sink, ...(regions === undefined ? {} : { regions }) });
  const { memoryBytes } = report;
  const problems = [...judgeOutcome(large, report), ...(await judgeSink(large, root))];
  if (memoryBytes > memoryBytesMax) problems.push(`it took ${Math.round(memoryBytes / 1e6)} MB of memory`);
  return { name: large.name, sizeBytes: large.sizeBytes, memoryBytes, ms: report.ms, problems };
}

function judgeOutcome(large: LargeFieldCase, { outcome }: CopyMeasurement): string[] {
  const { fault } = large;
  if (fault === undefined) return outcome.kind === 'succeeded' ? [] : [`it ended with ${JSON.stringify(outcome)}`];
  if (outcome.kind !== 'failed') return [`it ended with ${JSON.stringify(outcome)}`];
  const told = { code: outcome.fault.code, ...outcome.fault.params };
  const wanted: Record<string, unknown> = { code: `DMG_FORMATS_${fault.code}`, ...fault.params };
  const wrong = Object.entries(wanted).filter(([key, value]) => Reflect.get(told, key) !== value);
  const problems = wrong.map(([key, value]) =>
    `${key} is ${String(Reflect.get(told, key))} and not ${String(value)}: ${outcome.fault.message}`);
  if (outcome.sink !== 'aborted') problems.push(`the sink was left ${outcome.sink}`);
  return problems;
}

/** Nothing is to be seen of a copy that failed, and nothing of its size is left. */
async function judgeSink(large: LargeFieldCase, root: string): Promise<string[]> {
  const problems: string[] = [];
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const { size } = await stat(path);
    const inside = path.slice(root.length + 1);
    if (inside.startsWith('in/')) continue;
    const isTarget = inside === 'out/large.csv' && large.fault === undefined;
    if (isTarget && size !== large.bytesWritten) problems.push(`${inside} has ${size} bytes and not ${large.bytesWritten}`);
    if (!isTarget && !inside.startsWith('.dmg/')) problems.push(`${inside} is to be seen`);
    if (!isTarget && size > 64 * 1024) problems.push(`${inside} with ${size} bytes is left`);
  }
  return problems;
}

export function describeLargeField(verdict: LargeFieldVerdict): string {
  const { name, sizeBytes, memoryBytes, ms, problems } = verdict;
  const facts = `${Math.round(sizeBytes / 1e6)} MB, ${Math.round(memoryBytes / 1e6)} MB of memory, ${(ms / 1000).toFixed(1)} s`;
  return `${problems.length === 0 ? 'ok ' : 'BAD'} ${name}: ${facts}${problems.map((problem) => `\n      ${problem}`).join('')}`;
}
