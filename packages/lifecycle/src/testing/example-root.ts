import { spawn } from 'node:child_process';
import { defineErrors, systemClock } from '@dmg/base';
import { bearStrayErrors, runRoot } from '../index.ts';

/**
 * A root that does nothing, for tests: `fail` cannot start, `slow` never stops, `silent` is never ready, `late` is when it is stopped,
 * `parent` has a child of its own that ends only when it is killed, `stray` and `broken` have an error that nobody catches, of which the
 * first is known to be harmless.
 */
const mode = process.argv[2] ?? 'good';

const errors = defineErrors('EXAMPLE', {
  BROKEN: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot start the example: it is told to fail.',
    fix: 'Leave `fail` out.',
  },
});

await runRoot({
  name: 'example',
  clock: systemClock,
  exitWithParent: process.env['DMG_EXIT_WITH_PARENT'] === '1',
  stopLimitMs: 300,
  async start(stopRequested) {
    if (mode === 'fail') throw errors.BROKEN.create();
    if (mode === 'silent') {
      await new Promise((_resolve, reject) => stopRequested.addEventListener('abort', () => reject(new Error('stopped'))));
    }
    if (mode === 'late') {
      process.stderr.write('begun\n');
      await new Promise<void>((resolve) => stopRequested.addEventListener('abort', () => resolve()));
    }
    if (mode === 'stray' || mode === 'broken') {
      bearStrayErrors((error) => error instanceof RangeError, (error) => process.stderr.write(`went on after ${String(error)}\n`));
      void Promise.reject(new RangeError('stray rejection'));
      systemClock.after(10, () => {
        throw mode === 'stray' ? new RangeError('stray timer') : new Error('broken');
      });
    }
    if (mode === 'parent') spawn('sleep', ['600'], { stdio: 'ignore' });
    const keepAlive = systemClock.after(3_600_000, () => undefined);
    return {
      ready: { pid: process.pid },
      stop: async () => {
        keepAlive.cancel();
        if (mode === 'late') process.stderr.write('ended in order\n');
        if (mode === 'slow') await new Promise(() => undefined);
      },
    };
  },
});
