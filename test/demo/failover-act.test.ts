import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EpochWatch } from '../harness/epoch-watch.ts';
import { type CopyPicture, FailoverAct, type NodePicture } from './failover-act.ts';

const node = (name: string, change: Partial<NodePicture> = {}): NodePicture => ({
  name, status: 'Online', evidence: 'It was heard.', isDispatcher: false, running: 0, ...change,
});
const copy = (activity: string, where: string, bytes: number): CopyPicture => ({ activity, node: where, state: 'InProgress', bytes });

interface Stage {
  readonly act: FailoverAct;
  readonly said: string[];
  readonly drained: string[];
  readonly restarted: Set<string>;
  leads(name: string, n: number): void;
}

/** Three nodes, `b` leads; whoever is killed is followed by `next`, if there is one. */
function stage(next: string | undefined): Stage {
  const watch = new EpochWatch();
  const [said, drained, restarted]: [string[], string[], Set<string>] = [[], [], new Set()];
  let n = 4;
  const leads = (name: string, epoch: number): void =>
    watch.take({ node: name, msg: 'dispatcher leads', atMs: performance.now(), fields: { epoch: `${epoch}.x` } });
  leads('b', n);
  const act = new FailoverAct({
    nodes: {
      names: ['a', 'b', 'c'], watch,
      hasRestarted: (name) => restarted.has(name),
      killGroup: (name) => {
        said.push(`KILL ${name}`);
        queueMicrotask(() => {
          // The killed one may even lead again before another does.
          leads(name, ++n);
          if (next !== undefined) leads(next, ++n);
        });
      },
    },
    say: (text) => void said.push(text),
    drain: (name) => Promise.resolve(void drained.push(name)),
    mayInterrupt: (name, copies) => Promise.resolve(!copies.some(({ activity, node: at }) => activity === 'fragile' && at === name)),
  });
  return { act, said, drained, restarted, leads };
}

test('the dispatcher is killed while it copies, the copy goes on elsewhere, the node comes back, one is drained', async () => {
  const { act, said, drained, restarted } = stage('c');
  const online = [node('a'), node('b', { isDispatcher: true }), node('c')];
  await act.see(online, [copy('one', 'a', 5), copy('two', 'b', 0)], false);
  assert.deepEqual(said, [], 'nothing is under way on the dispatcher yet');
  await act.see(online, [copy('fragile', 'b', 5), copy('two', 'b', 7_000_000)], false);
  assert.deepEqual(said, [], 'a copy must not be interrupted yet');
  await act.see(online, [copy('fragile', 'a', 5), copy('two', 'b', 7_000_000)], false);
  assert.deepEqual(said.slice(0, 2), ['kill -9 of the whole process group of b: the dispatcher, with 1 copies running on it', 'KILL b']);
  assert.deepEqual([act.failover?.killed, act.failover?.successor], ['b', 'c']);
  await act.see(online, [copy('two', 'b', 7_000_000)], false);
  await act.see([node('a'), node('b', { status: 'Offline' }), node('c')], [copy('two', 'c', 9_000_000)], false);
  assert.equal(said.at(-1), 'two goes on on c, where b had written 7.0 MB');
  restarted.add('b');
  await act.see([node('a'), node('b', { status: 'Initializing' }), node('c')], [], true);
  assert.equal(act.awaited, 'b to come back by itself');
  const after = [node('a', { running: 1 }), node('b'), node('c', { isDispatcher: true })];
  await act.see(after, [], true);
  assert.match(said.at(-1) ?? '', /^b is back by itself after/);
  await act.see(after, [copy('fragile', 'a', 5)], false);
  assert.deepEqual(drained, []);
  await act.see(after, [], true);
  assert.deepEqual(drained, ['a']);
  await act.see([node('a', { running: 1, status: 'Limited' }), ...after.slice(1)], [], true);
  assert.equal(act.isOver, false);
  await act.see([node('a', { running: 0, status: 'Limited', evidence: 'It is drained.' }), ...after.slice(1)], [], true);
  assert.equal(act.isOver, true);
  assert.equal(said.at(-1), 'a runs nothing any more and is Limited: It is drained.');
  assert.deepEqual(act.problems, []);
});

test('when all copies ended before, the dispatcher is killed nevertheless', async () => {
  const { act } = stage('a');
  await act.see([node('a'), node('b')], [], true);
  assert.equal(act.failover?.successor, 'a');
});
