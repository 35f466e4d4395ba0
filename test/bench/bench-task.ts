import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CopyActivity, CopyEnd, DataFormat, Translator } from '@dmg/model';
import { executorMemoryFlags } from '@dmg/worker';
import type { Measurement, Task } from './copy-process.ts';
import { type BenchLine, round } from './result.ts';

/** What the copies of all cases have in common: options, stores, ends, processes, and what is read from their measurements. */
export interface CopyBenchOptions {
  readonly runs: number;
  /** Which cases: files and blobs, tables, or both. */
  readonly only: 'files' | 'tables' | undefined;
  /** Adds a copy of ten gigabytes. */
  readonly large: boolean;
  readonly print: (line: BenchLine) => void;
  readonly say: (text: string) => void;
}

export interface Stores {
  readonly root: string;
  readonly discarding: string;
  readonly azurite: string;
}

export const megabyte = 1024 * 1024;
export const container = 'bench';
/** Heap of a measured copy, in MB: what an executor of an ordinary machine gets. */
const oldSpaceMb = 214;
const binary: DataFormat = { type: 'Binary' };

export function delimited(columnDelimiter: string): DataFormat {
  return {
    type: 'DelimitedText', columnDelimiter, rowDelimiter: '', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
    encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
  };
}

export function fileEnd(root: string, folderPath: string, fileName: string, format: DataFormat = binary): CopyEnd {
  return { connector: 'file', connection: { host: root }, location: { folderPath, fileName }, settings: {}, format };
}

export function blobEnd(folderPath: string, fileName: string, format: DataFormat = binary): CopyEnd {
  return { connector: 'azure-blob', connection: {}, location: { container, folderPath, fileName }, settings: {}, format };
}

export interface EngineCopy {
  readonly source: CopyEnd;
  readonly sink: CopyEnd;
  readonly secrets?: { readonly source?: Record<string, string>; readonly sink?: Record<string, string> };
  readonly translator?: Translator;
  /** 0: as many as the engine chooses. */
  readonly parallelCopies?: number;
}

/** Runs one copy by the engine, with all its guarantees, in a fresh process with an executor's flags. */
export function runEngine({ source, sink, secrets = {}, translator, parallelCopies = 0 }: EngineCopy): Promise<Measurement> {
  const activity: CopyActivity = {
    type: 'Copy', source, sink, parallelCopies, validateDataConsistency: false, ...(translator === undefined ? {} : { translator }),
  };
  return runTask({ kind: 'engine', activity, secrets: { source: secrets.source ?? {}, sink: secrets.sink ?? {} } });
}

export async function runTask(task: Task): Promise<Measurement> {
  const main = fileURLToPath(new URL('./copy-process.ts', import.meta.url));
  const output = await runProgram(process.execPath, [...executorMemoryFlags(oldSpaceMb), main, JSON.stringify(task)]);
  return JSON.parse(output) as Measurement;
}

/** The most that any of the processes took above what it has when idle. */
export function peakMb(measured: readonly Measurement[]): number {
  return round(Math.max(...measured.map((item) => item.peakMb - item.idleMb)), 0);
}

export function runProgram(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${command} ended with ${code}: ${err.slice(-2000)}`))));
  });
}

export function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '').split(':').map((folder) => join(folder, name)).find((path) => existsSync(path));
}
