import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, StopReason } from '@dmg/base';
import { type Connector, connectorErrors } from '@dmg/connector-api';
import { memoryConnector, type MemoryStore } from '@dmg/connector-testkit';
import type { AttemptOutcome, Job, Receipt } from '@dmg/model';
import fc from 'fast-check';
import { CopyFixture, csv, makeJob, receiptOf, semicolons, someBytes } from './testing/copy-fixture.ts';
import { crashingGate, gatedConnector, StepScheduler } from './testing/gated-connector.ts';

interface Case {
  readonly name: string;
  readonly job: Job;
  readonly sources: ReadonlyMap<string, Uint8Array>;
  /** By path below `out`. */
  readonly targets: ReadonlyMap<string, string>;
}

const rows = (from: number, to: number, delimiter = ','): string =>
  Array.from({ length: to - from }, (_, index) => `${from + index}${delimiter}n${from + index}\n`).join('');
const text = (content: string): Uint8Array => Buffer.from(content);
const asText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const noFinal = { finalTry: false };

const cases: readonly Case[] = [
  {
    name: 'binary files',
    job: makeJob({ job: noFinal }),
    sources: new Map([['a', someBytes(450, 1)], ['b', someBytes(30, 2)], ['c', new Uint8Array(0)]]),
    targets: new Map([['a', asText(someBytes(450, 1))], ['b', asText(someBytes(30, 2))], ['c', '']]),
  },
  {
    name: 'merged binary files',
    job: makeJob({ job: noFinal, copyBehavior: 'MergeFiles', sinkFile: 'all' }),
    sources: new Map([['a', someBytes(250, 1)], ['b', someBytes(200, 2)]]),
    targets: new Map([['all', asText(someBytes(250, 1)) + asText(someBytes(200, 2))]]),
  },
  {
    name: 'rows of two files',
    job: makeJob({ job: noFinal, sourceFormat: csv, sinkFormat: semicolons }),
    sources: new Map([['x.csv', text(`id,name\n${rows(0, 60)}`)], ['y.csv', text(`id,name\n${rows(60, 70)}`)]]),
    targets: new Map([['x.csv', `id;name\n${rows(0, 60, ';')}`], ['y.csv', `id;name\n${rows(60, 70, ';')}`]]),
  },
  {
    name: 'merged rows',
    job: makeJob({ job: noFinal, sourceFormat: csv, sinkFormat: semicolons, copyBehavior: 'MergeFiles', sinkFile: 'all.csv' }),
    sources: new Map([['x.csv', text(`id,name\n${rows(0, 40)}`)], ['y.csv', text(`id,name\n${rows(40, 70)}`)]]),
    targets: new Map([['all.csv', `id;name\n${rows(0, 70, ';')}`]]),
  },
];

/** What an attempt would plan by itself differs: other parts, other chunks. Only the plan that stands may count. */
function replanning(fixture: CopyFixture, attempt: number): Connector {
  return memoryConnector({ stores: fixture.stores, limits: { partBytes: 20 + 7 * attempt } });
}

/** Chunks of 160 bytes. */
function fixtureOf(given: Case, seed?: number): CopyFixture {
  const fixture = new CopyFixture({ limits: { partBytes: 20 }, ...(seed === undefined ? {} : { seed }) });
  for (const [path, bytes] of given.sources) fixture.source.put(`in/${path}`, bytes);
  return fixture;
}

/** Takes what is published away, as a consumer does who never rests. */
class Consumer {
  readonly taken = new Map<string, string>();

  take(store: MemoryStore): void {
    for (const [key, object] of store.objects) {
      const path = key.slice('out/'.length);
      assert.ok(!this.taken.has(path), `${path} came back`);
      this.taken.set(path, asText(object.bytes));
      store.delete(key);
    }
  }

  check(given: Case): void {
    assert.deepEqual(Object.fromEntries(this.taken), Object.fromEntries(given.targets));
  }
}

const crashArbitrary = fc.record({ at: fc.integer({ min: 1, max: 60 }), mode: fc.constantFrom('before' as const, 'after' as const) });
const crashed = (): Error => connectorErrors.NO_SPACE.create({ path: 'x', store: 'crashed' });
const comparable = (receipt: Receipt): unknown => ({
  ...receipt, attempts: [], finishedBy: undefined, finishedAt: undefined, digest: undefined,
});

interface Crash {
  readonly given: Case;
  readonly connector: Connector;
  readonly at: number;
  readonly mode: 'before' | 'after';
}

function crash(fixture: CopyFixture, options: Crash): Promise<AttemptOutcome> {
  const { gate } = crashingGate(options.at, options.mode, crashed);
  return fixture.run(options.given.job, { connectors: new Map([['memory', gatedConnector(options.connector, gate)]]) });
}

for (const given of cases) {
  test(`${given.name}: a crash at any call, before or after its effect, loses and doubles nothing`, async () => {
    const oneShot = fixtureOf(given);
    const counting = crashingGate(Infinity, 'before', crashed);
    const connectors = new Map([['memory', gatedConnector(oneShot.connector, counting.gate)]]);
    const expected = receiptOf(await oneShot.run(given.job, { connectors }));
    const total = counting.calls();
    assert.ok(total > 20);
    let interrupted = 0;
    for (let at = 1; at <= total; at++) {
      for (const mode of ['before', 'after'] as const) {
        const fixture = fixtureOf(given);
        const consumer = new Consumer();
        const first = await crash(fixture, { given, connector: fixture.connector, at, mode });
        if (first.kind === 'failed') {
          interrupted++;
          assert.equal(first.sink, 'open');
        }
        consumer.take(fixture.sink);
        const receipt = receiptOf(await fixture.run(given.job));
        consumer.take(fixture.sink);
        consumer.check(given);
        assert.equal(fixture.sink.publications.length, given.targets.size);
        assert.deepEqual(comparable(receipt), comparable(expected), `crash ${mode} call ${at}`);
      }
    }
    // A one-shot run in parallel need not make its calls in the same number; all but the very last ones must have interrupted it.
    assert.ok(interrupted >= 2 * total - 4, `${interrupted} of ${2 * total} crashes interrupted the copy`);
  });

  test(`${given.name}: any number of crashed attempts before one that ends`, async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(crashArbitrary, { maxLength: 5 }),
      async (crashes) => {
        const fixture = fixtureOf(given);
        const consumer = new Consumer();
        for (const [attempt, { at, mode }] of crashes.entries()) {
          await crash(fixture, { given, connector: replanning(fixture, attempt + 1), at, mode });
          consumer.take(fixture.sink);
        }
        receiptOf(await fixture.run(given.job));
        consumer.take(fixture.sink);
        consumer.check(given);
      },
    ), { numRuns: 40 });
  });

  test(`${given.name}: attempts at once, in any interleaving, are one copy with one receipt`, async () => {
    await fc.assert(fc.asyncProperty(fc.nat(), fc.integer({ min: 2, max: 3 }), async (seed, attempts) => {
      const fixture = fixtureOf(given, seed);
      const scheduler = new StepScheduler(seededRandom(seed).unit);
      const running = Promise.all(Array.from({ length: attempts }, (_, attempt) =>
        fixture.run(given.job, { connectors: new Map([['memory', gatedConnector(replanning(fixture, attempt), scheduler.gate)]]) })));
      await scheduler.drive(running);
      const receipts = (await running).map(receiptOf);
      for (const receipt of receipts) assert.deepEqual(receipt, receipts[0]);
      const consumer = new Consumer();
      consumer.take(fixture.sink);
      consumer.check(given);
      assert.equal(fixture.sink.publications.length, given.targets.size);
      assert.equal(fixture.openHandles, 0);
    }), { numRuns: 25 });
  });

  test(`${given.name}: cancelled at any moment beside another attempt, it ends whole or with nothing`, async () => {
    const ends = new Set<string>();
    await fc.assert(fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 150 }), async (seed, cancelAt) => {
      const fixture = fixtureOf(given, seed);
      const scheduler = new StepScheduler(seededRandom(seed).unit);
      const controller = new AbortController();
      let calls = 0;
      const connectors = new Map([['memory', gatedConnector(fixture.connector, (call, work) => {
        if (++calls === cancelAt) controller.abort(new StopReason('cancelled'));
        return scheduler.gate(call, work);
      })]]);
      const running = Promise.all([
        fixture.run(given.job, { connectors, signal: controller.signal }),
        fixture.run(given.job, { connectors }),
      ]);
      await scheduler.drive(running);
      const outcomes = await running;
      ends.add(outcomes[0].kind);
      assert.equal(outcomes[0].kind, outcomes[1].kind);
      const { phase } = fixture.sink.job(given.job.jobId);
      if (outcomes[0].kind === 'succeeded') {
        assert.equal(phase, 'done');
        const consumer = new Consumer();
        consumer.take(fixture.sink);
        consumer.check(given);
      } else {
        assert.deepEqual(outcomes, [{ kind: 'cancelled', sink: 'aborted' }, { kind: 'cancelled', sink: 'aborted' }]);
        assert.equal(phase, 'aborted');
        assert.equal(fixture.sink.objects.size, 0);
      }
    }), { numRuns: 25 });
    assert.ok(ends.has('cancelled'), 'no run was cancelled');
  });
}
