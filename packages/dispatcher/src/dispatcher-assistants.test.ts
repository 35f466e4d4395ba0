import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { jobOf } from './testing/test-jobs.ts';
import { finish, openWorld, whereIs, type World } from './testing/world.ts';

const wishes = { assistantsWanted: 3 };

/** Three nodes that know each other, and a copy that has led for a moment and could use assistants. Gives the index of its node. */
async function copying(t: TestContext, options: { limit?: number; snapshotHeld?: boolean } = {}): Promise<{ world: World; lead: number }> {
  const world = await openWorld(t, { nodes: 3, limit: options.limit ?? 2 });
  for (const index of [1, 2]) await world.start(index);
  await world.send(jobOf('j'));
  const at = whereIs(world, 'j');
  assert.ok(at !== undefined);
  const { limit, snapshotHeld = false } = options;
  at.worker.progress(at.attemptId, 1, { ...(limit === 1 && snapshotHeld ? {} : wishes), ...(snapshotHeld ? { snapshotHeld } : {}) });
  await world.settle();
  // Most copies are over before anybody could help; a snapshot is kept from the first moment on.
  assert.deepEqual(steps(world), snapshotHeld ? ['copy', 'keep'] : ['copy']);
  await world.advance(1_250);
  return { world, lead: world.workers.indexOf(at.worker) };
}

/** Steps of all attempts that run, sorted. */
function steps(world: World): string[] {
  return world.workers.flatMap((worker) => worker.running.map((attemptId) => worker.request(attemptId)?.step ?? '')).sort();
}

function whereIsLead(world: World): ReturnType<typeof whereIs> {
  for (const worker of world.workers) {
    const attemptId = worker.running.find((id) => worker.request(id)?.step === 'copy');
    if (attemptId !== undefined) return { worker, attemptId };
  }
  return undefined;
}

test('a copy that leads gets assistants on the other nodes, is told of them, and takes them along when it ends', async (t) => {
  const { world, lead } = await copying(t);
  assert.deepEqual(steps(world), ['assist', 'assist', 'copy']);
  const shares = world.workers.flatMap(({ begun }) => begun).flatMap(({ share }) => share ?? []);
  assert.deepEqual(shares.map(({ index }) => index).sort((a, b) => a - b), [1, 2]);
  assert.ok(shares.every(({ of }) => of === 3));
  assert.equal(world.record('j')?.assistants?.length, 2, 'the next dispatcher knows them');
  assert.deepEqual([...world.node(lead).worker.told.values()], [2]);
  await finish(world, 'j');
  await world.settle();
  assert.deepEqual(steps(world), []);
  assert.deepEqual([...world.ends], [['j', 'succeeded']]);
});

test('a job that waits comes first, and an assistant counts as a slot of its node', async (t) => {
  const { world } = await copying(t, { limit: 1 });
  assert.deepEqual(steps(world), ['assist', 'assist', 'copy']);
  await world.send(jobOf('k'));
  assert.equal(whereIs(world, 'k'), undefined);
  const assistant = world.workers.find((worker) => worker.running.some((id) => worker.request(id)?.step === 'assist'));
  assistant?.finish(assistant.running[0] ?? '');
  await world.advance(250);
  assert.equal(whereIs(world, 'k')?.worker, assistant);
  await world.advance(8_000);
  assert.deepEqual(steps(world), ['assist', 'copy', 'copy']);
});

test('an assistant that is lost is replaced after a while, and the job does not notice', async (t) => {
  const { world, lead } = await copying(t);
  const other = world.workers.find((_, index) => index !== lead);
  assert.ok(other !== undefined);
  other.kill(other.running[0] ?? '');
  await world.advance(1_000);
  assert.deepEqual(steps(world), ['assist', 'copy']);
  await world.advance(6_000);
  assert.deepEqual(steps(world), ['assist', 'assist', 'copy']);
  assert.equal(world.record('j')?.executorDeaths, 0);
});

test('assistants go on when the node of the lead dies; the next lead ends the one on its node only', async (t) => {
  const { world, lead } = await copying(t, { snapshotHeld: true });
  assert.deepEqual(steps(world), ['assist', 'assist', 'copy', 'keep']);
  world.node(lead).worker.restart();
  world.setLinks(lead, 'cut', { refused: true });
  await world.crash(lead);
  await world.advance(6_000);
  assert.deepEqual(steps(world).filter((step) => step !== 'keep'), ['assist', 'copy']);
  assert.equal(world.record('j')?.assistants?.length, steps(world).length - 1);
});

test('a copy whose snapshot would end with its node gets a keeper, which lives on to the next lead and ends with the job', async (t) => {
  const { world, lead } = await copying(t, { limit: 1, snapshotHeld: true });
  assert.deepEqual(steps(world), ['copy', 'keep']);
  world.node(lead).worker.restart();
  world.setLinks(lead, 'cut', { refused: true });
  await world.crash(lead);
  await world.advance(6_000);
  assert.deepEqual(steps(world), ['copy', 'keep']);
  const at = whereIsLead(world);
  at?.worker.finish(at.attemptId);
  await world.settle();
  await world.settle();
  assert.deepEqual(steps(world), []);
});

test('the next dispatcher takes assistants over, and ends those of a job that is over', async (t) => {
  const { world } = await copying(t);
  const first = world.lives.findIndex(({ dispatcher }) => dispatcher.status().state === 'leading');
  await world.crash(first);
  await world.advance(3_000);
  assert.deepEqual(steps(world), ['assist', 'assist', 'copy']);
  const at = whereIsLead(world);
  at?.worker.finish(at.attemptId);
  await world.advance(1_000);
  assert.deepEqual(steps(world), []);
});

test('a cancel ends assistants and closes the sink once', async (t) => {
  const { world } = await copying(t);
  world.leader?.cancelJob('j');
  await world.advance(500);
  assert.deepEqual(steps(world), []);
  assert.deepEqual([...world.ends], [['j', 'cancelled']]);
});
