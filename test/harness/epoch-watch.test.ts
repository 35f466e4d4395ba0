import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EpochWatch } from './epoch-watch.ts';

test('leaders and first jobs are told apart by their epochs', async () => {
  const watch = new EpochWatch();
  const line = (node: string, msg: string, epoch: string, atMs: number): void => watch.take({ node, msg, atMs, fields: { epoch } });
  line('a', 'dispatcher leads', '3.aa', 1);
  assert.deepEqual(watch.leader, { node: 'a', n: 3, atMs: 1 });
  const leader = watch.leaderAfter(3, 1000);
  const job = watch.firstDispatchAfter(3, 1000);
  line('b', 'attempt accepted', '3.aa', 2);
  line('a', 'worker is gone', 'none', 3);
  line('b', 'dispatcher leads', '5.bb', 4);
  line('c', 'attempt accepted', '5.bb', 5);
  line('c', 'attempt accepted', '5.bb', 6);
  assert.deepEqual(await leader, { node: 'b', n: 5, atMs: 4 });
  assert.deepEqual(await job, { worker: 'c', n: 5, atMs: 5 });
  // One that woke up late tells nothing new.
  line('a', 'dispatcher leads', '4.cc', 7);
  assert.equal(watch.leader?.node, 'b');
  assert.deepEqual(await watch.leaderAfter(3, 1000), { node: 'b', n: 5, atMs: 4 });
  await assert.rejects(watch.leaderAfter(5, 10), /in vain for: a dispatcher after epoch 5/);
});
