import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, isLoopback, splitAddress } from './node-address.ts';

test('addresses of nodes are taken apart and put together', () => {
  assert.deepEqual(splitAddress('10.0.0.1:8060'), { host: '10.0.0.1', port: 8060 });
  assert.deepEqual(splitAddress('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(splitAddress('node-a.example:65535'), { host: 'node-a.example', port: 65_535 });
  for (const text of ['', 'host', ':80', 'host:', 'host:0', 'host:65536', '::1:80', 'a:b:80', 'host:8o']) {
    assert.equal(splitAddress(text), undefined, text);
  }
  assert.equal(formatAddress('::1', 80), '[::1]:80');
  assert.equal(formatAddress('10.0.0.1', 80), '10.0.0.1:80');
});

test('only addresses of this machine itself are loopback ones, and no name is', () => {
  for (const host of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1']) assert.equal(isLoopback(host), true, host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost', '127.0.0.1.example', '', '::ffff:10.0.0.1', '128.0.0.1']) {
    assert.equal(isLoopback(host), false, host);
  }
});
