import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { JobRecord } from '../job-record.ts';
import { epochOf, grantEpoch, type MakeMasters, type MastersContract, onMasters } from './masters-fixture.ts';

export function recordOf(jobId: string, more: Partial<JobRecord> = {}): JobRecord {
  return {
    jobId, epochN: 1, version: 1, tryNumber: 1, finalTry: true, sendNo: 1, firstDelivery: true, signedJob: 'signed', state: 'Waiting',
    attempts: 0, executorDeaths: 0, abortDeaths: 0, signatureRefusals: 0, cancelRequested: false, reported: false, ...more,
  };
}

/** What every ledger answers, whatever stores it, with one master and with three. Epochs are granted through the fixture's lease store. */
export function ledgerContract(name: string, make: MakeMasters): void {
  describe(`ledger contract: ${name}`, () => {
    for (const masters of [1, 3]) {
      const contract = onMasters(make, masters);
      epochs(contract);
      records(contract);
      loss(contract);
    }
    severalMasters(onMasters(make, 3));
  });
}

function epochs(contract: MastersContract): void {
  contract('nothing installed: writes are stale, nothing is read', async (fixture) => {
    const ledger = fixture.ledger();
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'stale');
    assert.equal(await ledger.remove(epochOf(1), 'j'), 'stale');
    assert.deepEqual(await ledger.readAll(), []);
  });
  contract('the installed epoch writes, also when its lease has ended', async (fixture) => {
    const [ledger, leases] = [fixture.ledger(), fixture.leaseStore()];
    await grantEpoch(leases, epochOf(3));
    assert.equal(await ledger.put(epochOf(3), recordOf('j')), 'ok');
    assert.equal(await ledger.put(epochOf(2), recordOf('j', { version: 2 })), 'stale');
    assert.equal(await ledger.put(epochOf(4), recordOf('j', { version: 2 })), 'stale');
  });
  contract('a later epoch fences the writes of an earlier one, of whichever client', async (fixture) => {
    const [ledger, other, leases] = [fixture.ledger(), fixture.ledger(), fixture.leaseStore()];
    await grantEpoch(leases, epochOf(1));
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'ok');
    await grantEpoch(leases, epochOf(2, 'b'));
    assert.equal(await ledger.put(epochOf(1), recordOf('j', { version: 2 })), 'stale');
    assert.equal(await ledger.put(epochOf(2, 'c'), recordOf('j', { version: 2 })), 'stale');
    assert.equal(await ledger.remove(epochOf(1), 'j'), 'stale');
    assert.equal(await other.put(epochOf(2, 'b'), recordOf('j', { version: 2 })), 'ok');
  });
}

function records(contract: MastersContract): void {
  contract('a record comes back as it was written, also a large one with every kind of character', async (fixture) => {
    const [ledger, other] = [fixture.ledger(), fixture.ledger()];
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    const record = recordOf('Jöb: "ünï" \u{1F680}', {
      signedJob: `${'x'.repeat(250_000)} ' " \\ \n \u2028 \u0000`, state: 'Running', attempts: 3, executorDeaths: 2, cancelRequested: true,
      attempt: { attemptId: 'f'.repeat(32), nodeId: 'n1', step: 'abort', tryNumber: 1 }, sendNo: Number.MAX_SAFE_INTEGER,
      failing: { code: 'DMG_X', category: 'system', retry: 'never', scope: 'job', message: 'm', fix: 'f', params: { deaths: 3 } },
    });
    assert.equal(await ledger.put(epochOf(1), record), 'ok');
    assert.deepEqual(await other.readAll(), [record]);
  });
  contract('the largest (epochN, version) stands; the same may be written again', async (fixture) => {
    const ledger = fixture.ledger();
    await grantEpoch(fixture.leaseStore(), epochOf(5));
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
  contract('many writes at once: none is lost and the newest version of each stands', async (fixture) => {
    const [ledger, other] = [fixture.ledger(), fixture.ledger()];
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    const writes = Array.from({ length: 600 }, (_, index) => recordOf(`j${index % 200}`, { version: 1 + Math.floor(index / 200) }));
    const answers = await Promise.all(writes.map((record, index) => (index % 2 === 0 ? ledger : other).put(epochOf(1), record)));
    assert.ok(answers.every((answer) => answer === 'ok' || answer === 'old'));
    const all = await ledger.readAll();
    assert.equal(all.length, 200);
    assert.ok(all.every((record) => record.version === 3));
  });
  contract('a removed record is gone, and removing it again is no error', async (fixture) => {
    const ledger = fixture.ledger();
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    await ledger.put(epochOf(1), recordOf('a'));
    await ledger.put(epochOf(1), recordOf('b'));
    assert.equal(await ledger.remove(epochOf(1), 'a'), 'ok');
    assert.equal(await ledger.remove(epochOf(1), 'a'), 'ok');
    assert.deepEqual((await ledger.readAll()).map((record) => record.jobId), ['b']);
  });
}

function loss(contract: MastersContract): void {
  contract('after a loss of data all is stale until an epoch is installed', async (fixture) => {
    const [ledger, leases] = [fixture.ledger(), fixture.leaseStore()];
    await grantEpoch(leases, epochOf(4));
    await ledger.put(epochOf(4), recordOf('j'));
    for (let master = 0; master < fixture.masters; master++) await fixture.empty(master);
    assert.equal(await ledger.put(epochOf(4), recordOf('j', { version: 2 })), 'stale');
    assert.deepEqual(await ledger.readAll(), []);
    await grantEpoch(leases, epochOf(5, 'b'));
    assert.deepEqual(await ledger.readAll(), []);
    assert.equal(await ledger.put(epochOf(5, 'b'), recordOf('j', { version: 2 })), 'ok');
    assert.deepEqual((await ledger.readAll()).map((record) => record.version), [2]);
  });
  contract('silent masters: an error instead of a hang, and good again when they speak', async (fixture) => {
    const ledger = fixture.ledger();
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    await ledger.put(epochOf(1), recordOf('j'));
    for (let master = 0; master < fixture.masters; master++) await fixture.silence(master);
    await assert.rejects(ledger.put(epochOf(1), recordOf('j', { version: 2 })));
    await assert.rejects(ledger.readAll());
    await assert.rejects(ledger.remove(epochOf(1), 'j'));
    for (let master = 0; master < fixture.masters; master++) await fixture.speak(master);
    assert.equal(await ledger.put(epochOf(1), recordOf('j', { version: 3 })), 'ok');
    assert.deepEqual((await ledger.readAll()).map((record) => record.version), [3]);
  });
  contract('a closed ledger refuses instead of hanging', async (fixture) => {
    const [ledger, other] = [fixture.ledger(), fixture.ledger()];
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    await ledger.close();
    await assert.rejects(ledger.readAll());
    await assert.rejects(ledger.put(epochOf(1), recordOf('j')));
    assert.equal(await other.put(epochOf(1), recordOf('j')), 'ok');
  });
}

function severalMasters(contract: MastersContract): void {
  contract('written while one is silent, read while another one is', async (fixture) => {
    const [ledger, leases] = [fixture.ledger(), fixture.leaseStore()];
    await grantEpoch(leases, epochOf(1));
    await ledger.put(epochOf(1), recordOf('early'));
    await fixture.silence(0);
    assert.equal(await ledger.put(epochOf(1), recordOf('late')), 'ok');
    assert.equal(await ledger.put(epochOf(1), recordOf('early', { version: 2 })), 'ok');
    await fixture.speak(0);
    await fixture.silence(2);
    const records = await ledger.readAll();
    assert.deepEqual(records.map(({ jobId, version }) => `${jobId} ${version}`).sort(), ['early 2', 'late 1']);
    await fixture.speak(2);
  });
  contract('one loses its data: nothing is lost and writing goes on; a later epoch writes to all again', async (fixture) => {
    const [ledger, leases] = [fixture.ledger(), fixture.leaseStore()];
    await grantEpoch(leases, epochOf(1));
    await ledger.put(epochOf(1), recordOf('j'));
    await fixture.empty(1);
    assert.equal(await ledger.put(epochOf(1), recordOf('k')), 'ok');
    assert.deepEqual((await ledger.readAll()).map(({ jobId }) => jobId).sort(), ['j', 'k']);
    await grantEpoch(leases, epochOf(2, 'b'));
    for (const jobId of ['j', 'k']) assert.equal(await ledger.put(epochOf(2, 'b'), recordOf(jobId, { epochN: 2 })), 'ok');
    await fixture.silence(0);
    assert.deepEqual((await ledger.readAll()).map(({ jobId, epochN }) => `${jobId} ${epochN}`).sort(), ['j 2', 'k 2']);
    await fixture.speak(0);
  });
  contract('one has lost its data and another is silent: what is left may be too little, and is not taken for all', async (fixture) => {
    const ledger = fixture.ledger();
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    await fixture.silence(0);
    await ledger.put(epochOf(1), recordOf('j'));
    await fixture.empty(1);
    await assert.rejects(ledger.readAll());
    await fixture.speak(0);
    assert.deepEqual((await ledger.readAll()).map(({ jobId }) => jobId), ['j']);
  });
  contract('two lost their data: the epoch is not the installed one any more', async (fixture) => {
    const ledger = fixture.ledger();
    await grantEpoch(fixture.leaseStore(), epochOf(1));
    await fixture.empty(0);
    await fixture.empty(2);
    assert.equal(await ledger.put(epochOf(1), recordOf('j')), 'stale');
    assert.equal(await ledger.remove(epochOf(1), 'j'), 'stale');
  });
}
