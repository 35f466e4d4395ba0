import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { hasCode } from '@dmg/base';
import type { Context } from '../context.ts';
import type { Output } from '../output.ts';
import { answering } from '../testing/answering-context.ts';
import { drain, listNodes, remove, resume, setLimit } from './gateway-nodes.ts';

interface Said {
  readonly value: unknown;
  readonly text: string;
}

function recording(): { output: Output; said: Said[]; notes: string[] } {
  const said: Said[] = [];
  const notes: string[] = [];
  const output: Output = {
    json: false,
    result: (value, text) => void said.push({ value, text: text() }),
    note: (text) => void notes.push(text),
    progress: (text) => void notes.push(text),
    error: () => undefined,
  };
  return { output, said, notes };
}

/** A gateway `local` of one node `n1`; `asked` has what was sent besides readings. */
function gateway(state: { status?: string; running?: number[] } = {}): { context: Context; asked: string[] } {
  const asked: string[] = [];
  const running = [...(state.running ?? [0])];
  const context = answering((what, { method, path, body }) => {
    if (what === 'list gateways') return { value: [{ name: 'local', properties: {} }] };
    if (what.startsWith('read the status')) {
      return { properties: { state: 'Online', typeProperties: { nodes: [{ nodeName: 'n1', status: state.status ?? 'Online' }] } } };
    }
    if (what.startsWith('read the monitoring')) {
      const concurrentJobsRunning = running.length > 1 ? running.shift() : running[0];
      return { nodes: [{ nodeName: 'n1', concurrentJobsRunning, concurrentJobsLimit: 4 }] };
    }
    const below = path.replace(/^.*factories\/f/, '').replace(/\?.*$/, '');
    asked.push(`${method} ${below}${body === undefined ? '' : ` ${JSON.stringify(body)}`}`);
    return { maxConcurrentJobs: 16 };
  });
  return { context, asked };
}

const immediate = promisify(setImmediate);
const noSignal = new AbortController().signal;
const below = '/integrationRuntimes/local/nodes/n1';

test('limits are set by the REST operation, and a limit that the machine does not bear says so', async () => {
  const { context, asked } = gateway();
  const { output, said } = recording();
  await setLimit({ node: 'n1' }, 3, context, output);
  await setLimit({ node: 'n1', gateway: 'local' }, 40, context, output);
  assert.deepEqual(asked, [`PATCH ${below} {"concurrentJobsLimit":3}`, `PATCH ${below} {"concurrentJobsLimit":40}`]);
  assert.match(said[0]?.text ?? '', /^n1 runs up to 3 jobs at once; /);
  assert.match(said[1]?.text ?? '', /up to 40 jobs at once, of which its machine bears 16/);
});

test('draining comes back at once, or when nothing runs any more', async () => {
  const { context, asked } = gateway({ status: 'Limited', running: [2, 1, 0] });
  const { output, said, notes } = recording();
  assert.equal(await drain({ node: 'n1' }, { graceSeconds: 5, wait: false }, context, output, noSignal), 0);
  assert.deepEqual(said.map(({ value }) => value), [{ node: 'n1', gateway: 'local', draining: true, graceSeconds: 5 }]);
  assert.equal(await drain({ node: 'n1' }, { graceSeconds: 5, wait: true }, context, output, noSignal), 0);
  assert.deepEqual(notes, ['n1: 2 jobs still run', 'n1: 1 jobs still run']);
  assert.equal((said[1]?.value as { drained?: boolean } | undefined)?.drained, true);
  assert.deepEqual(asked, [`POST ${below}/drain {"graceSeconds":5}`, `POST ${below}/drain {"graceSeconds":5}`]);
});

test('Ctrl-C ends the waiting, not the draining; a node that is online has not heard of it', async () => {
  const { context } = gateway({ running: [0] });
  const { output, notes } = recording();
  const stop = new AbortController();
  const waiting = drain({ node: 'n1' }, { graceSeconds: 5, wait: true }, context, output, stop.signal);
  while (notes.length === 0) await Promise.race([waiting, immediate()]);
  stop.abort();
  assert.equal(await waiting, 130);
  assert.match(notes.at(-1) ?? '', /goes on draining/);
});

test('a drained node is resumed', async () => {
  const { context, asked } = gateway();
  const { output, said } = recording();
  await resume({ node: 'n1' }, context, output);
  assert.deepEqual(asked, [`POST ${below}/resume {}`]);
  assert.deepEqual(said[0]?.value, { node: 'n1', gateway: 'local', draining: false });
});

test('a node that is alive is deleted only by force, one that is gone at once, one that is not there never', async () => {
  const { context, asked } = gateway({ running: [2] });
  const { output } = recording();
  await assert.rejects(remove({ node: 'n1' }, false, context, output), (error) => hasCode(error, 'DMG_CLI_NODE_ALIVE_REFUSED'));
  await assert.rejects(remove({ node: 'n2' }, true, context, output), (error) => hasCode(error, 'DMG_CLI_UNKNOWN_NODE_REFUSED'));
  assert.deepEqual(asked, []);
  await remove({ node: 'n1' }, true, context, output);
  const offline = gateway({ status: 'Offline' });
  await remove({ node: 'N1' }, false, offline.context, output);
  assert.deepEqual([...asked, ...offline.asked], [`DELETE ${below}`, 'DELETE /integrationRuntimes/local/nodes/N1']);
});

test('nodes are listed with what they do', async () => {
  const { output, said } = recording();
  await listNodes(undefined, gateway({ running: [2] }).context, output);
  assert.match(said[0]?.text ?? '', /n1 +worker +Online +2\/4/);
});
