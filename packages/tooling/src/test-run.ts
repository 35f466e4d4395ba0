import { chmod, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '@dmg/base';
import { findProcesses, killIfThere } from '../../../test/harness/left-processes.ts';
import { findTestFiles } from './test-files.ts';
import { type TestEvent, TestTally } from './test-tally.ts';

/** Inherited by every process of a run, so that what a test leaves behind is found. */
export const runMarkVariable = 'DMG_TEST_RUN';

export interface TestRunOptions {
  /** Root of the repository. */
  readonly root: string;
  /** Only files whose path contains one of these. Then no minimum is asked for. */
  readonly filters: readonly string[];
  /** Fewer tests than this: a glob matches nothing, or files were lost. */
  readonly countMin: number;
  readonly skipIsFailure: boolean;
  readonly fileLimitMs: number;
  /** Random, for `runMarkVariable`. */
  readonly mark: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly write: (line: string) => void;
}

const leaksModule = fileURLToPath(new URL('../../../test/harness/leaks.ts', import.meta.url));
const concurrency = 2;
/** Folders that tools of others make in the temporary folder and share between runs. */
const foreignTemporaryNames = /^(?:node-compile-cache|v8-compile-cache|node-jiti)/;

/**
 * Runs all tests and returns the exit code. One `run()` of `node:test` has one concurrency, so there are two, one after the
 * other: most files two at a time, then those that strike the product one at a time. Both feed one tally: one total, one last
 * line.
 */
export async function runTests(options: TestRunOptions): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  const tally = new TestTally(options.root, () => systemClock.monotonicMs());
  const files = findTestFiles(options.root, options.filters);
  const temporary = await realpath(await mkdtemp(join(tmpdir(), 'dmg-tests-')));
  // Tests that take away their own rights (as nobody) must still reach their folders in it.
  await chmod(temporary, 0o711);
  try {
    await runFiles(files.concurrent, concurrency, { ...options, temporary, tally });
    await runFiles(files.serial, 1, { ...options, temporary, tally });
    await checkNothingLeft(temporary, options.mark, tally);
  } finally {
    await killAll(options.mark);
    await rm(temporary, { recursive: true, force: true, maxRetries: 3 });
  }
  if (options.signal.aborted) return 1;

  const complaints = findComplaints(tally, options);
  const report = tally.failureReport();
  if (report !== '') options.write(report);
  for (const complaint of complaints) options.write(complaint);
  options.write(`Ran ${tally.files} files in ${((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1)} s.`);
  options.write(tally.lastLine());
  return tally.failed > 0 || complaints.length > 0 ? 1 : 0;
}

async function runFiles(
  files: readonly string[],
  width: number,
  options: TestRunOptions & { temporary: string; tally: TestTally },
): Promise<void> {
  if (files.length === 0 || options.signal.aborted) return;
  const { tally, root } = options;
  const watch = watchFiles(systemClock, options);
  const events = run({
    files: files.map((file) => join(root, file)),
    cwd: root,
    concurrency: width,
    isolation: 'process',
    timeout: options.fileLimitMs,
    execArgv: ['--import', leaksModule],
    env: { ...options.env, TMPDIR: options.temporary, [runMarkVariable]: options.mark },
    signal: options.signal,
  });
  try {
    for await (const event of events as AsyncIterable<TestEvent>) {
      const closed = tally.add(event);
      if (closed !== undefined) options.write(tally.fileLine(closed));
    }
    for (const path of tally.closeRest()) options.write(tally.fileLine(path));
  } catch (error) {
    if (!options.signal.aborted) throw error;
  } finally {
    watch.cancel();
  }
}

/** `node:test` limits the tests of a file, not a file that blocks its process: such a one is killed. */
function watchFiles(clock: Clock, options: TestRunOptions & { tally: TestTally }): { cancel(): void } {
  const limitMs = options.fileLimitMs * 1.2;
  const killed = new Set<string>();
  let timer: { cancel(): void } | undefined;
  const look = (): void => {
    for (const { path, startedMs } of options.tally.running()) {
      if (killed.has(path) || clock.monotonicMs() - startedMs < limitMs) continue;
      killed.add(path);
      options.tally.fail(path, 'the file', `It did not end within ${limitMs / 1000} s and was killed.`);
      void killFile(path, options.mark);
    }
    timer = clock.after(Math.min(1_000, options.fileLimitMs), look);
  };
  look();
  return { cancel: () => timer?.cancel() };
}

async function killFile(path: string, mark: string): Promise<void> {
  const processes = await findProcesses({ variable: runMarkVariable, mark });
  for (const { pid, command } of processes) if (command.endsWith(path)) killIfThere(pid);
}

async function checkNothingLeft(temporary: string, mark: string, tally: TestTally): Promise<void> {
  const processes = await findProcesses({ variable: runMarkVariable, mark });
  const strangers = processes.filter(({ pid }) => pid !== process.pid);
  if (strangers.length > 0) {
    const list = strangers.map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`).join('\n');
    tally.fail('(the whole run)', 'no process is left behind', list);
  }
  const entries = (await readdir(temporary)).filter((name) => !foreignTemporaryNames.test(name));
  if (entries.length > 0) tally.fail('(the whole run)', 'no file is left in the temporary folder', entries.join('\n'));
}

async function killAll(mark: string): Promise<void> {
  const processes = await findProcesses({ variable: runMarkVariable, mark });
  for (const { pid } of processes) if (pid !== process.pid) killIfThere(pid);
}

function findComplaints(tally: TestTally, options: TestRunOptions): string[] {
  const count = tally.passed + tally.failed + tally.skipped;
  const complaints: string[] = [];
  if (count === 0) complaints.push(`No test was found${options.filters.length > 0 ? ` for: ${options.filters.join(' ')}` : ''}.`);
  if (options.filters.length === 0 && count < options.countMin) {
    complaints.push(
      `Only ${count} tests were found, at least ${options.countMin} must be there (testCountMin in packages/tooling/src/run-tests.ts).`,
    );
  }
  if (options.skipIsFailure && tally.skipped > 0) complaints.push(`${tally.skipped} tests were skipped; under CI=true that is a failure.`);
  return complaints;
}
