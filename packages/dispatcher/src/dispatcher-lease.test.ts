import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { jobOf, testErrors } from './testing/test-jobs.ts';
import { attemptOf, finish, kinds, openWorld, running, whereIs, type World } from './testing/world.ts';

/** Two dispatchers and more over one ledger, one queue and the same workers; one of them has the right to act. */

async function open(context: TestContext, options: { nodes?: number; limit?: number } = {}): Promise<World> {
  const world = await openWorld(context, { nodes: 2, limit: 1, ...options });
  for (let index = 1; index < world.nodes.length; index++) await world.start(index);
  return world;
}

function states(world: World): string[] {
  return world.nodes.map(({ life }) => life?.dispatcher.status().state ?? 'dead');
}

describe('standby', () => {
  test('waits without trouble, keeps the queue warm, reports nothing', async (context) => {
    const world = await open(context);
    await world.advance(5_000);
    assert.deepEqual(states(world), ['leading', 'standby']);
    const { dispatcher } = world.life(1);
    assert.deepEqual([dispatcher.trouble, dispatcher.report()], [undefined, undefined]);
    assert.deepEqual(dispatcher.status().workers.map(({ nodeId, obeys, reachable }) => [nodeId, obeys, reachable]), [
      ['n1', false, true], ['n2', false, true],
    ]);
  });

  test('Redis away is its trouble too', async (context) => {
    const world = await open(context);
    world.ledger.trouble = testErrors.AWAY.create();
    await world.advance(2_000);
    for (const { dispatcher } of world.lives) assert.match(dispatcher.trouble ?? '', /ledger/);
    world.ledger.trouble = undefined;
    await world.advance(2_000);
    assert.deepEqual(states(world).sort(), ['leading', 'standby']);
    for (const { dispatcher } of world.lives) assert.equal(dispatcher.trouble, undefined);
  });
});

describe('take-over', () => {
  test('a clean stop hands over within 100 ms, and names the successor before anything else is stopped', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    const sinceMs = world.clock.monotonicMs();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.queueStopDelay = promise;
    const stopped = world.dispatcher.stop('n2');
    await world.settle();
    const { epochs, led } = world.life();
    assert.deepEqual([epochs.successor, epochs.releasedAtMs], ['n2', sinceMs]);
    assert.deepEqual(led.map((epoch) => epoch?.n), [1, undefined]);
    await world.advance(100, 50);
    assert.deepEqual(states(world), ['stopped', 'leading']);
    world.queueStopDelay = undefined;
    resolve();
    await stopped;
    await finish(world, 'a');
    assert.equal(whereIs(world, 'c') === undefined, false);
    assert.deepEqual(world.workers.map(({ begun }) => begun.length).reduce((sum, count) => sum + count), 3, 'nothing was begun twice');
    assert.deepEqual([world.dispatcher.report()?.leading, world.life(1).dispatcher.report()?.leading], [false, true]);
    assert.deepEqual(world.life(1).dispatcher.report()?.waiting, []);
  });

  test('a stop waits for a write on its way, but not for long', async (context) => {
    const world = await open(context);
    const { promise, resolve } = Promise.withResolvers<void>();
    world.onCall = (nodeId, what, when) => {
      if (nodeId !== 'n1' || what !== 'put' || when !== 'before') return;
      world.onCall = () => undefined;
      // The write gets stuck on its way.
      world.life().process.freeze();
      void promise.then(() => world.life().process.thaw());
    };
    await world.send(jobOf('a'));
    resolve();
    await world.settle();
    const stopped = world.dispatcher.stop();
    await world.advance(100, 50);
    await stopped;
    assert.deepEqual(states(world), ['stopped', 'leading']);
    await world.advance(11_000);
    assert.deepEqual([world.messages, kinds(world)], [[], []]);
    await finish(world, 'a');
    assert.deepEqual([...world.ends.values()], ['succeeded']);
  });

  test('killed: the next one adopts what runs, places what waits, and knows how far the queue was received', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    const attempts = [attemptOf(world, 'a'), attemptOf(world, 'b')];
    await world.crash();
    await world.advance(200, 50);
    assert.deepEqual(states(world), ['dead', 'leading']);
    assert.deepEqual([attemptOf(world, 'a'), attemptOf(world, 'b')], attempts);
    assert.equal(world.life(1).dispatcher.report()?.receivedUpTo, 3);
    for (const id of ['a', 'b', 'c']) await finish(world, id);
    assert.equal(world.ends.size, 3);
    assert.deepEqual(new Set(world.workers.map(({ begun }) => begun.at(-1)?.epoch.n)), new Set([1, 2]));
  });

  test('killed with its worker: what ran there is placed again at once, without waiting for its answer', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    await finish(world, 'b');
    world.worker.restart();
    world.setLinks(0, 'cut', { refused: true });
    await world.crash();
    await world.advance(150, 50);
    assert.deepEqual(running(world, 1), ['a']);
  });

  test('cut off or frozen: the lease runs out, and nobody waits for the answer of a node that has been silent', async (context) => {
    const world = await open(context, { nodes: 3 });
    for (const id of ['a', 'b', 'c', 'd']) await world.send(jobOf(id));
    await world.advance(1_000);
    world.freeze(0);
    await world.advance(1_000, 50);
    // The node has been silent for less than what counts: its answer is waited for.
    await world.advance(500, 50);
    assert.notEqual(world.leader, undefined);
    await finish(world, 'b');
    assert.deepEqual(running(world, 1), ['d']);
    assert.deepEqual(running(world, 0), ['a'], 'silent: its attempts count as running until its limit');
    await world.advance(5_000);
    assert.equal(world.workers.flatMap(({ begun }) => begun.filter(({ job }) => job.jobId === 'a')).length, 1, 'no slot is free for it');
    assert.deepEqual(world.leader?.report()?.waiting, ['a']);
    world.thaw(0);
    await world.advance(1_000);
    assert.deepEqual(running(world, 0), ['a'], 'adopted again');
    assert.deepEqual(world.leader?.report()?.waiting, []);
    assert.equal(states(world)[0], 'standby');
  });

  test('an end that nobody heard who leads is not lost: who takes over heard it as well', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.life().process.freeze();
    await finish(world, 'a');
    await world.advance(2_000);
    assert.deepEqual([states(world)[1], kinds(world)], ['leading', ['a succeeded']]);
    assert.equal(world.workers.reduce((sum, { begun }) => sum + begun.length, 0), 1);
    world.life().process.thaw();
    await world.advance(1_000);
    assert.deepEqual(new Set(kinds(world)), new Set(['a succeeded']));
  });

  test('a worker that the next one has not heard for long has its whole time from the grant on', async (context) => {
    const world = await open(context, { nodes: 3 });
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.link(2, 1).set('held');
    await world.advance(10_000);
    await world.crash();
    await world.advance(4_000);
    assert.deepEqual([states(world)[1], world.life(1).dispatcher.status().waiting], ['leading', 0]);
    await world.advance(2_500);
    assert.equal(world.life(1).dispatcher.status().waiting, 1);
  });

  test('a job that waited here while another one led may have run: it is not called cancelled unseen', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.life().process.freeze();
    await world.advance(2_000);
    await finish(world, 'a');
    await finish(world, 'c');
    assert.deepEqual(kinds(world), ['a succeeded', 'c succeeded']);
    await world.crash(1);
    world.loseLedger();
    world.life().process.thaw();
    await world.advance(2_000);
    world.dispatcher.cancelJob('c');
    await world.settle();
    await finish(world, 'c');
    assert.deepEqual(new Set(kinds(world)), new Set(['a succeeded', 'c succeeded']));
  });

  test('a cancel that came to a standby is carried out when it leads', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    await world.send(jobOf('b'));
    await world.send(jobOf('c'));
    world.life(1).dispatcher.cancelJob('c');
    await world.crash();
    await world.advance(500, 50);
    await finish(world, 'a');
    await finish(world, 'c');
    assert.equal(world.ends.get('c'), 'cancelled');
  });

  test('to and fro: what one did while the other led is not undone', async (context) => {
    const world = await open(context);
    for (let round = 0; round < 6; round++) {
      await world.send(jobOf(`j${round}`));
      world.ledger.lease = undefined;
      await world.advance(round % 2 === 0 ? 1_000 : 20_000);
      // The one that held it sees at the next renewal that it is gone; whoever asks first has it then.
      await finish(world, `j${round}`);
    }
    await world.advance(5_000);
    assert.deepEqual([...world.ends.values()], Array.from({ length: 6 }, () => 'succeeded'));
    assert.equal(world.workers.reduce((sum, { begun }) => sum + begun.length, 0), 6);
  });
});

describe('the grant is in doubt', () => {
  test('nothing is done meanwhile; when the doubt is gone all of it is', async (context) => {
    const world = await open(context, { limit: 2 });
    for (const id of ['a', 'b', 'c', 'd']) await world.send(jobOf(id));
    world.life().epochs.setDoubt(true);
    await world.send(jobOf('e'));
    await finish(world, 'a');
    world.dispatcher.cancelJob('b');
    await world.advance(600, 50);
    assert.deepEqual(kinds(world), ['a succeeded'], 'ends are reported all the same');
    assert.deepEqual([world.messages, world.workers.flatMap(({ cancelled }) => cancelled)], [['e.1'], []]);
    assert.equal(world.record('a')?.state, 'Dispatched');
    world.life().epochs.setDoubt(false);
    await world.advance(50, 25);
    assert.deepEqual([world.messages, kinds(world)], [[], ['a succeeded', 'b cancelled']]);
    assert.notEqual(whereIs(world, 'e'), undefined);
    assert.equal(world.record('a')?.state, 'Ended');
  });

  test('and then it is lost: what was not done is not done any more', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    await world.send(jobOf('b'));
    world.life().epochs.setDoubt(true);
    await finish(world, 'a');
    await world.send(jobOf('c'));
    world.ledger.lease = undefined;
    await world.advance(600, 50);
    assert.deepEqual(states(world), ['standby', 'leading']);
    // What was in hand is left to its lock and comes to the one that leads now.
    await world.advance(11_000);
    assert.deepEqual([world.messages, [...world.ends]], [[], [['a', 'succeeded']]]);
    assert.notEqual(whereIs(world, 'c'), undefined);
    assert.equal(world.life().dispatcher.report()?.leading, false);
  });

  test('a worker whose process is gone is given up when the doubt is', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    world.life().epochs.setDoubt(true);
    world.setLinks(1, 'cut', { refused: true });
    await world.advance(3_000);
    assert.deepEqual(world.dispatcher.report()?.waiting, []);
    world.life().epochs.setDoubt(false);
    await world.advance(1_000);
    assert.deepEqual(world.dispatcher.report()?.waiting, ['b']);
  });
});

describe('this process stood still', () => {
  test('no worker is given up because we did not listen', async (context) => {
    const world = await openWorld(context, { nodes: 3, limit: 1 });
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.life().process.freeze();
    await world.advance(30_000);
    world.life().process.thaw();
    await world.advance(3_000);
    assert.equal(states(world)[0], 'leading');
    assert.deepEqual(world.dispatcher.report()?.waiting, []);
    assert.equal(world.workers.reduce((sum, { begun }) => sum + begun.length, 0), 3);
  });

  test('for a long time, and another one led: what it remembers does not stand over what that one has removed', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.life().process.freeze();
    await world.advance(2_000);
    await finish(world, 'a');
    // As after an hour.
    world.ledger.jobs.delete('a');
    await world.advance(20_000);
    await world.crash(1);
    world.life().process.thaw();
    await world.advance(3_000);
    assert.equal(states(world)[0], 'leading');
    assert.equal(world.workers.reduce((sum, { begun }) => sum + begun.length, 0), 1);
    assert.deepEqual(new Set(kinds(world)), new Set(['a succeeded']));
  });

  test('a worker that was silent before: what we slept through does not count', async (context) => {
    const world = await openWorld(context, { nodes: 2, limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    world.link(1).set('held');
    await world.advance(4_000);
    world.life().process.freeze();
    await world.advance(3_000);
    world.life().process.thaw();
    await world.advance(2_000);
    assert.deepEqual([states(world)[0], world.dispatcher.report()?.waiting], ['leading', []]);
    await world.advance(5_000);
    assert.deepEqual(world.dispatcher.report()?.waiting, ['b']);
  });

  test('in the middle of a dispatch: it arrives late and is refused, since another one leads', async (context) => {
    const world = await open(context);
    world.onCall = (nodeId, what, when) => {
      if (nodeId === 'n1' && what === 'put' && when === 'after' && world.record('a')?.state === 'Dispatched') world.life().process.freeze();
    };
    await world.send(jobOf('a'));
    world.onCall = () => undefined;
    await world.advance(2_000);
    assert.deepEqual(states(world)[1], 'leading');
    world.life().process.thaw();
    await world.advance(12_000);
    assert.equal(world.workers.reduce((sum, { begun }) => sum + begun.length, 0), 1);
    assert.equal(whereIs(world, 'a')?.worker.begun[0]?.epoch.n, 2);
  });
});
