import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReservationLog } from './reservation-log.ts';

test('attempts beyond the limit of a host are noticed, those of another host and ended ones are not counted', () => {
  const log = new ReservationLog(2);
  const say = (pid: number, msg: string, attemptId: string, used = 1): void =>
    log.take(JSON.stringify({ msg, pid, attemptId, jobId: `j${attemptId}`, used }));
  say(1, 'attempt accepted', 'a');
  say(1, 'attempt accepted', 'b');
  say(2, 'attempt accepted', 'c');
  say(1, 'attempt ended', 'a');
  say(1, 'attempt accepted', 'd');
  log.take('no JSON, but "attempt accepted"');
  assert.deepEqual(log.over, []);
  say(1, 'attempt accepted', 'e');
  assert.deepEqual(log.over, ['host 1 accepted job je as its 3th']);
  // An executor of the host before this one is still there.
  say(3, 'attempt accepted', 'f', 3);
  assert.deepEqual(log.over.slice(1), ['host 3 accepted job jf into its slot number 3']);
  assert.equal(log.accepted, 6);
});
