import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, silentLogger, systemClock } from '@dmg/base';
import { nodeFacts } from '@dmg/core/testing';
import type { AliveReport } from '@dmg/model';
import { aliveLoop, Contact } from './contact.ts';

const report: AliveReport = {
  facts: nodeFacts(), desiredVersion: 0, running: [], metrics: { cpuPercent: 0, availableMemoryMb: 0, sentBytes: 0, receivedBytes: 0 },
};

test('a node that stops does not wait for a control plane that does not answer, and does not call it away', async () => {
  const contact = new Contact({ logger: silentLogger, onRestored: () => undefined, onUnregistered: () => undefined });
  const stopping = new AbortController();
  const asked = Promise.withResolvers<void>();
  const loop = aliveLoop({
    client: {
      alive: (_report, options) => new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(stopping.signal.reason as Error));
        asked.resolve();
      }),
    },
    contact, clock: systemClock, times: { idleMs: 5000, busyMs: 1000, lookMs: 250 }, signal: stopping.signal,
    collect: () => Promise.resolve(report),
    takeAnswer: () => assert.fail('there is no answer'),
    situation: () => ({ text: '', work: '', busy: false }),
  });
  await asked.promise;
  stopping.abort();
  await loop;
  assert.equal(contact.trouble, undefined);
});

test('what changes how the node is seen is told with the next look, what it runs once a second at most', async () => {
  const clock = new ManualClock();
  const contact = new Contact({ logger: silentLogger, onRestored: () => undefined, onUnregistered: () => undefined });
  const stopping = new AbortController();
  const now = { text: 'well', work: 'nothing', busy: false };
  const toldAtMs: number[] = [];
  const startedMs = clock.monotonicMs();
  const loop = aliveLoop({
    client: {
      alive: async () => {
        toldAtMs.push(clock.monotonicMs() - startedMs);
        return { judgement: undefined, roster: [] } as never;
      },
    },
    contact, clock, times: { idleMs: 5000, busyMs: 1000, lookMs: 250 }, signal: stopping.signal,
    collect: () => Promise.resolve(report), takeAnswer: () => undefined, situation: () => now,
  });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 250) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(250);
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  await pass(2000);
  assert.deepEqual(toldAtMs.splice(0), [0]);
  now.work = 'a job';
  await pass(250);
  assert.deepEqual(toldAtMs.splice(0), [2250], 'the first one after a while at once');
  now.work = 'another job';
  await pass(750);
  assert.deepEqual(toldAtMs.splice(0), []);
  await pass(250);
  assert.deepEqual(toldAtMs.splice(0), [3250]);
  now.text = 'in trouble';
  await pass(250);
  assert.deepEqual(toldAtMs.splice(0), [3500]);
  stopping.abort();
  await loop;
});
