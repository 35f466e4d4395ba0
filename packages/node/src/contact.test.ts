import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger, systemClock } from '@dmg/base';
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
    situation: () => ({ text: '', busy: false }),
  });
  await asked.promise;
  stopping.abort();
  await loop;
  assert.equal(contact.trouble, undefined);
});
