import assert from 'node:assert/strict';
import { hasCode } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { Mark, Plan } from '@dmg/model';
import {
  allMarks, assertBytes, bytesOf, codeOf, contentOf, copyAll, copyChunk, factsOf, patternBytes, planFor, prepared, receiptOf,
  type WantedTarget, writeParts,
} from './copying.ts';
import { attemptIdOf, type Bench, type ContractCheck } from './fixture.ts';

const two: readonly WantedTarget[] = [
  { path: 'out/one', chunks: [bytesOf('first chunk,'), bytesOf('second chunk')] },
  { path: 'out/two', chunks: [bytesOf('the only chunk')] },
];

async function assertContent(bench: Bench, wanted: readonly WantedTarget[]): Promise<void> {
  for (const target of wanted) {
    const found = await bench.fixture.get(target.path);
    assert.equal(found === undefined ? undefined : Buffer.from(found).toString(), Buffer.from(contentOf(target)).toString(), target.path);
  }
}

const closed = connectorErrors.JOB_CLOSED.code;

export const endChecks: readonly ContractCheck[] = [
  {
    name: 'of plans that race one stands, for everybody and for good',
    async run(bench) {
      const sinks = await Promise.all(['a', 'b', 'c', 'd'].map((attempt) => bench.sink(attempt)));
      const [first] = sinks;
      assert.ok(first !== undefined);
      const base = await planFor(bench, first, two);
      const standing = await Promise.all(
        sinks.map((sink, index) => sink.insertPlan({ ...base, activityDigest: `plan ${index}` }, bench.signal)),
      );
      for (const plan of standing) assert.deepEqual(plan, standing[0]);
      const later = await bench.sink('e');
      assert.deepEqual(await later.insertPlan({ ...base, activityDigest: 'later' }, bench.signal), standing[0]);
      assert.deepEqual(await later.state(bench.signal), { phase: 'open', plan: standing[0], receipt: undefined });
    },
  },
  {
    name: 'nothing is visible before finish, and finish wants every mark',
    async run(bench) {
      const sink = await bench.sink('a');
      const plan = await sink.insertPlan(await planFor(bench, sink, two), bench.signal);
      await copyChunk(sink, plan, { target: 0, chunk: 0 }, bytesOf('first chunk,'));
      await copyChunk(sink, plan, { target: 1, chunk: 0 }, bytesOf('the only chunk'));
      const error: unknown = await sink.finish(plan, receiptOf('a'), bench.signal).catch((reason: unknown) => reason);
      assert.ok(hasCode(error, connectorErrors.MARKS_MISSING.code), String(error));
      assert.deepEqual(await bench.fixture.paths(), []);
      assert.equal((await sink.state(bench.signal)).phase, 'open');
      await copyChunk(sink, plan, { target: 0, chunk: 1 }, bytesOf('second chunk'), 12);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      await assertContent(bench, two);
      assert.deepEqual((await bench.fixture.paths()).toSorted(), two.map(({ path }) => path));
    },
  },
  {
    name: 'finish without a plan publishes nothing',
    async run(bench) {
      const sink = await bench.sink('a');
      const plan = await planFor(bench, sink, two);
      assert.equal(await codeOf(sink.finish(plan, receiptOf('a'), bench.signal)), connectorErrors.MARKS_MISSING.code);
      assert.deepEqual(await bench.fixture.paths(), []);
    },
  },
  {
    name: 'sequential chunks count as an unbroken chain up to the end of the source',
    async run(bench) {
      const sink = await bench.sink('a');
      const [base] = await sink.bases(['seq'], bench.signal);
      const made = await planFor(bench, sink, []);
      const target = {
        target: 0, path: 'seq', base: base ?? '', sources: [{ path: 's', sizeBytes: 10, identity: 'i' }], cutting: {
          kind: 'sequential' as const, chunkBytes: 4,
        },
      };
      const plan = await sink.insertPlan({ ...made, targets: [target] }, bench.signal);
      await copyChunk(sink, plan, { target: 0, chunk: 0 }, bytesOf('aaaa'), 0);
      await copyChunk(sink, plan, { target: 0, chunk: 1 }, bytesOf('bbbb'), 4);
      assert.equal((await allMarks(sink, plan)).length, 2);
      assert.equal(await codeOf(sink.finish(plan, receiptOf('a'), bench.signal)), connectorErrors.MARKS_MISSING.code);
      await copyChunk(sink, plan, { target: 0, chunk: 2 }, bytesOf('cc'), 8);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      assert.equal(Buffer.from((await bench.fixture.get('seq')) ?? []).toString(), 'aaaabbbbcc');
    },
  },
  {
    name: 'finish again, by whomever, gives the receipt that stands',
    async run(bench) {
      const { sink, plan } = await prepared(bench, 'a', two);
      const first = receiptOf('a');
      assert.deepEqual(await sink.finish(plan, first, bench.signal), first);
      assert.deepEqual(await sink.finish(plan, receiptOf('other'), bench.signal), first);
      const other = await bench.sink('b');
      assert.deepEqual(await other.finish(plan, receiptOf('b'), bench.signal), first);
      const state = await other.state(bench.signal);
      assert.equal(state.phase, 'done');
      assert.deepEqual(state.receipt, first);
      await assertContent(bench, two);
      assert.equal(await bench.fixture.stagedBytes('job-1', two.map(({ path }) => path)), 0);
    },
  },
  {
    name: 'finishers at once agree on one receipt',
    async run(bench) {
      const { plan } = await prepared(bench, 'a', two);
      const sinks = await Promise.all(['b', 'c', 'd', 'e'].map((attempt) => bench.sink(attempt)));
      const receipts = await Promise.all(sinks.map((sink, index) => sink.finish(plan, receiptOf(`f${index}`), bench.signal)));
      for (const receipt of receipts) assert.deepEqual(receipt, receipts[0]);
      assert.deepEqual((await sinks[0]?.state(bench.signal))?.receipt, receipts[0]);
      await assertContent(bench, two);
    },
  },
  {
    name: 'after done nothing can begin, be marked or be aborted',
    async run(bench) {
      const { sink, plan } = await prepared(bench, 'a', two);
      const late = await bench.sink('b');
      const writer = await late.openChunk(plan, { target: 0, chunk: 0 }, bench.signal);
      const last = await writeParts(writer, bytesOf('late'), plan.partBytes);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      assert.equal(await codeOf(writer.mark(factsOf(bytesOf('late')), last, bench.signal)), closed);
      await writer.discard();
      assert.equal(await codeOf(late.insertPlan(plan, bench.signal)), closed);
      assert.equal(await codeOf(late.openChunk(plan, { target: 0, chunk: 0 }, bench.signal)), closed);
      assert.equal(await codeOf(allMarks(await bench.sink('c'), plan)), closed);
      const state = await late.abort(bench.signal);
      assert.equal(state.phase, 'done');
      assert.deepEqual(state.receipt, receiptOf('a'));
      await assertContent(bench, two);
    },
  },
  {
    name: 'after abort no late writer and no late finisher changes anything',
    async run(bench) {
      const { sink, plan } = await prepared(bench, 'a', two);
      const late = await bench.sink('b');
      const writer = await late.openChunk(plan, { target: 1, chunk: 0 }, bench.signal);
      const last = await writeParts(writer, bytesOf('late'), plan.partBytes);
      const aborter = await bench.sink('c');
      assert.equal((await aborter.abort(bench.signal)).phase, 'aborted');
      assert.equal(await codeOf(writer.mark(factsOf(bytesOf('late')), last, bench.signal)), closed);
      await writer.discard();
      assert.equal(await codeOf(sink.finish(plan, receiptOf('a'), bench.signal)), closed);
      assert.equal(await codeOf(late.insertPlan(plan, bench.signal)), closed);
      assert.equal(await codeOf(sink.openChunk(plan, { target: 0, chunk: 0 }, bench.signal)), closed);
      assert.deepEqual(await bench.fixture.paths(), []);
      assert.equal((await sink.state(bench.signal)).phase, 'aborted');
      assert.equal((await sink.abort(bench.signal)).phase, 'aborted');
      assert.equal((await (await bench.sink('d')).abort(bench.signal)).phase, 'aborted');
    },
  },
  {
    name: 'abort removes what was staged, and an existing target stays as it was',
    async run(bench) {
      await bench.fixture.put('out/two', bytesOf('older content'));
      const { sink } = await prepared(bench, 'a', two);
      const paths = two.map(({ path }) => path);
      assert.ok((await bench.fixture.stagedBytes('job-1', paths)) > 0, 'the fixture does not see staged bytes');
      await sink.abort(bench.signal);
      assert.deepEqual(await bench.fixture.paths(), ['out/two']);
      assert.equal(Buffer.from((await bench.fixture.get('out/two')) ?? []).toString(), 'older content');
      assert.equal(await bench.fixture.stagedBytes('job-1', ['out/one']), 0);
    },
  },
  {
    name: 'abort without a plan keeps a plan from ever coming',
    async run(bench) {
      const sink = await bench.sink('a');
      const plan = await planFor(bench, sink, two);
      assert.equal((await sink.abort(bench.signal)).phase, 'aborted');
      const late = await bench.sink('b');
      assert.equal(await codeOf(late.insertPlan(plan, bench.signal)), closed);
      assert.equal((await late.state(bench.signal)).phase, 'aborted');
      assert.equal(await codeOf(late.finish(plan, receiptOf('b'), bench.signal)), closed);
      assert.deepEqual(await bench.fixture.paths(), []);
    },
  },
  {
    name: 'abort and finish at once: one of them counts, and both say so',
    async run(bench) {
      const { sink, plan } = await prepared(bench, 'a', two);
      const aborter = await bench.sink('b');
      const [finished, aborted] = await Promise.all([
        sink.finish(plan, receiptOf('a'), bench.signal).then(
          () => 'done',
          (error: unknown) => (hasCode(error, closed) ? 'aborted' : String(error)),
        ),
        aborter.abort(bench.signal).then(({ phase }) => phase),
      ]);
      assert.equal(finished, aborted);
      assert.equal((await (await bench.sink('c')).state(bench.signal)).phase, aborted);
      if (aborted === 'done') await assertContent(bench, two);
      const before = (await bench.fixture.paths()).length;
      await sink.finish(plan, receiptOf('a'), bench.signal).catch(() => undefined);
      assert.equal((await bench.fixture.paths()).length, before);
    },
  },
  {
    name: 'an abort while targets are being published leaves all of them or none',
    async run(bench) {
      const wanted = Array.from(
        { length: 30 }, (_, index) => ({ path: `m/${String(index).padStart(2, '0')}`, chunks: [bytesOf(`content ${index}`)] }),
      );
      const { sink, plan } = await prepared(bench, 'a', wanted);
      const aborter = await bench.sink('b');
      let over = false;
      const finishing = sink.finish(plan, receiptOf('a'), bench.signal).then(
        () => 'done',
        (error: unknown) => (hasCode(error, closed) ? 'aborted' : String(error)),
      );
      void finishing.then(() => (over = true));
      while (!over && (await bench.fixture.paths()).length === 0) await new Promise((resolve) => setImmediate(resolve));
      const { phase } = await aborter.abort(bench.signal);
      const visible = (await bench.fixture.paths()).length;
      assert.equal(visible, phase === 'done' ? wanted.length : 0);
      assert.equal(await finishing, phase);
      assert.equal((await bench.fixture.paths()).length, visible);
    },
  },
  {
    name: 'what a consumer took away does not come back',
    async run(bench) {
      const { sink, plan } = await prepared(bench, 'a', two);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      for (const { path } of two) assert.notEqual(await bench.fixture.take(path), undefined);
      assert.deepEqual(await sink.finish(plan, receiptOf('x'), bench.signal), receiptOf('a'));
      const other = await bench.sink('b');
      assert.deepEqual(await other.finish(plan, receiptOf('b'), bench.signal), receiptOf('a'));
      assert.equal(await codeOf(other.insertPlan(plan, bench.signal)), closed);
      assert.equal((await other.abort(bench.signal)).phase, 'done');
      assert.deepEqual(await bench.fixture.paths(), []);
    },
  },
  {
    name: 'a finish that stops in the middle goes on where it stood, while a consumer takes everything away at once',
    async run(bench) {
      const wanted = Array.from(
        { length: 40 }, (_, index) => ({ path: `m/${String(index).padStart(2, '0')}`, chunks: [bytesOf(`content ${index}`)] }),
      );
      const { sink, plan } = await prepared(bench, 'a', wanted);
      const taken = new Map<string, number>();
      const takeAll = async (): Promise<void> => {
        for (const path of await bench.fixture.paths()) {
          const bytes = await bench.fixture.take(path);
          if (bytes === undefined) continue;
          taken.set(path, (taken.get(path) ?? 0) + 1);
          assert.equal(Buffer.from(bytes).toString(), `content ${Number(path.slice(2))}`);
        }
      };
      let receipt;
      for (let round = 0; round < 60 && receipt === undefined; round++) {
        const controller = new AbortController();
        const finisher = round === 0 ? sink : await bench.sink(`r${round}`);
        const finishing = finisher.finish(plan, receiptOf('a'), controller.signal).then(
          (result) => result,
          (error: unknown) => {
            if (error !== controller.signal.reason) throw error;
            return undefined;
          },
        );
        const seen = taken.size;
        let over = false;
        void finishing.then(
          () => (over = true),
          () => (over = true),
        );
        while (!over) {
          await takeAll();
          if (taken.size > seen && round < 20) controller.abort(new Error('the finisher is stopped'));
          await new Promise((resolve) => setImmediate(resolve));
        }
        receipt = await finishing;
        await takeAll();
      }
      assert.deepEqual(receipt, receiptOf('a'));
      assert.equal(taken.size, wanted.length);
      for (const [path, times] of taken) assert.equal(times, 1, path);
    },
  },
  {
    name: 'an existing target that nobody touched is replaced',
    async run(bench) {
      for (const { path } of two) await bench.fixture.put(path, bytesOf('older'));
      const { sink, plan } = await prepared(bench, 'a', two);
      assert.equal(Buffer.from((await bench.fixture.get('out/one')) ?? []).toString(), 'older');
      await sink.finish(plan, receiptOf('a'), bench.signal);
      await assertContent(bench, two);
    },
  },
  {
    name: 'a target that a stranger changed is left to him',
    async run(bench) {
      await bench.fixture.put('x', bytesOf('older'));
      for (const [index, path] of ['x', 'y'].entries()) {
        const wanted = [{ path, chunks: [bytesOf('ours')] }];
        const sink = await bench.sink('a', `job-${index}`);
        const plan = await sink.insertPlan(await planFor(bench, sink, wanted, { jobId: `job-${index}` }), bench.signal);
        await copyAll(sink, plan, wanted);
        await bench.fixture.put(path, bytesOf('a stranger'));
        assert.equal(await codeOf(sink.finish(plan, receiptOf('a'), bench.signal)), connectorErrors.TARGET_CHANGED.code);
        assert.equal(Buffer.from((await bench.fixture.get(path)) ?? []).toString(), 'a stranger');
        assert.equal((await sink.abort(bench.signal)).phase, 'aborted');
        assert.equal(Buffer.from((await bench.fixture.get(path)) ?? []).toString(), 'a stranger');
      }
    },
  },
  {
    name: 'an attempt that died is resumed by another one from its marks',
    async run(bench) {
      const wanted = [{ path: 'x', chunks: [patternBytes(3000, 1), patternBytes(2000, 2), patternBytes(1000, 3)] }];
      const dead = await bench.sink('dead');
      const plan = await dead.insertPlan(await planFor(bench, dead, wanted), bench.signal);
      await copyChunk(dead, plan, { target: 0, chunk: 1 }, patternBytes(2000, 2), 3000);
      const unfinished = await dead.openChunk(plan, { target: 0, chunk: 2 }, bench.signal);
      await writeParts(unfinished, patternBytes(1000, 3), plan.partBytes);
      const next = await bench.sink('next');
      const found = await next.state(bench.signal);
      assert.deepEqual(found.plan, plan);
      const present = await allMarks(next, found.plan as Plan);
      assert.deepEqual(present.map(({ chunk, attemptId }: Mark) => [chunk, attemptId]), [[1, attemptIdOf('dead')]]);
      await copyChunk(next, plan, { target: 0, chunk: 0 }, patternBytes(3000, 1), 0);
      await copyChunk(next, plan, { target: 0, chunk: 2 }, patternBytes(1000, 3), 5000);
      await next.finish(plan, receiptOf('next'), bench.signal);
      assertBytes(await bench.fixture.get('x'), Buffer.concat(wanted.map(contentOf)), 'x');
      await unfinished.discard();
    },
  },
  {
    name: 'jobs of one store do not touch each other',
    async run(bench) {
      const one = await bench.sink('a', 'job-a');
      const other = await bench.sink('a', 'job-b');
      const plans = await Promise.all(
        [one, other].map(async (sink, index) => {
          const wanted = [{ path: `x${index}`, chunks: [bytesOf(`job ${index}`)] }];
          const plan = await sink.insertPlan(await planFor(bench, sink, wanted, { jobId: index === 0 ? 'job-a' : 'job-b' }), bench.signal);
          await copyAll(sink, plan, wanted);
          return plan;
        }),
      );
      await one.abort(bench.signal);
      assert.ok(plans[1] !== undefined);
      await other.finish(plans[1], receiptOf('b'), bench.signal);
      assert.deepEqual(await bench.fixture.paths(), ['x1']);
    },
  },
];
