import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { executorMemoryFlags } from '@dmg/worker';
import type { CopySide } from '../harness/copy-run.ts';
import type { Region } from '../harness/patterned-source.ts';
import type { CopyMeasurement, MeasuredCopy } from './measured-copy-process.ts';

const compileCache = fileURLToPath(new URL('../../node_modules/.cache/dmg-test', import.meta.url));

/** What a copy may take above its idle process, however much it copies. */
export const memoryBytesMax = 150_000_000;

/** Runs one copy in a process with the memory of an executor. */
export async function measureCopy(copy: { source: CopySide; sink: CopySide; regions?: readonly Region[] }): Promise<CopyMeasurement> {
  const endOf = ({ end, secrets }: CopySide) => ({ end, secrets: Object.fromEntries(secrets) });
  const task: MeasuredCopy = {
    source: endOf(copy.source), sink: endOf(copy.sink), ...(copy.regions === undefined ? {} : { regions: copy.regions }),
  };
  const main = fileURLToPath(new URL('measured-copy-process.ts', import.meta.url));
  const flags = executorMemoryFlags(64 + memoryBytesMax / 1e6);
  // Compiling the connectors takes longer than a small copy.
  const options = { maxBuffer: 64 * 1024 * 1024, env: { NODE_COMPILE_CACHE: compileCache, ...process.env } };
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, main, JSON.stringify(task)], options);
  return JSON.parse(stdout) as CopyMeasurement;
}
