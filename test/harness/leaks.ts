import { after } from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { type Clock, systemClock } from '@dmg/base';

/**
 * Preloaded into every test file by the test runner (`--import`). Node ends a process when nothing keeps it alive any more. A
 * test file that is still alive some time after its last test has left something open: it is then ended with exit code 1,
 * naming what is open, and so counts as failed. Nothing is guessed: what does not keep a process alive is no leak.
 */
const graceMs = Number(process.env['DMG_TEST_GRACE_MS'] ?? 10_000);
const parentCheckMs = 1_000;

/** Types and, where they tell, addresses of what keeps this process alive; the pipes to the test runner apart. */
export function openResources(): string[] {
  const runtime = process as NodeJS.Process & { _getActiveHandles?: () => unknown[] };
  const handles = (runtime._getActiveHandles?.() ?? []).filter((handle) => !isStandardStream(handle)).map(describeHandle);
  const described = new Set(['PipeWrap', 'TTYWrap', 'TCPServerWrap', 'TCPSocketWrap', 'ProcessWrap', 'UDPWrap']);
  return [...handles, ...process.getActiveResourcesInfo().filter((type) => !described.has(type) && type !== 'Immediate')];
}

function isStandardStream(handle: unknown): boolean {
  return handle === process.stdin || handle === process.stdout || handle === process.stderr;
}

interface Describable {
  readonly constructor: { readonly name: string };
  readonly pid?: number;
  readonly spawnargs?: readonly string[];
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  address?(): unknown;
}

function describeHandle(handle: unknown): string {
  const { constructor, pid, spawnargs, remoteAddress, remotePort, address } = handle as Describable;
  const name = constructor.name;
  if (spawnargs !== undefined) return `${name} ${pid} ${spawnargs.join(' ').slice(0, 200)}`;
  if (remoteAddress !== undefined) return `${name} to ${remoteAddress}:${remotePort}`;
  if (typeof address === 'function') return `${name} ${JSON.stringify(address.call(handle))}`;
  return name;
}

function watchAfterLastTest(clock: Clock): void {
  clock.after(
    graceMs,
    () => {
      const open = openResources();
      process.stderr.write(
        `left open ${graceMs / 1000} s after the last test of the file: ${open.join(', ') || 'a hook that does not end'}\n`,
      );
      process.exit(1);
    },
    { unref: true },
  );
}

/** Ends this process when the test runner is gone, even if that was killed. */
function followParent(clock: Clock, parentPid: number): void {
  clock.after(
    parentCheckMs,
    () => {
      if (process.ppid !== parentPid) process.exit(1);
      followParent(clock, parentPid);
    },
    { unref: true },
  );
}

// Programs that a test forks inherit the preload; only the test file itself is watched.
if (isMainThread && process.env['NODE_TEST_CONTEXT'] !== undefined && process.argv[1]?.endsWith('.test.ts') === true) {
  followParent(systemClock, process.ppid);
  after(() => watchAfterLastTest(systemClock));
}
