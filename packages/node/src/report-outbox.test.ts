import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { baseErrors, ManualClock, silentLogger, systemRandom } from '@dmg/base';
import type { JobReport } from '@dmg/model';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { nodeErrors } from './errors.ts';
import { NodeState } from './node-state.ts';
import { ReportOutbox } from './report-outbox.ts';

function reportOf(jobId: string): JobReport {
  const at = new Date(0).toISOString();
  return { jobId, tryNumber: 1, attemptId: 'a', nodeName: 'n', outcome: { kind: 'stopped' }, startedAt: at, endedAt: at };
}

const unavailable = (): Error => baseErrors.DEADLINE.create({ what: 'report', limitMs: 1 });
/** A control plane that answers when it is told to, and what it was asked. */
class Desk {
  readonly asked: string[][] = [];
  /** Undefined: it takes them. */
  answer: (jobIds: readonly string[]) => Error | undefined = () => undefined;
  /** Set: requests wait for it. */
  gate: Promise<void> | undefined;

  async report(reports: readonly JobReport[]): Promise<void> {
    const jobIds = reports.map(({ jobId }) => jobId);
    this.asked.push(jobIds);
    await this.gate;
    const error = this.answer(jobIds);
    if (error !== undefined) throw error;
  }

  deadLettered(): Promise<void> {
    return Promise.resolve();
  }

  signedJob(): Promise<string> {
    return Promise.resolve('');
  }
}

async function outboxAt(
  t: TestContext,
): Promise<{ desk: Desk; state: NodeState; clock: ManualClock; outbox: ReportOutbox; folder: string }> {
  const folder = await tempDir(t);
  const [desk, state, clock] = [new Desk(), await NodeState.open(folder), new ManualClock()];
  const outbox = new ReportOutbox({ client: desk, state, clock, random: systemRandom, logger: silentLogger });
  t.after(() => outbox.stop());
  return { desk, state, clock, outbox, folder };
}

async function kept(state: NodeState): Promise<string[]> {
  const pending = await state.pendingReports<readonly JobReport[]>();
  return pending.flatMap(({ report }) => report.map(({ jobId }) => jobId)).sort();
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 2000; round++) {
    if (await isSo()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`${what} did not come about`);
}

test('a report is on disk before it is sent, and goes when it is acknowledged; what comes meanwhile goes together', async (t) => {
  const { desk, state, outbox } = await outboxAt(t);
  const open = Promise.withResolvers<void>();
  desk.gate = open.promise;
  const first = outbox.report(reportOf('job-0'));
  await until('the first request', () => desk.asked.length === 1);
  assert.deepEqual(await kept(state), ['job-0']);
  const others = Array.from({ length: 9 }, (_, index) => outbox.report(reportOf(`job-${index + 1}`)));
  await until('all on disk', async () => (await kept(state)).length === 10);
  assert.equal(desk.asked.length, 1, 'one request at a time');
  open.resolve();
  await Promise.all([first, ...others]);
  assert.deepEqual(desk.asked.map((jobIds) => jobIds.length), [1, 9]);
  await until('nothing is kept', async () => (await kept(state)).length === 0);
});

test('while the control plane is away all is kept, and delivered when contact is back', async (t) => {
  const { desk, state, outbox } = await outboxAt(t);
  desk.answer = unavailable;
  const reported = ['a', 'b', 'c'].map((jobId) => outbox.report(reportOf(jobId)));
  await until('all on disk', async () => (await kept(state)).length === 3);
  await until('a repetition', () => desk.asked.length >= 3);
  desk.answer = () => undefined;
  outbox.contactRestored();
  await until('nothing is kept', async () => {
    outbox.contactRestored();
    return (await kept(state)).length === 0;
  });
  await Promise.all(reported);
});

test('a report that the control plane refuses keeps no other one back', async (t) => {
  const { desk, state, outbox } = await outboxAt(t);
  desk.answer = (jobIds) => (jobIds.includes('bad') ? nodeErrors.NOT_REGISTERED.create() : undefined);
  const bad = outbox.report(reportOf('bad'));
  const good = ['a', 'b'].map((jobId) => outbox.report(reportOf(jobId)));
  await Promise.all(good);
  await until('only the bad one waits', async () => (await kept(state)).includes('bad'));
  outbox.stop();
  await assert.rejects(bad);
});

test('what a former process kept is delivered, also from files with one report', async (t) => {
  const { desk, state, folder, clock } = await outboxAt(t);
  await state.keepReport('old.json', reportOf('old'));
  await state.keepReport('new.json', [reportOf('new-1'), reportOf('new-2')]);
  const next = new ReportOutbox({
    client: desk, state: await NodeState.open(folder), clock, random: systemRandom, logger: silentLogger,
  });
  t.after(() => next.stop());
  assert.equal(await next.resume(), 3);
  await until('nothing is left', async () => (await state.pendingReports()).length === 0);
  assert.deepEqual(desk.asked.flat().sort(), ['new-1', 'new-2', 'old']);
});
