import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runTests } from './test-run.ts';

/**
 * Runs the tests of the repository. `npm test` runs all; `npm test -- clock ledger` those files whose path contains a word.
 * The last line of its output is always `N passed, N failed, N skipped`; the exit code is 0 only if nothing failed.
 */

/** At least as many tests must be found. Raise it, rounded down, whenever a good number of tests has been added. */
const testCountMin = 2150;
const fileLimitMs = 5 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    // For the runner's own tests.
    root: { type: 'string' },
    minimum: { type: 'string' },
    'file-limit-ms': { type: 'string' },
  },
});

const root = resolve(values.root ?? fileURLToPath(new URL('../../..', import.meta.url)));
const { NODE_TEST_CONTEXT: _ofCaller, ...environment } = process.env;
const controller = new AbortController();
let received: NodeJS.Signals | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Under npm one Ctrl-C arrives twice.
    if (received !== undefined) return;
    received = signal;
    process.stdout.write(`${signal}: stopping\n`);
    controller.abort();
  });
}
// A reader that goes away (`npm test | head`) ends the run as a signal does.
process.stdout.on('error', () => controller.abort());

const exitCode = await runTests({
  root,
  filters: positionals.filter((word) => word !== ''),
  countMin: Number(values.minimum ?? testCountMin),
  skipIsFailure: process.env['CI'] === 'true',
  fileLimitMs: Number(values['file-limit-ms'] ?? fileLimitMs),
  mark: randomUUID(),
  env: { ...environment, PATH: [join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter) },
  signal: controller.signal,
  write: (line) => process.stdout.write(`${line}\n`),
});
process.exit(received === undefined ? exitCode : 128 + constants.signals[received]);
