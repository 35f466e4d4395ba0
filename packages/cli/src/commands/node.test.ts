import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeReady } from './node.ts';

test('in a terminal the ready line of a node is a sentence; other lines stay as they are', () => {
  const line = JSON.stringify({ ready: 'node', name: 'n1', gateway: 'local', pid: 7, metrics: 'http://127.0.0.1:9464/metrics' });
  assert.equal(describeReady(line), 'n1 of the gateway local runs (pid 7, http://127.0.0.1:9464/metrics). Ctrl-C stops it.');
  assert.equal(describeReady('something else'), 'something else');
});
