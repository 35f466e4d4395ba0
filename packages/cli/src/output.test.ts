import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from './output.ts';

test('columns are as wide as their widest cell, and no line ends in blanks', () => {
  const rows = [['node-1', 'Online', ''], ['a-long-name', 'Offline', 'yes']];
  assert.equal(table(['NODE', 'STATUS', 'DISPATCHER'], rows), [
    'NODE         STATUS   DISPATCHER',
    'node-1       Online',
    'a-long-name  Offline  yes',
  ].join('\n'));
});

test('a table without rows is its header', () => {
  assert.equal(table(['A', 'B'], []), 'A  B');
});
