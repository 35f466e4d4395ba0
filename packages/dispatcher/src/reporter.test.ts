import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom, silentLogger } from '@dmg/base';
import type { JobEnd, ReportGateway } from '@dmg/core';
import type { JobReport } from '@dmg/model';
import { Reporter } from './reporter.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const end = (attemptId: string): JobEnd => ({
  tryNumber: 1, attemptId, nodeName: 'one', outcome: { kind: 'cancelled', sink: 'aborted' }, startedAtWallMs: 0, endedAtWallMs: 1_500,
});

interface Opened {
  readonly reporter: Reporter;
  readonly clock: ManualClock;
  readonly acknowledged: string[];
}

function open(report: (report: JobReport) => Promise<void>, atOnce = 2): Opened {
  const clock = new ManualClock();
  const acknowledged: string[] = [];
  const gateway: ReportGateway = {
    report, deadLettered: () => Promise.reject(new Error('not expected')), fetchSignedJob: () => Promise.reject(new Error('not expected')),
  };
  const reporter = new Reporter({
    gateway, clock, random: seededRandom(1), logger: silentLogger, atOnce, acknowledged: (jobId) => void acknowledged.push(jobId),
  });
  return { reporter, clock, acknowledged };
}

test('a report that is not delivered is repeated until it is acknowledged', async () => {
  const seen: JobReport[] = [];
  const { reporter, clock, acknowledged } = open((report) => {
    seen.push(report);
    return seen.length < 4 ? Promise.reject(new Error('connection refused')) : Promise.resolve();
  });
  reporter.add('a', end('a1'));
  for (let tries = 0; tries < 4; tries++) {
    await nextTurn();
    clock.advance(10_000);
  }
  assert.deepEqual([seen.length, acknowledged, reporter.pending], [4, ['a'], 0]);
  assert.deepEqual([seen[0]?.startedAt, seen[0]?.endedAt], ['1970-01-01T00:00:00.000Z', '1970-01-01T00:00:01.500Z']);
});

test('only so many are on their way at once, the same end only once, and all arrive', async () => {
  const waiting: (() => void)[] = [];
  const { reporter, acknowledged } = open(() => new Promise((resolve) => void waiting.push(resolve)));
  for (const jobId of ['a', 'b', 'c', 'a', 'b']) reporter.add(jobId, end('x'));
  assert.deepEqual([waiting.length, reporter.pending], [2, 3]);
  while (waiting.length > 0) {
    waiting.shift()?.();
    await nextTurn();
  }
  assert.deepEqual(acknowledged, ['a', 'b', 'c']);
});

test('an end that was acknowledged may be reported again', async () => {
  let sent = 0;
  const { reporter } = open(() => {
    sent += 1;
    return Promise.resolve();
  });
  reporter.add('a', end('x'));
  await nextTurn();
  reporter.add('a', end('x'));
  await nextTurn();
  assert.equal(sent, 2);
});

test('closed: nothing is sent, repeated or acknowledged any more', async () => {
  let sent = 0;
  const { reporter, clock, acknowledged } = open(() => {
    sent += 1;
    return Promise.reject(new Error('connection refused'));
  });
  reporter.add('a', end('x'));
  await nextTurn();
  reporter.close();
  clock.advance(60_000);
  reporter.add('b', end('x'));
  await nextTurn();
  assert.deepEqual([sent, acknowledged], [1, []]);
});
