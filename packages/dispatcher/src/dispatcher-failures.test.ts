import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jobOf, testErrors } from './testing/test-jobs.ts';
import { attemptOf, finish, kinds, openWorld as open, running, World } from './testing/world.ts';

/** The failure table of DESIGN §6, as far as one node can meet it. */

describe('dispatcher killed', () => {
  test('the next one has a larger epoch, adopts what runs and places what waits; copies do not notice', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    const attempt = attemptOf(world, 'a');
    await world.crash();
    await world.start();
    assert.match(world.dispatcher.report()?.epoch ?? '', /^2\./);
    assert.deepEqual([attemptOf(world, 'a'), world.worker.begun.length], [attempt, 1]);
    await finish(world, 'a');
    await finish(world, 'b');
    assert.deepEqual(kinds(world), ['a succeeded', 'b succeeded']);
    assert.equal(world.worker.begun[1]?.epoch.n, 2);
  });

  test('between receive and complete: the message comes back and is recognised', async (context) => {
    const world = await open(context);
    world.queues.setTrouble(new Error('the connection is gone'));
    const sent = world.send(jobOf('a')).catch(() => undefined);
    await sent;
    world.queues.setTrouble(undefined);
    await world.send(jobOf('a'));
    assert.deepEqual(running(world), ['a']);
    await world.crash();
    await world.start();
    await world.advance(12_000);
    assert.deepEqual([world.messages, world.worker.begun.length], [[], 1]);
  });

  test('an end that was not reported yet is reported by the next one', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.reports.setAway(true);
    await finish(world, 'a');
    assert.equal(world.record('a')?.state, 'Ended');
    await world.crash();
    world.reports.setAway(false);
    await world.start();
    await world.settle();
    // The killed one's request may have arrived as well.
    assert.deepEqual([...new Set(kinds(world))], ['a succeeded']);
    assert.deepEqual([world.record('a')?.reported, world.worker.begun.length], [true, 1]);
  });

  test('an attempt that ended while nobody listened is placed again and finds the sink done', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    const attempt = attemptOf(world, 'a');
    await world.crash();
    world.worker.finish(attempt);
    await world.start();
    assert.equal(world.worker.begun.length, 2);
    await finish(world, 'a');
    assert.deepEqual(kinds(world), ['a succeeded']);
  });

  test('its late dispatches and ledger writes are refused', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    const { epoch } = world.worker.begun[0] ?? {};
    assert.ok(epoch !== undefined);
    await world.crash();
    await world.start();
    const late = await world.worker.dispatch({ job: jobOf('z'), signedJob: '', attemptId: 'z', step: 'copy', epoch });
    assert.equal(!late.accepted && late.reason, 'STALE_EPOCH');
  });
});

describe('host killed, everything of the node is new', () => {
  test('what ran is placed again', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    await world.crash();
    world.worker.restart();
    await world.start();
    assert.deepEqual(running(world), ['a', 'b']);
    for (const id of ['a', 'b', 'c']) await finish(world, id);
    assert.equal(world.ends.size, 3);
  });
});

describe('Redis', () => {
  test('away: copies go on, ends are reported, nothing is received or placed; then the ledger is filled again', async (context) => {
    const world = await open(context);
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.ledger.trouble = testErrors.AWAY.create();
    await world.send(jobOf('d'));
    await world.advance(1_000);
    assert.equal(world.dispatcher.status().state, 'standby');
    assert.match(world.dispatcher.trouble ?? '', /ledger/);
    assert.equal(world.dispatcher.report()?.queueEmpty, false);
    await finish(world, 'a');
    assert.deepEqual(kinds(world), ['a succeeded']);
    assert.deepEqual(running(world), ['b'], 'nothing is placed without the ledger');
    assert.deepEqual(world.messages, ['d.1'], 'nothing is completed without the ledger');
    world.ledger.trouble = undefined;
    await world.advance(12_000);
    assert.equal(world.dispatcher.trouble, undefined);
    assert.deepEqual([world.record('a')?.state, world.messages], ['Ended', []]);
    for (const id of ['b', 'c', 'd']) await finish(world, id);
    assert.equal(world.ends.size, 4);
  });

  test('away just as a slot becomes free: nothing is dispatched that the ledger does not have', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    world.ledger.trouble = testErrors.AWAY.create();
    await finish(world, 'a');
    assert.deepEqual([running(world), world.dispatcher.report()?.waiting], [[], ['b']]);
    world.ledger.trouble = undefined;
    await world.advance(1_000);
    assert.deepEqual(running(world), ['b']);
  });

  test('away while a waiting job is cancelled: it is reported only when the ledger has it', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    world.ledger.trouble = testErrors.AWAY.create();
    world.dispatcher.cancelJob('b');
    await world.advance(1_000);
    assert.deepEqual(kinds(world), []);
    world.ledger.trouble = undefined;
    await world.advance(10_000);
    assert.deepEqual(kinds(world), [], 'somebody may have made an attempt meanwhile: its sink is to be closed first');
    await finish(world, 'a');
    await finish(world, 'b');
    assert.deepEqual(kinds(world), ['a succeeded', 'b cancelled']);
    assert.equal(world.record('b')?.end?.outcome.kind, 'cancelled');
  });

  test('away while a running job is cancelled: it is stopped all the same', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.ledger.trouble = testErrors.AWAY.create();
    world.dispatcher.cancelJob('a');
    await world.settle();
    assert.deepEqual(kinds(world), ['a cancelled']);
    assert.equal(world.sinks.phase('a'), 'aborted');
    world.ledger.trouble = undefined;
  });

  test('empty in the middle: a larger epoch, hello again, every job written back, nothing begun twice', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.loseLedger();
    await world.send(jobOf('d'));
    await world.advance(1_000);
    assert.deepEqual([...world.ledger.jobs.keys()].sort(), ['a', 'b', 'c', 'd']);
    assert.match(world.dispatcher.report()?.epoch ?? '', /^2\.|^1\./);
    assert.equal(world.worker.begun.length, 1);
    for (const id of ['a', 'b', 'c', 'd']) await finish(world, id);
    assert.equal(world.ends.size, 4);
  });

  test('empty and the dispatcher new: what runs is written from the copies of the workers', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    await world.crash();
    world.loseLedger();
    await world.start();
    await world.advance(1_000);
    assert.deepEqual([...world.ledger.jobs.keys()], ['a'], 'b is lost here; the control plane sends it again');
    assert.ok((world.worker.begun[0]?.epoch.n ?? 0) >= 1);
    world.worker.kill(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(running(world), ['a'], 'placed again from the copy');
    await world.send(jobOf('b'), { sends: 2 });
    await finish(world, 'a');
    await finish(world, 'b');
    assert.equal(world.ends.size, 2);
  });

  test('a re-sent job whose attempt still runs is recognised', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    await world.crash();
    world.loseLedger();
    await world.start();
    await world.send(jobOf('a'), { sends: 2 });
    assert.deepEqual([world.messages, world.worker.begun.length], [[], 1]);
  });

  test('back with an older state: memory stands over it, and an old record proves nothing about attempts', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    const goBack = world.ledger.snapshot();
    await finish(world, 'a');
    await finish(world, 'b');
    world.ledger.trouble = testErrors.AWAY.create();
    await world.send(jobOf('c'));
    world.loseSince(goBack);
    world.ledger.trouble = undefined;
    await world.advance(11_000);
    assert.deepEqual([world.record('a')?.state, world.record('b')?.state], ['Ended', 'Ended']);
    await world.crash();
    world.loseSince(goBack);
    await world.start();
    world.dispatcher.cancelJob('b');
    await world.advance(1_000);
    assert.ok(!kinds(world).includes('b cancelled'));
    for (const id of ['c', 'a', 'b']) await finish(world, id);
    for (const id of ['a', 'b', 'c']) await finish(world, id);
    assert.deepEqual([...world.ends.values()], ['succeeded', 'succeeded', 'succeeded']);
  });

  test('empty while a dispatch is on its way: refused for our own next epoch, which ends nothing of that one', async (context) => {
    const world = await open(context, { limit: 2 });
    const { worker } = world;
    const arrived = Promise.withResolvers<void>();
    const dispatch = worker.dispatch.bind(worker);
    context.mock.method(worker, 'dispatch', async (request: Parameters<typeof dispatch>[0]) => {
      if (request.job.jobId === 'a') await arrived.promise;
      return dispatch(request);
    }, { times: 1 });
    await world.send(jobOf('a'));
    world.loseLedger();
    await world.send(jobOf('b'));
    await world.advance(1_000);
    const epoch = world.dispatcher.report()?.epoch;
    arrived.resolve();
    await world.advance(1_000);
    assert.deepEqual([...world.refusals, world.dispatcher.report()?.epoch], ['STALE_EPOCH', epoch]);
    assert.deepEqual(running(world).toSorted(), ['a', 'b']);
  });

  test('empty, and a worker does not answer the next hello: it gets no job under the new epoch until it does', async (context) => {
    const world = await open(context, { limit: 2 });
    await world.send(jobOf('a'));
    world.worker.helloTrouble = testErrors.AWAY.create();
    world.loseLedger();
    await world.send(jobOf('b'));
    await world.advance(1_000);
    assert.deepEqual([world.dispatcher.status().state, running(world)], ['leading', ['a']]);
    world.worker.helloTrouble = undefined;
    await world.advance(3_000);
    assert.deepEqual(running(world), ['a', 'b']);
  });

  test('away from the start: the node starts, and leads when it is back', async (context) => {
    const world = new World();
    context.after(() => world.close());
    world.ledger.trouble = testErrors.AWAY.create();
    await world.start();
    assert.deepEqual([world.dispatcher.status().state, world.dispatcher.report()], ['standby', undefined]);
    await world.send(jobOf('a'));
    await world.advance(20_000);
    world.ledger.trouble = undefined;
    await world.advance(6_000);
    assert.deepEqual(running(world), ['a']);
  });

  test('another dispatcher installs an epoch again and again: no storm', async (context) => {
    const world = await open(context);
    let n = 0;
    const install = (next: number): void => {
      world.ledger.lead = { n: n = next, token: 'f'.repeat(32), nodeId: 'rival', address: '', beat: 0 };
    };
    const rival = (): void => {
      const { lead } = world.ledger;
      if (lead !== undefined && lead.n > n) install(lead.n + 1);
    };
    install(2);
    for (let index = 0; index < 40; index++) {
      rival();
      await world.send(jobOf(`j${index}`));
      await world.advance(500);
    }
    assert.ok(n < 60, `${n} grants in 20 s`);
  });
});

describe('queue', () => {
  test('away and back: what waits is taken, what was in hand is recognised', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.queues.setTrouble(new Error('detached'));
    await world.advance(30_000);
    assert.equal(world.dispatcher.report()?.queueEmpty, false);
    await finish(world, 'a');
    world.queues.setTrouble(undefined);
    await world.send(jobOf('b'));
    assert.deepEqual([kinds(world), running(world)], [['a succeeded'], ['b']]);
  });

  test('cannot be started: tried again with the next tick', async (context) => {
    const world = new World();
    context.after(() => world.close());
    world.failingQueueStarts = 3;
    await world.start();
    await world.send(jobOf('a'));
    assert.deepEqual([running(world), world.dispatcher.report()?.queueEmpty], [[], false]);
    await world.advance(5_000);
    assert.deepEqual(running(world), ['a']);
  });

  test('a completion that is not heard: the message comes back as a duplicate', async (context) => {
    const world = await open(context);
    const put = world.ledger.jobs.set.bind(world.ledger.jobs);
    world.ledger.jobs.set = (key, value) => {
      world.queues.setTrouble(new Error('detached'));
      return put(key, value);
    };
    await world.send(jobOf('a'));
    world.ledger.jobs.set = put;
    world.queues.setTrouble(undefined);
    assert.deepEqual([world.messages, running(world)], [['a.1'], ['a']]);
    await world.advance(11_000);
    assert.deepEqual([world.messages, world.worker.begun.length], [[], 1]);
  });
});

describe('dead letters', () => {
  test('what the queue itself gave up is reported, again and again until the control plane takes it', async (context) => {
    const world = await open(context);
    const letter = { messageId: 'a.1', reason: 'MaxDeliveryCountExceeded', description: 'd', deliveryCount: 100 };
    world.queues.queue('gateway').dead.push(letter);
    world.reports.setAway(true);
    await world.advance(35_000);
    assert.deepEqual(world.reports.deadLetters, []);
    world.reports.setAway(false);
    await world.settle();
    assert.deepEqual([world.reports.deadLetters, world.queues.queue('gateway').dead], [[letter], []]);
    world.queues.setTrouble(new Error('detached'));
    world.queues.queue('gateway').dead.push(letter);
    await world.advance(31_000);
    world.queues.setTrouble(undefined);
    await world.advance(31_000);
    assert.equal(world.reports.deadLetters.length, 2);
  });
});

describe('control plane away', () => {
  test('jobs in hand finish, reports wait, and jobs go on being placed', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.reports.setAway(true);
    for (const id of ['a', 'b', 'c']) await finish(world, id);
    assert.deepEqual([kinds(world), world.dispatcher.status().unreported], [[], 3]);
    assert.deepEqual([...world.dispatcher.report()?.waiting ?? []].sort(), ['a', 'b', 'c'], 'named until the control plane knows');
    world.reports.setAway(false);
    await world.settle();
    assert.deepEqual([kinds(world).length, world.dispatcher.status().unreported], [3, 0]);
  });
});

describe('keeping and stopping', () => {
  test('jobs that ended are kept to recognise duplicates, then removed', async (context) => {
    const world = await open(context, { settings: { keepEndedMs: 60_000 } });
    await world.send(jobOf('a'));
    await finish(world, 'a');
    await world.advance(50_000);
    assert.ok(world.ledger.jobs.has('a'));
    await world.advance(15_000);
    assert.equal(world.ledger.jobs.has('a'), false);
    assert.equal(world.dispatcher.status().ended, 0);
  });

  test('not more of them than the maximum', async (context) => {
    const world = await open(context, { settings: { keepEndedMax: 5 } });
    for (let index = 0; index < 12; index++) {
      await world.send(jobOf(`j${index}`));
      await finish(world, `j${index}`);
    }
    await world.advance(2_000);
    assert.deepEqual([...world.ledger.jobs.keys()], ['j7', 'j8', 'j9', 'j10', 'j11']);
  });

  test('stop: nothing is received or placed any more, running attempts are left alone, their ends still count', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    await world.dispatcher.stop();
    await world.send(jobOf('c'));
    assert.deepEqual([running(world), world.messages], [['a'], ['c.1']]);
    await finish(world, 'a');
    assert.deepEqual([kinds(world), running(world)], [['a succeeded'], []]);
    await world.crash();
    await world.start();
    assert.deepEqual(running(world), ['a'], 'the ledger was not ours any more; the sink knows that it is done');
    await finish(world, 'a');
    assert.deepEqual(running(world), ['b']);
  });

  test('stop while the ledger is away returns', async (context) => {
    const world = await open(context);
    world.ledger.trouble = testErrors.AWAY.create();
    await world.send(jobOf('a'));
    await world.advance(3_000);
    await world.dispatcher.stop();
    assert.equal(world.dispatcher.status().state, 'stopped');
    world.ledger.trouble = undefined;
  });
});
