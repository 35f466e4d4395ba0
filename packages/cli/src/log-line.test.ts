import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readableLogLine } from './log-line.ts';

const line = JSON.stringify({
  level: 'warn', time: '2026-01-02T03:04:05.678Z', component: 'node', pid: 7, attemptId: 'a1', error: { code: 'DMG_X' },
  msg: 'attempt failed',
});

test('a line shows time, level, program, sentence and its own fields', () => {
  assert.equal(readableLogLine(line, 'warn'), '03:04:05 warn  node: attempt failed attemptId=a1 error={"code":"DMG_X"}');
});

test('what is below the level is left out', () => {
  assert.equal(readableLogLine(line, 'error'), undefined);
  assert.equal(readableLogLine(line, 'silent'), undefined);
  assert.notEqual(readableLogLine(line, 'debug'), undefined);
});

test('what is no log line is shown as it is', () => {
  for (const other of ['Error: broken', '{"half":', '{"no":"message"}', '']) assert.equal(readableLogLine(other, 'error'), other);
});
