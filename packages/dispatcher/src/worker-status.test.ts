import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobOf, testErrors } from './testing/test-jobs.ts';
import { openWorld, running } from './testing/world.ts';

test('a worker that comes Online gets what waits with its next sign of life, not only with the next tick', async (context) => {
  const world = await openWorld(context, { nodes: 2, limit: 1, settings: { tickMs: 3_600_000 } });
  world.statuses.set('n2', 'Limited');
  for (const jobId of ['a', 'b']) await world.send(jobOf(jobId));
  world.node(1).worker.beat();
  await world.settle();
  assert.deepEqual(running(world, 1), [], 'an Online node lives');
  world.statuses.set('n2', 'Online');
  world.node(1).worker.beat();
  await world.settle();
  assert.deepEqual(running(world, 1), ['b']);
});

test('a worker that could not answer Hello yet has work as soon as it answers', async (context) => {
  const world = await openWorld(context, { nodes: 2, limit: 1 });
  for (const jobId of ['a', 'b', 'c']) await world.send(jobOf(jobId));
  const joined = world.addNode();
  joined.worker.helloTrouble = testErrors.AWAY.create();
  await world.settle();
  assert.deepEqual(running(world, 2), []);
  joined.worker.helloTrouble = undefined;
  joined.worker.beat();
  await world.settle();
  assert.deepEqual(running(world, 2), ['c']);
});
