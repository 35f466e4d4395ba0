import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Epoch } from '@dmg/model';
import type { JobRecord } from '../job-record.ts';
import type { Ledger } from '../ports.ts';

/** One data set and two clients of it. */
export interface LedgerHarness {
  readonly ledger: Ledger;
  readonly other: Ledger;
  /** The store forgets everything. */
  loseData(): Promise<void>;
  close(): Promise<void>;
}

const node = { nodeId: 'node-1', address: '127.0.0.1:8060' };

export function epochOf(n: number, token = 'a'): Epoch {
  return { n, token: token.padEnd(32, '0') };
}

export function recordOf(jobId: string, more: Partial<JobRecord> = {}): JobRecord {
  return {
    jobId, epochN: 1, version: 1, tryNumber: 1, finalTry: true, sendNo: 1, firstDelivery: true, signedJob: 'signed', state: 'Waiting',
    attempts: 0, executorDeaths: 0, abortDeaths: 0, signatureRefusals: 0, cancelRequested: false, reported: false, ...more,
  };
}

/** What every ledger answers, whatever stores it. */
export function ledgerContract(name: string, make: () => Promise<LedgerHarness>): void {
  const contract = (title: string, run: (harness: LedgerHarness) => Promise<void>): void => {
    test(title, async () => {
      const harness = await make();
      try {
        await run(harness);
      } finally {
        await harness.close();
      }
    });
  };
  describe(`ledger contract: ${name}`, () => {
    epochs(contract);
    records(contract);
    loss(contract);
  });
}

type Contract = (title: string, run: (harness: LedgerHarness) => Promise<void>) => void;

function epochs(contract: Contract): void {
  contract('nothing installed: epoch 0, no life, writes are stale', async ({ ledger }) => {
    assert.deepEqual(await ledger.head(), { n: 0, life: '' });
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'stale');
    assert.equal(await ledger.remove(epochOf(1), 'j'), 'stale');
    assert.deepEqual(await ledger.readAll(), []);
  });
  contract('an installed epoch is read back, and the life of the data stays over later epochs', async ({ ledger }) => {
    assert.deepEqual(await ledger.install(epochOf(3), node), { ok: true });
    const first = await ledger.head();
    assert.equal(first.n, 3);
    assert.notEqual(first.life, '');
    assert.deepEqual(await ledger.install(epochOf(4, 'b'), node), { ok: true });
    assert.deepEqual(await ledger.head(), { n: 4, life: first.life });
  });
  contract('an epoch that is not larger is behind, unless it is the very same grant', async ({ ledger }) => {
    await ledger.install(epochOf(7), node);
    assert.deepEqual(await ledger.install(epochOf(6, 'b'), node), { ok: false, behind: 7 });
    assert.deepEqual(await ledger.install(epochOf(7, 'b'), node), { ok: false, behind: 7 });
    assert.deepEqual(await ledger.install(epochOf(7), node), { ok: true });
    assert.equal(await ledger.put(epochOf(7), recordOf('j')), 'ok');
  });
  contract('a later epoch fences the writes of an earlier one, of whichever client', async ({ ledger, other }) => {
    await ledger.install(epochOf(1), node);
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
    await other.install(epochOf(2, 'b'), node);
    assert.equal(await ledger.put(epochOf(1), recordOf('j', { version: 2 })), 'stale');
    assert.equal(await ledger.put(epochOf(2, 'c'), recordOf('j', { version: 2 })), 'stale');
    assert.equal(await ledger.remove(epochOf(1), 'j'), 'stale');
    assert.equal(await other.put(epochOf(2, 'b'), recordOf('j', { version: 2 })), 'ok');
  });
}

function records(contract: Contract): void {
  contract('a record comes back as it was written, also a large one with every kind of character', async ({ ledger, other }) => {
    await ledger.install(epochOf(1), node);
    const record = recordOf('Jöb: "ünï" \u{1F680}', {
      signedJob: `${'x'.repeat(250_000)} ' " \\ \n \u2028 \u0000`, state: 'Running', attempts: 3, executorDeaths: 2, cancelRequested: true,
      attempt: { attemptId: 'f'.repeat(32), nodeId: 'n1', step: 'abort', tryNumber: 1 }, sendNo: Number.MAX_SAFE_INTEGER,
      failing: { code: 'DMG_X', category: 'system', retry: 'never', scope: 'job', message: 'm', fix: 'f', params: { deaths: 3 } },
    });
    assert.equal(await ledger.put(epochOf(1), record), 'ok');
    assert.deepEqual(await other.readAll(), [record]);
  });
  contract('the largest (epochN, version) stands; the same may be written again', async ({ ledger }) => {
    await ledger.install(epochOf(5), node);
    const put = (epochN: number, version: number): Promise<string> =>
      ledger.put(epochOf(5), recordOf('j', { epochN, version, sendNo: epochN * 100 + version }));
    assert.equal(await put(2, 9), 'ok');
    assert.equal(await put(2, 8), 'old');
    assert.equal(await put(1, 99), 'old');
    assert.equal(await put(2, 9), 'ok');
    assert.equal(await put(3, 1), 'ok');
    assert.equal(await put(10, 1), 'ok');
    assert.equal(await put(9, 1), 'old');
    assert.deepEqual((await ledger.readAll()).map((record) => record.sendNo), [1001]);
  });
  contract('many writes at once: none is lost and the newest version of each stands', async ({ ledger, other }) => {
    await ledger.install(epochOf(1), node);
    const writes = Array.from({ length: 600 }, (_, index) => recordOf(`j${index % 200}`, { version: 1 + Math.floor(index / 200) }));
    const answers = await Promise.all(writes.map((record, index) => (index % 2 === 0 ? ledger : other).put(epochOf(1), record)));
    assert.ok(answers.every((answer) => answer === 'ok' || answer === 'old'));
    const all = await ledger.readAll();
    assert.equal(all.length, 200);
    assert.ok(all.every((record) => record.version === 3));
  });
  contract('a removed record is gone, and removing it again is no error', async ({ ledger }) => {
    await ledger.install(epochOf(1), node);
    await ledger.put(epochOf(1), recordOf('a'));
    await ledger.put(epochOf(1), recordOf('b'));
    assert.equal(await ledger.remove(epochOf(1), 'a'), 'ok');
    assert.equal(await ledger.remove(epochOf(1), 'a'), 'ok');
    assert.deepEqual((await ledger.readAll()).map((record) => record.jobId), ['b']);
  });
}

function loss(contract: Contract): void {
  contract('after a loss of data all is stale until an epoch is installed, and the life is another one', async ({ ledger, loseData }) => {
    await ledger.install(epochOf(4), node);
    const { life } = await ledger.head();
    await ledger.put(epochOf(4), recordOf('j'));
    await loseData();
    assert.equal(await ledger.put(epochOf(4), recordOf('j', { version: 2 })), 'stale');
    assert.deepEqual(await ledger.head(), { n: 0, life: '' });
    assert.deepEqual(await ledger.readAll(), []);
    assert.deepEqual(await ledger.install(epochOf(5, 'b'), node), { ok: true });
    assert.notEqual((await ledger.head()).life, life);
    assert.equal(await ledger.put(epochOf(5, 'b'), recordOf('j', { version: 2 })), 'ok');
  });
  contract('a closed ledger refuses instead of hanging', async ({ ledger, other }) => {
    await ledger.install(epochOf(1), node);
    await ledger.close();
    await assert.rejects(ledger.head());
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')));
    assert.equal((await other.head()).n, 1);
  });
}
