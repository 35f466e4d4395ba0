import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { jobOf, sign, testErrors } from './testing/test-jobs.ts';
import { attemptOf, kinds, openWorld, running, World, type WorldOptions } from './testing/world.ts';

async function open(context: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = await openWorld(context, options);
  assert.equal(world.dispatcher.status().state, 'leading');
  return world;
}

describe('a job\'s way', () => {
  test('received, in the ledger, completed, dispatched under the epoch, reported', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    assert.deepEqual(world.messages, []);
    assert.deepEqual(running(world), ['a']);
    const [request] = world.worker.begun;
    assert.equal(request?.epoch.n, 1);
    assert.equal(request.signedJob, sign(jobOf('a')));
    assert.equal(world.record('a')?.state, 'Dispatched');
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(kinds(world), ['a succeeded']);
    assert.deepEqual([world.record('a')?.state, world.record('a')?.reported], ['Ended', true]);
    assert.equal(world.reports.reports[0]?.nodeName, 'one');
  });

  test('a job too large for a message is fetched by its address', async (context) => {
    const world = await open(context);
    world.reports.jobs.set('jobs/a', sign(jobOf('a')));
    await world.send(jobOf('a'), { body: JSON.stringify({ address: 'jobs/a' }) });
    assert.deepEqual(running(world), ['a']);
  });

  test('late binding: no more than the slots run, the oldest goes when one is free', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    assert.deepEqual(running(world), ['a']);
    assert.deepEqual(world.dispatcher.report()?.waiting, ['b', 'c']);
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(running(world), ['b']);
  });

  test('handlers stay open while enough jobs wait, and take again when there is room', async (context) => {
    const world = await open(context, { limit: 1 });
    for (let index = 0; index < 20; index++) await world.send(jobOf(`j${index}`));
    const { waiting } = world.dispatcher.status();
    // One runs; four may wait, and a window of four more had been delivered before the brake was felt.
    assert.ok(waiting >= 4 && waiting <= 8, `${waiting} wait`);
    assert.equal(world.messages.length, 19 - waiting);
    assert.equal(world.dispatcher.report()?.queueEmpty, false);
    for (let ended = 0; ended < 20; ended++) {
      world.worker.finish(world.worker.running[0] ?? '');
      await world.settle();
    }
    assert.equal(world.ends.size, 20);
    assert.deepEqual(world.messages, []);
  });

  test('alive report: what waits, how far the queue was received, whether it is empty', async (context) => {
    const world = await open(context, { limit: 1 });
    await world.send(jobOf('a'));
    await world.send(jobOf('b'));
    await world.advance(6_000);
    const report = world.dispatcher.report();
    assert.deepEqual([report?.waiting, report?.receivedUpTo, report?.queueEmpty], [['b'], 2, true]);
    assert.match(report?.epoch ?? '', /^1\./);
  });
});

describe('messages', () => {
  test('a duplicate of a known job is completed and changes nothing', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    await world.send(jobOf('a'), { sends: 2 });
    assert.deepEqual(world.messages, []);
    assert.equal(world.worker.begun.length, 1);
  });

  test('a job that ended has its report sent again', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    await world.send(jobOf('a'), { sends: 2 });
    assert.deepEqual(kinds(world), ['a succeeded', 'a succeeded']);
    assert.equal(world.worker.begun.length, 1);
  });

  test('unreadable and forged messages are dead-lettered with their reason and reported', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'), { body: 'forged' });
    await world.send(jobOf('b'), { body: '{"no":"address"}' });
    await world.send(jobOf('c'), { body: '{"half' });
    await world.advance(31_000);
    assert.deepEqual(world.reports.deadLetters.map((one) => [one.messageId, one.reason]), [
      ['a.1', testErrors.FORGED.code], ['b.1', 'DMG_DISPATCHER_UNREADABLE_MESSAGE'], ['c.1', 'DMG_DISPATCHER_UNREADABLE_MESSAGE'],
    ]);
    assert.equal(world.worker.begun.length, 0);
  });

  test('an address that cannot be fetched now leaves the message to its lock', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'), { body: '{"address":"jobs/a"}' });
    assert.deepEqual(world.messages, ['a.1']);
    world.reports.jobs.set('jobs/a', sign(jobOf('a')));
    await world.advance(11_000);
    assert.deepEqual(running(world), ['a']);
  });

  test('a new try of a failed job is placed under the same id', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a', { finalTry: false }));
    world.worker.fail(attemptOf(world, 'a'), testErrors.AWAY.create().toFault());
    await world.settle();
    await world.send(jobOf('a', { tryNumber: 2 }), { sends: 2 });
    assert.deepEqual(world.worker.begun.map((request) => request.job.tryNumber), [1, 2]);
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(world.reports.reports.map((report) => [report.tryNumber, report.outcome.kind]), [[1, 'failed'], [2, 'succeeded']]);
  });
});

describe('workers', () => {
  test('an executor that dies: a new attempt at once; the third time the sink is closed and the job fails', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    for (let deaths = 0; deaths < 3; deaths++) {
      world.worker.kill(attemptOf(world, 'a'));
      await world.settle();
    }
    assert.deepEqual(world.worker.begun.map((request) => request.step), ['copy', 'copy', 'copy', 'abort']);
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(kinds(world), ['a failed']);
    assert.match(JSON.stringify(world.reports.reports[0]?.outcome), /DMG_CORE_CRASHES_EXECUTOR.*SIGKILL/);
    assert.equal(world.sinks.phase('a'), 'aborted');
  });

  test('a dispatch without an answer that took no effect is placed again', async (context) => {
    const world = await open(context);
    world.worker.dispatchTrouble = 'before';
    await world.send(jobOf('a'));
    world.worker.dispatchTrouble = undefined;
    await world.advance(2_000);
    assert.deepEqual(running(world), ['a']);
    assert.equal(world.worker.begun.length, 1);
  });

  test('a dispatch without an answer that did take effect is adopted, not repeated', async (context) => {
    const world = await open(context);
    world.worker.dispatchTrouble = 'after';
    await world.send(jobOf('a'));
    world.worker.dispatchTrouble = undefined;
    await world.advance(2_000);
    assert.equal(world.worker.begun.length, 1);
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(kinds(world), ['a succeeded']);
  });

  test('a job that no node may run waits with its reason and holds up nobody', async (context) => {
    const world = await open(context, { limit: 1 });
    world.worker.notEligible = ({ job }) => (job.jobId.startsWith('bound') ? 'the folder is on another node' : undefined);
    for (let index = 0; index < 12; index++) await world.send(jobOf(`bound${index}`));
    await world.send(jobOf('free'));
    await world.settle();
    assert.deepEqual(running(world), ['free']);
    world.worker.notEligible = () => undefined;
    world.worker.finish(attemptOf(world, 'free'));
    await world.advance(31_000);
    assert.equal(running(world).length, 1);
  });

  test('a job that no node may run is reported with the reason, until one may', async (context) => {
    const world = await open(context);
    world.worker.notEligible = ({ job }) => (job.jobId === 'bound' ? 'the folder is on another node' : undefined);
    for (const id of ['bound', 'free']) await world.send(jobOf(id));
    assert.deepEqual(world.dispatcher.report()?.stranded, [
      { jobId: 'bound', reason: `${world.worker.nodeId}: the folder is on another node` },
    ]);
    world.worker.notEligible = () => undefined;
    await world.advance(31_000);
    assert.deepEqual([running(world), world.dispatcher.report()?.stranded], [['free', 'bound'], []]);
  });

  test('too many of a kind that no node may run: further ones are dead-lettered', async (context) => {
    const world = await open(context, { settings: { strandedMax: 3 } });
    world.worker.notEligible = () => 'the folder is on another node';
    for (let index = 0; index < 4; index++) await world.send(jobOf(`j${index}`));
    await world.advance(31_000);
    assert.deepEqual(world.reports.deadLetters.map((one) => [one.messageId, one.reason]), [['j3.1', 'NO_ELIGIBLE_NODE']]);
  });

  test('a draining node is asked again; a full one as soon as it tells of a slot', async (context) => {
    const world = await open(context);
    world.worker.draining = true;
    await world.send(jobOf('a'));
    assert.deepEqual(running(world), []);
    world.worker.draining = false;
    await world.advance(2_500);
    assert.deepEqual(running(world), ['a']);
  });

  test('a lowered limit kills nothing and admits nothing until usage is below it', async (context) => {
    const world = await open(context, { limit: 2 });
    for (const id of ['a', 'b', 'c']) await world.send(jobOf(id));
    world.worker.setLimit(1);
    await world.settle();
    world.worker.finish(attemptOf(world, 'a'));
    await world.advance(3_000);
    assert.deepEqual(running(world), ['b']);
    world.worker.finish(attemptOf(world, 'b'));
    await world.settle();
    assert.deepEqual(running(world), ['c']);
  });

  test('a host that dies and comes back: what it ran is placed again, not counted as deaths', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    for (let restarts = 0; restarts < 5; restarts++) {
      world.worker.restart();
      await world.advance(31_000);
      assert.deepEqual(running(world), ['a']);
    }
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(kinds(world), ['a succeeded']);
  });

  test('a list that was made before an attempt ended does not bring it back', async (context) => {
    const world = await open(context, { limit: 1, settings: { auditIntervalMs: 2_000, helloLimitMs: 10_000 } });
    await world.send(jobOf('a', { finalTry: false }));
    const { promise, resolve } = Promise.withResolvers<void>();
    world.worker.helloDelay = promise;
    await world.advance(2_500);
    world.worker.stop(attemptOf(world, 'a'));
    world.worker.draining = true;
    await world.settle();
    assert.deepEqual(world.dispatcher.report()?.waiting, ['a']);
    world.worker.helloDelay = undefined;
    resolve();
    await world.settle();
    assert.deepEqual(world.dispatcher.report()?.waiting, ['a']);
  });

  test('a list that was made before a dispatch arrived does not place the job again', async (context) => {
    const world = await open(context, { limit: 2, settings: { auditIntervalMs: 1_000 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    world.worker.dispatchDelay = promise;
    await world.send(jobOf('a'));
    await world.advance(3_000);
    world.worker.dispatchDelay = undefined;
    resolve();
    await world.settle();
    assert.deepEqual([running(world), world.worker.begun.length, world.refusals], [['a'], 1, []]);
  });

  test('a worker that obeys a larger epoch makes the dispatcher ask for one above it', async (context) => {
    const world = new World();
    context.after(() => world.close());
    await world.worker.hello({ n: 41, token: 'f'.repeat(32) });
    await world.start();
    await world.advance(1_000);
    assert.match(world.dispatcher.report()?.epoch ?? '', /^42\./);
    await world.send(jobOf('a'));
    assert.deepEqual(running(world), ['a']);
  });

  test('a worker that is taken over by another dispatcher refuses, and we ask for a larger epoch', async (context) => {
    const world = await open(context);
    await world.worker.hello({ n: 9, token: 'f'.repeat(32) });
    await world.send(jobOf('a'));
    await world.advance(2_000);
    assert.deepEqual(running(world), ['a']);
    assert.equal(world.worker.begun[0]?.epoch.n, 10);
  });
});

describe('cancel', () => {
  test('a job that never had an attempt is Cancelled at once', async (context) => {
    const world = await open(context, { limit: 1 });
    await world.send(jobOf('a'));
    await world.send(jobOf('b'));
    world.dispatcher.cancelJob('b');
    await world.settle();
    assert.deepEqual(kinds(world), ['b cancelled']);
    assert.equal(world.reports.reports[0]?.attemptId, '');
  });

  test('a running job is stopped by its worker, which closes the sink', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.dispatcher.cancelJob('a');
    await world.settle();
    assert.deepEqual(kinds(world), ['a cancelled']);
    assert.equal(world.sinks.phase('a'), 'aborted');
  });

  test('a job that may have had an attempt unseen gets an abort step, ahead of everything', async (context) => {
    const world = await open(context, { limit: 1 });
    for (const id of ['a', 'b']) await world.send(jobOf(id));
    await world.send(jobOf('c'), { sends: 2 });
    world.dispatcher.cancelJob('c');
    await world.settle();
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(running(world), ['c']);
    world.worker.finish(attemptOf(world, 'c'));
    await world.settle();
    assert.equal(world.ends.get('c'), 'cancelled');
  });

  test('a job that is cancelled before its message comes never runs', async (context) => {
    const world = await open(context);
    world.dispatcher.cancelJob('a');
    await world.send(jobOf('a'));
    assert.deepEqual(kinds(world), ['a cancelled']);
    assert.equal(world.worker.begun.length, 0);
  });

  test('a cancel that loses the race ends Succeeded', async (context) => {
    const world = await open(context);
    await world.send(jobOf('a'));
    world.worker.endsWhenCancelled = false;
    world.dispatcher.cancelJob('a');
    await world.settle();
    world.worker.finish(attemptOf(world, 'a'));
    await world.settle();
    assert.deepEqual(kinds(world), ['a succeeded']);
  });
});
