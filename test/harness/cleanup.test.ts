import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { CleanupScope, onCleanup } from './cleanup.ts';
import { freePort, freePorts } from './free-port.ts';
import { testRandom, testSeed } from './seed.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor, within } from './wait-for.ts';

test('what was made last is undone first, and an error stops nothing', async () => {
  const order: string[] = [];
  const scope = new CleanupScope();
  onCleanup(scope, () => void order.push('folder'));
  onCleanup(scope, () => {
    order.push('broken');
    throw new Error('cannot undo');
  });
  onCleanup(scope, () => void order.push('process'));
  await assert.rejects(scope.close(), /cannot undo/);
  assert.deepEqual(order, ['process', 'broken', 'folder']);
});

test('a temporary folder is gone with everything in it', async () => {
  const scope = new CleanupScope();
  const folder = await tempDir(scope);
  await writeFile(join(folder, 'file'), 'content');
  await scope.close();
  assert.equal(existsSync(folder), false);
});

test('free ports are different and can be listened on', async (t) => {
  const ports = await freePorts(5);
  assert.equal(new Set(ports).size, 5);
  const server = createServer().listen(await freePort(), '127.0.0.1');
  onCleanup(t, () => void server.close());
  await once(server, 'listening');
});

test('the seed is printed and repeats its numbers', (t) => {
  const printed: string[] = [];
  const seed = testSeed({ diagnostic: (message) => printed.push(message) });
  assert.deepEqual(printed, [`DMG_SEED=${seed}`]);
  assert.equal(typeof testRandom(t).unit(), 'number');
});

test('waiting returns the value, ends in time and passes errors on', async () => {
  let calls = 0;
  assert.equal(await waitFor('the third call', () => (++calls === 3 ? 'third' : undefined), { everyMs: 1 }), 'third');
  await assert.rejects(
    waitFor('nothing', () => false, { withinMs: 5, everyMs: 1 }),
    /waited 5 ms in vain for: nothing/,
  );
  await assert.rejects(
    waitFor('an error', () => {
      throw new Error('broken condition');
    }),
    /broken condition/,
  );
  await assert.rejects(within('an answer', 5, new Promise(() => undefined)), /waited 5 ms in vain for: an answer/);
  assert.equal(await within('an answer', 1_000, Promise.resolve(7)), 7);
});
