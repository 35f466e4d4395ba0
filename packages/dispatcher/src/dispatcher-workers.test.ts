import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jobOf, testErrors } from './testing/test-jobs.ts';
import { attemptOf, finish, kinds, openWorld as open, running, whereIs, type World } from './testing/world.ts';

/** Several workers that join, fall silent, come back and leave, under one dispatcher. */

async function sendAll(world: World, ...jobIds: string[]): Promise<void> {
  for (const jobId of jobIds) await world.send(jobOf(jobId));
}

/** Where jobs run: `‹job› ‹node›`. */
function places(world: World): string[] {
  return world.nodes.flatMap(({ nodeId }, index) => running(world, index).map((jobId) => `${jobId} ${nodeId}`)).sort();
}

describe('placement over several nodes', () => {
  test('jobs go to the freest node, each node keeps to its limit', async (context) => {
    const world = await open(context, { nodes: 3, limit: 1 });
    world.node(1).worker.setLimit(2);
    await world.settle();
    await sendAll(world, 'a', 'b', 'c', 'd', 'e');
    assert.deepEqual(places(world), ['a n2', 'b n1', 'c n2', 'd n3']);
    assert.deepEqual(world.dispatcher.report()?.waiting, ['e']);
  });

  test('Online nodes first; Limited ones when no Online one lives; Inactive ones never', async (context) => {
    const world = await open(context, { nodes: 3, limit: 1 });
    world.statuses.set('n1', 'Inactive').set('n2', 'Limited');
    await sendAll(world, 'a', 'b');
    assert.deepEqual(places(world), ['a n3'], 'b waits for the Online node');
    world.setLinks(2, 'cut', { refused: true });
    await world.advance(1_000);
    assert.equal(places(world).filter((place) => place.endsWith('n2')).length, 1);
    assert.deepEqual(running(world, 0), []);
  });

  test('room for messages is that of the nodes which take jobs', async (context) => {
    const world = await open(context, { nodes: 2, limit: 30 });
    world.statuses.set('n1', 'Inactive').set('n2', 'Inactive');
    for (let index = 0; index < 20; index++) await world.send(jobOf(`j${index}`));
    const { waiting } = world.dispatcher.status();
    assert.ok(waiting >= 4 && waiting <= 8, `${waiting} wait`);
  });
});

describe('a worker joins and leaves', () => {
  test('it has work within a second', async (context) => {
    const world = await open(context, { limit: 1 });
    await sendAll(world, 'a', 'b');
    world.addNode();
    await world.settle();
    assert.deepEqual(places(world), ['a n1', 'b n2']);
  });

  test('one that leaves is given up at once, also when it may be alive', async (context) => {
    const world = await open(context, { nodes: 2, limit: 2 });
    await sendAll(world, 'a', 'b');
    assert.deepEqual(places(world), ['a n1', 'b n2']);
    const attempt = attemptOf(world, 'b');
    world.life().members.leave('n2');
    await world.settle();
    assert.deepEqual(running(world, 0), ['a', 'b']);
    assert.deepEqual(world.dispatcher.status().workers.map(({ nodeId }) => nodeId), ['n1']);
    // What it finishes nevertheless is not heard; the sink knows.
    world.node(1).worker.finish(attempt);
    await finish(world, 'b');
    assert.deepEqual(kinds(world), ['b succeeded']);
  });

  test('attempts on a node that is no member and never was are given up after the silence limit', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await sendAll(world, 'a', 'b');
    await world.crash();
    world.nodes.splice(1, 1);
    await world.start();
    await finish(world, 'a');
    await world.advance(4_000);
    assert.deepEqual(running(world), []);
    await world.advance(2_500);
    assert.deepEqual(running(world), ['b']);
  });
});

describe('a worker is silent', () => {
  test('for less than the limit: nothing is lost, but it gets no new job meanwhile', async (context) => {
    const world = await open(context, { nodes: 2, limit: 2 });
    await sendAll(world, 'a', 'b');
    world.link(1).set('held');
    await world.advance(2_000);
    await sendAll(world, 'c', 'd');
    assert.deepEqual(places(world), ['a n1', 'b n2', 'c n1']);
    await world.advance(2_000);
    world.link(1).set('open');
    await world.advance(1_000);
    assert.deepEqual(places(world), ['a n1', 'b n2', 'c n1', 'd n2']);
    assert.equal(world.node(1).worker.begun.length, 2);
  });

  test('beyond the limit: its jobs are placed again; when it is back it is greeted first, and gets jobs', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await sendAll(world, 'a', 'b');
    world.link(1).set('held');
    await world.advance(4_500);
    assert.deepEqual(world.dispatcher.report()?.waiting, []);
    await world.advance(2_000);
    assert.deepEqual(world.dispatcher.report()?.waiting, ['b']);
    assert.deepEqual(world.dispatcher.status().workers.map(({ reachable }) => reachable), [true, false]);
    world.link(1).set('open');
    await world.advance(1_000);
    assert.deepEqual(places(world), ['a n1', 'b n2']);
    assert.equal(world.node(1).worker.begun.length, 1, 'what still ran there was adopted');
    assert.deepEqual(world.dispatcher.report()?.waiting, []);
  });

  test('beyond the limit, and its job runs elsewhere when it is back: the one that is further goes on', async (context) => {
    for (const [inTheOld, inTheNew, keeps] of [[80, 10, 'n2'], [10, 80, 'n1']] as const) {
      const world = await open(context, { nodes: 2, limit: 1 });
      await sendAll(world, 'a', 'b');
      const old = attemptOf(world, 'b');
      await finish(world, 'a');
      world.node(1).worker.progress(old, inTheOld);
      world.link(1).set('held');
      await world.advance(6_000);
      assert.deepEqual(places(world), ['b n1', 'b n2']);
      world.worker.progress(world.worker.running[0] ?? '', inTheNew);
      world.link(1).set('open');
      await world.advance(1_000);
      assert.deepEqual(places(world), [`b ${keeps}`]);
      assert.equal(world.sinks.phase('b'), 'open');
      await finish(world, 'b');
      assert.deepEqual(kinds(world), ['a succeeded', 'b succeeded']);
    }
  });

  test('beyond the limit, and its job is over when it is back: what still runs there is stopped', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await sendAll(world, 'a', 'b');
    await finish(world, 'a');
    world.link(1).set('held');
    await world.advance(6_000);
    world.worker.finish(world.worker.running[0] ?? '');
    await world.settle();
    assert.deepEqual(kinds(world), ['a succeeded', 'b succeeded']);
    world.link(1).set('open');
    await world.advance(1_000);
    assert.deepEqual(places(world), []);
    assert.deepEqual(kinds(world), ['a succeeded', 'b succeeded']);
  });

  test('what it did not hear arrives late: one attempt goes on', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await world.send(jobOf('a'));
    world.link(1).set('held');
    await world.send(jobOf('b'));
    await world.advance(7_000);
    await finish(world, 'a');
    assert.deepEqual(places(world), ['b n1']);
    world.link(1).set('open');
    await world.settle();
    assert.deepEqual(world.node(1).worker.begun.length, 1, 'the dispatch is taken when it comes');
    await world.advance(31_000);
    assert.deepEqual(places(world), ['b n1'], 'when lists are compared it is seen');
    assert.equal(world.sinks.phase('b'), 'open');
  });
});

describe('there is no way to a worker', () => {
  test('and its process is gone: its jobs are placed again at once', async (context) => {
    const world = await open(context, { nodes: 2, limit: 2 });
    await sendAll(world, 'a', 'b');
    world.link(1).set('cut', { refused: true });
    await world.settle();
    assert.deepEqual(running(world, 0), ['a', 'b']);
  });

  test('and a dispatch to it is not answered: the job goes elsewhere at once', async (context) => {
    const world = await open(context, { nodes: 2, limit: 2 });
    await world.send(jobOf('a'));
    const { promise, resolve } = Promise.withResolvers<void>();
    world.node(1).worker.dispatchDelay = promise;
    await world.send(jobOf('b'));
    world.link(1).set('cut', { refused: true });
    resolve();
    await world.settle();
    assert.deepEqual(running(world, 0), ['a', 'b']);
  });

  test('and it may be alive: no new job, what runs there counts as running until its limit', async (context) => {
    const world = await open(context, { nodes: 2, limit: 2 });
    await sendAll(world, 'a', 'b');
    world.link(1).set('cut', { refused: false });
    await sendAll(world, 'c', 'd');
    await world.advance(4_000);
    assert.deepEqual(places(world), ['a n1', 'b n2', 'c n1']);
    await finish(world, 'a');
    assert.deepEqual(places(world), ['b n2', 'c n1', 'd n1']);
    await world.advance(2_000);
    assert.deepEqual(world.dispatcher.report()?.waiting, ['b']);
  });

  test('and comes back: it is greeted at once; what ended meanwhile is found out', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await sendAll(world, 'a', 'b');
    world.link(1).set('cut', { refused: false });
    world.node(1).worker.finish(attemptOf(world, 'b'));
    await world.send(jobOf('c'));
    await world.advance(1_000);
    assert.deepEqual(places(world), ['a n1']);
    world.link(1).set('open');
    await world.settle();
    assert.equal(running(world, 1).length, 1);
    for (const jobId of ['b', 'c', 'b', 'c']) await finish(world, jobId);
    assert.deepEqual(world.ends, new Map([['b', 'succeeded'], ['c', 'succeeded']]));
  });

  test('and a new process comes in its place: what the old one ran is placed again', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await sendAll(world, 'a', 'b');
    world.link(1).set('cut', { refused: false });
    world.node(1).worker.restart();
    world.link(1).set('open');
    await world.settle();
    assert.deepEqual(places(world), ['a n1', 'b n2']);
    assert.equal(world.node(1).worker.begun.length, 2);
  });
});

describe('eligibility', () => {
  test('a job bound to one node waits for it and holds up nobody', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    world.worker.notEligible = ({ job }) => (job.jobId.startsWith('bound') ? 'the folder is on another node' : undefined);
    await sendAll(world, 'bound1', 'bound2', 'free');
    assert.deepEqual(places(world), ['bound1 n2', 'free n1']);
    await finish(world, 'bound1');
    assert.deepEqual(places(world), ['bound2 n2', 'free n1']);
  });

  test('a cancel reaches the node that runs the job', async (context) => {
    const world = await open(context, { nodes: 3, limit: 1 });
    await sendAll(world, 'a', 'b', 'c');
    const at = whereIs(world, 'b');
    world.dispatcher.cancelJob('b');
    await world.settle();
    assert.deepEqual([kinds(world), at?.worker.cancelled], [['b cancelled'], [at?.attemptId]]);
  });

  test('a worker that does not answer hello gets no job; its attempts count as running until its limit', async (context) => {
    const world = await open(context, { nodes: 2, limit: 1 });
    await sendAll(world, 'a', 'b');
    await world.crash();
    world.node(1).worker.helloTrouble = testErrors.AWAY.create();
    await world.start();
    await world.send(jobOf('c'));
    await finish(world, 'a');
    assert.deepEqual(places(world), ['b n2', 'c n1']);
    await world.advance(20_000);
    assert.deepEqual(places(world), ['b n2', 'c n1'], 'it gives signs of life');
    world.node(1).worker.helloTrouble = undefined;
    await finish(world, 'b');
    await world.send(jobOf('d'));
    await world.advance(1_000);
    assert.deepEqual(places(world), ['c n1', 'd n2']);
  });
});
