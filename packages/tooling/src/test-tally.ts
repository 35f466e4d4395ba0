import { relative } from 'node:path';
import { inspect, stripVTControlCharacters } from 'node:util';

/** What the tally needs of an event of `node:test`; `data` differs by type. */
export interface TestEvent {
  readonly type: string;
  readonly data: unknown;
}

interface EventData {
  readonly name?: string;
  readonly file?: string;
  readonly nesting?: number;
  readonly message?: string;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details?: { readonly type?: string; readonly duration_ms?: number; readonly error?: unknown };
}

interface FileResult {
  passed: number;
  failed: number;
  skipped: number;
  startedMs: number;
  endedMs: number | undefined;
  /** Its results have come. */
  closed: boolean;
  failures: { name: string; error: string }[];
  output: string[];
  diagnostics: string[];
}

const outputPiecesMax = 500;
const activityAfterEnd = 'asynchronous activity after the test ended';

/**
 * Adds up the events of one or more runs of `node:test`. A test counts once, suites do not; but a suite, a hook or a whole
 * file that fails by itself counts as a failed test, and so do a file without a test and an error thrown after a test's end.
 *
 * An event names the file in which a test is written. For a contract suite that is not the file that runs; what it brings
 * belongs to the file whose results are complete next, since results come file by file.
 */
export class TestTally {
  #files = new Map<string, FileResult>();
  #pending: FileResult;
  #root: string;
  #nowMs: () => number;

  /** `root`: paths are shown relative to it. */
  constructor(root: string, nowMs: () => number) {
    this.#root = root;
    this.#nowMs = nowMs;
    this.#pending = this.#newResult();
  }

  get passed(): number {
    return this.#sum((file) => file.passed);
  }

  get failed(): number {
    return this.#sum((file) => file.failed);
  }

  get skipped(): number {
    return this.#sum((file) => file.skipped);
  }

  get files(): number {
    return this.#files.size;
  }

  /** Files that have begun and not ended, with the time of their beginning. */
  running(): { path: string; startedMs: number }[] {
    return [...this.#files].filter(([, file]) => file.endedMs === undefined).map(([path, file]) => ({ path, startedMs: file.startedMs }));
  }

  /** Records something that went wrong outside any test. */
  fail(path: string, name: string, error: string): void {
    addFailure(this.#file(path), name, error);
  }

  /** Returns the path of a file when this event closes it for the first time. */
  add(event: TestEvent): string | undefined {
    const data = event.data as EventData;
    if (data.file === undefined) return undefined;
    const path = relative(this.#root, data.file);
    const isFile = data.name === data.file;
    const result = this.#files.get(path) ?? this.#pending;
    switch (event.type) {
      case 'test:dequeue':
        if (isFile) this.#file(path).startedMs = this.#nowMs();
        break;
      case 'test:complete':
        if (isFile) result.endedMs = this.#nowMs();
        break;
      case 'test:pass':
        addPass(result, data, isFile);
        break;
      case 'test:fail':
        addFail(result, data, isFile);
        break;
      case 'test:stdout':
      case 'test:stderr':
        addOutput(result, data.message ?? '');
        break;
      case 'test:diagnostic':
        addDiagnostic(result, data.message ?? '');
        break;
      default:
        break;
    }
    const closes = event.type === 'test:summary' || (isFile && (event.type === 'test:pass' || event.type === 'test:fail'));
    return closes ? this.#close(path) : undefined;
  }

  /** Paths of the files that no event has closed: their process was killed. Call it when a run is over. */
  closeRest(): string[] {
    return [...this.#files.keys()].filter((path) => this.#close(path) !== undefined);
  }

  /** One line: how the file ended. */
  fileLine(path: string): string {
    const file = this.#file(path);
    const seconds = (((file.endedMs ?? this.#nowMs()) - file.startedMs) / 1000).toFixed(1).padStart(6);
    const parts = [`${file.passed} passed`];
    if (file.failed > 0) parts.push(`${file.failed} failed`);
    if (file.skipped > 0) parts.push(`${file.skipped} skipped`);
    return `${file.failed > 0 ? 'FAIL' : 'ok  '} ${seconds} s  ${path}  ${parts.join(', ')}`;
  }

  /** Everything known about the failures, with the output of their files. */
  failureReport(): string {
    const sections = [...this.#files].filter(([, file]) => file.failures.length > 0).map(([path, file]) => formatFailures(path, file));
    return sections.join('\n');
  }

  lastLine(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`;
  }

  /** Gives what has come to a file of the run. A hook that fails in a contract suite names a file which does not run. */
  #close(path: string): string | undefined {
    const file = this.#files.get(path);
    if (file === undefined) return undefined;
    const pending = this.#pending;
    this.#pending = this.#newResult();
    file.passed += pending.passed;
    file.failed += pending.failed;
    file.skipped += pending.skipped;
    file.failures.push(...pending.failures);
    file.output.push(...pending.output);
    file.diagnostics.push(...pending.diagnostics);
    // The summary of a file without a test comes before the verdict on it.
    const isEmpty = file.passed + file.failed + file.skipped === 0;
    if (file.closed || isEmpty) return undefined;
    file.closed = true;
    return path;
  }

  #file(path: string): FileResult {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = this.#newResult();
    this.#files.set(path, file);
    return file;
  }

  #newResult(): FileResult {
    return {
      passed: 0,
      failed: 0,
      skipped: 0,
      startedMs: this.#nowMs(),
      endedMs: undefined,
      closed: false,
      failures: [],
      output: [],
      diagnostics: [],
    };
  }

  #sum(count: (file: FileResult) => number): number {
    return [...this.#files.values()].reduce((sum, file) => sum + count(file), 0);
  }
}

function addPass(result: FileResult, data: EventData, isFile: boolean): void {
  if (data.details?.type === 'suite') return;
  if (isFile) addFailure(result, 'the file', 'It holds no test.');
  else if (data.skip !== undefined || data.todo !== undefined) result.skipped++;
  else result.passed++;
}

function addFail(result: FileResult, data: EventData, isFile: boolean): void {
  const error = data.details?.error;
  const failureType = (error as { failureType?: string } | undefined)?.failureType;
  // A suite fails because of tests that are counted already. A test with failed subtests counts itself, as in `node:test`.
  if (data.details?.type === 'suite' && failureType === 'subtestsFailed') return;
  addFailure(result, isFile ? 'the file' : (data.name ?? ''), describeError(error));
}

function addFailure(result: FileResult, name: string, error: string): void {
  result.failed++;
  result.failures.push({ name, error });
}

function addOutput(result: FileResult, text: string): void {
  result.output.push(text);
  if (result.output.length > outputPiecesMax) result.output.shift();
}

function addDiagnostic(result: FileResult, message: string): void {
  if (message.includes(activityAfterEnd)) addFailure(result, 'after its end', message);
  else result.diagnostics.push(message);
}

function describeError(error: unknown): string {
  // What `node:test` hands over is a wrapper; the error of the test is its cause.
  const cause = (error as { cause?: unknown } | undefined)?.cause ?? error;
  return typeof cause === 'string' ? cause : stripVTControlCharacters(inspect(cause, { depth: 6 }));
}

function formatFailures(path: string, file: FileResult): string {
  const lines = file.failures.map(({ name, error }) => `  ${name}\n${indent(error)}`);
  if (file.diagnostics.length > 0) lines.push(`  diagnostics\n${indent(file.diagnostics.join('\n'))}`);
  if (file.output.length > 0) lines.push(`  output (the last lines)\n${indent(file.output.join('').trimEnd())}`);
  return `\n${path}\n${lines.join('\n')}\n`;
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}
