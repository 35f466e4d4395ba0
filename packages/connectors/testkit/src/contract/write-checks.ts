import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { StopReason } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import {
  allMarks, assertBytes, bytesOf, codeOf, contentOf, copyAll, copyChunk, factsOf, listAll, patternBytes, planFor, prepared, readAll,
  receiptOf, type WantedTarget,
  writeParts,
} from './copying.ts';
import { attemptIdOf, type ContractCheck } from './fixture.ts';

const hostileNames = [
  'with space.csv', ' lead', 'trail ', 'ümläut €.csv', '😀 emoji 👩‍👩‍👧.bin', "quote'\"`.txt", 'percent%20%2F.txt',
  'plus+and&amp;.txt', 'hash#query?x=1.txt',
  'brace{a}[b](c).txt', 'semi;colon,comma=.txt', '$HOME and ~', '-rf', 'dots...txt',
  'naïve\u0301 vs nai\u0308ve', `${'n'.repeat(251)}.txt`, 'deep/er/and/deeper/x',
];

export const writeChecks: readonly ContractCheck[] = [
  {
    name: 'a job that was never here has phase none, and limits make sense',
    async run(bench) {
      const sink = await bench.sink('a');
      assert.deepEqual(await sink.state(bench.signal), { phase: 'none', plan: undefined, receipt: undefined });
      assert.ok(sink.limits.partBytes > 0 && sink.limits.partBytes <= sink.limits.partBytesMax);
      assert.ok(sink.limits.partsPerTargetMax >= sink.limits.chunksPerTargetMax && sink.limits.parallelParts > 0);
      assert.equal(sink.atomicPublish, bench.fixture.connector.spec.atomicPublish);
    },
  },
  {
    name: 'every size arrives byte for byte: empty, one byte, whole parts, a byte more, several chunks',
    async run(bench) {
      const { partBytes } = bench.fixture;
      const sizes = [
        [], [0], [1], [partBytes - 1], [partBytes], [partBytes + 1], [3 * partBytes], [partBytes, 1, 2 * partBytes + 5], [0, 3], [3, 0],
      ];
      const wanted: WantedTarget[] = sizes.map((chunks, index) => ({
        path: `out/size-${chunks.join('-')}`, chunks: chunks.map((size, chunk) => patternBytes(size, index * 10 + chunk)),
      }));
      const { sink, plan } = await prepared(bench, 'a', wanted);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      for (const target of wanted) {
        assertBytes(await bench.fixture.get(target.path), contentOf(target), target.path);
      }
    },
  },
  {
    name: 'trailing zeros, spaces and line ends are kept',
    async run(bench) {
      const wanted = ['a\n', 'a\r\n\r\n', 'a \t ', 'a\0\0\0', '\0', ' ', '\ufeffa'].map(
        (text, index) => ({ path: `t${index}`, chunks: [bytesOf(text)] }),
      );
      const { sink, plan } = await prepared(bench, 'a', wanted);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      for (const target of wanted) assertBytes(await bench.fixture.get(target.path), contentOf(target), target.path);
    },
  },
  {
    name: 'a target whose file was skipped is not published, whatever else of it is marked, and no later attempt decides otherwise',
    async run(bench) {
      const wanted = ['new', 'other', 'whole'].map((path) => ({ path, chunks: [bytesOf(`${path} one`), bytesOf(`${path} two`)] }));
      await bench.fixture.put('other', bytesOf('as it was'));
      const sink = await bench.sink('a');
      const plan = await sink.insertPlan(await planFor(bench, sink, wanted), bench.signal);
      for (const target of [0, 1]) {
        await copyChunk(sink, plan, { target, chunk: 0 }, wanted[target]?.chunks[0] ?? bytesOf(''));
        const writer = await sink.openChunk(plan, { target, chunk: 1 }, bench.signal);
        const sourceStart = wanted[target]?.chunks[0]?.length ?? 0;
        const sourceEnd = contentOf(wanted[target] ?? { path: '', chunks: [] }).length;
        const facts = { bytes: 0, rows: 0, hash: '0'.repeat(16), sourceStart, sourceEnd, fileSkipped: 'changed' as const };
        assert.equal(await writer.mark(facts, { part: 0, bytes: bytesOf('') }, bench.signal), 'marked');
      }
      const later = await bench.sink('b');
      for (const [target, { chunks }] of wanted.entries()) {
        for (const [chunk, bytes] of chunks.entries()) {
          await copyChunk(later, plan, { target, chunk }, bytes, chunk === 0 ? 0 : chunks[0]?.length ?? 0);
        }
      }
      const marks = await allMarks(later, plan);
      assert.deepEqual(marks.map((mark) => mark.fileSkipped), [undefined, 'changed', undefined, 'changed', undefined, undefined]);
      await later.finish(plan, { ...receiptOf('b'), filesSkipped: 2 }, bench.signal);
      assert.deepEqual((await bench.fixture.paths()).toSorted(), ['other', 'whole']);
      assertBytes(await bench.fixture.get('other'), bytesOf('as it was'), 'other');
      assert.equal((await sink.finish(plan, receiptOf('a'), bench.signal)).filesSkipped, 2);
    },
  },
  {
    name: 'what waits to be published can be read again, as one, where the sink offers it',
    async run(bench) {
      const { partBytes } = bench.fixture;
      const wanted = [[], [5], [partBytes + 3, 7, 0]].map((chunks, index) => ({
        path: `staged-${index}`, chunks: (chunks.length === 0 ? [0] : chunks).map((size, chunk) => patternBytes(size, index * 10 + chunk)),
      }));
      const { sink, plan } = await prepared(bench, 'a', wanted);
      if (sink.openStaged === undefined) return;
      const reader = await bench.sink('b');
      for (const target of plan.targets) {
        const staged = await reader.openStaged?.(plan, target, bench.signal);
        assert.ok(staged !== undefined);
        const expected = contentOf(wanted[target.target] ?? { path: '', chunks: [] });
        const found = new Uint8Array(expected.length + 10);
        let count = 0;
        for (let read = -1; read !== 0; count += read) read = await staged.read(count, found.subarray(count, count + 1000), bench.signal);
        assertBytes(found.subarray(0, count), expected, target.path);
        await staged.close();
      }
      assert.deepEqual(await bench.fixture.paths(), []);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      for (const target of wanted) assertBytes(await bench.fixture.get(target.path), contentOf(target), target.path);
      const [first] = plan.targets;
      assert.ok(first !== undefined);
      assert.equal(await (await bench.sink('c')).openStaged?.(plan, first, bench.signal), undefined);
    },
  },
  {
    name: 'hostile names come through sink and source unchanged',
    async run(bench) {
      const wanted = hostileNames.map((name) => ({ path: `n/${name}`, chunks: [bytesOf(name)] }));
      const { sink, plan } = await prepared(bench, 'a', wanted);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      assert.deepEqual((await bench.fixture.paths()).toSorted(), wanted.map(({ path }) => path).toSorted());
      const source = await bench.source({ folderPath: 'n' }, { recursive: true });
      const objects = await listAll(source);
      assert.deepEqual(objects.map(({ path }) => path).toSorted(), hostileNames.toSorted());
      for (const object of objects) assert.equal(Buffer.from(await readAll(source, object)).toString(), object.path);
    },
  },
  {
    name: 'chunks of one target by several attempts at once, parts in parallel',
    async run(bench) {
      const wanted = [
        { path: 'big', chunks: Array.from({ length: 6 }, (_, index) => patternBytes(bench.fixture.partBytes * 3 + index, index)) }
      ];
      const first = await bench.sink('a');
      const plan = await first.insertPlan(await planFor(bench, first, wanted), bench.signal);
      const starts = wanted[0]?.chunks.map(
        (_, index) => wanted[0]?.chunks.slice(0, index).reduce((sum, bytes) => sum + bytes.length, 0) ?? 0,
      ) ?? [];
      await Promise.all(
        ['a', 'b', 'c'].map(async (attempt, index) => {
          const sink = await bench.sink(attempt);
          for (const chunk of [index * 2 + 1, index * 2]) {
            assert.equal(
              await copyChunk(sink, plan, { target: 0, chunk }, wanted[0]?.chunks[chunk] ?? new Uint8Array(), starts[chunk]), 'marked',
            );
          }
        }),
      );
      await first.finish(plan, receiptOf('a'), bench.signal);
      assertBytes(await bench.fixture.get('big'), Buffer.concat(wanted.map(contentOf)), 'big');
    },
  },
  {
    name: 'marks tell what was written and by whom; parts without a mark do not count',
    async run(bench) {
      const wanted = [{ path: 'x', chunks: [patternBytes(bench.fixture.partBytes + 3, 1), patternBytes(5, 2), patternBytes(0, 3)] }];
      const sink = await bench.sink('a');
      const plan = await sink.insertPlan(await planFor(bench, sink, wanted), bench.signal);
      assert.deepEqual(await allMarks(sink, plan), []);
      const writer = await sink.openChunk(plan, { target: 0, chunk: 0 }, bench.signal);
      const last = await writeParts(writer, wanted[0]?.chunks[0] ?? new Uint8Array(), plan.partBytes);
      assert.deepEqual(await allMarks(sink, plan), []);
      const large = {
        ...factsOf(wanted[0]?.chunks[0] ?? new Uint8Array()), rows: 2 ** 39 + 1, rowsSkipped: 2 ** 38 + 1,
        sourceStart: 2 ** 41 + 3, sourceEnd: 2 ** 42 + 5,
      };
      assert.equal(await writer.mark(large, last, bench.signal), 'marked');
      const small = factsOf(wanted[0]?.chunks[1] ?? new Uint8Array(), 7);
      await copyChunk(sink, plan, { target: 0, chunk: 1 }, wanted[0]?.chunks[1] ?? new Uint8Array(), 7);
      await copyChunk(sink, plan, { target: 0, chunk: 2 }, new Uint8Array(), 12);
      const expected = [large, small, factsOf(new Uint8Array(), 12)];
      const attemptId = attemptIdOf('a');
      assert.deepEqual(
        await allMarks(await bench.sink('b'), plan), expected.map((facts, chunk) => ({ target: 0, chunk, attemptId, ...facts })),
      );
    },
  },
  {
    name: 'the second writer of a chunk is told so, and the first one counts',
    async run(bench) {
      const wanted = [{ path: 'x', chunks: [patternBytes(bench.fixture.partBytes * 2, 1), bytesOf('end')] }];
      const first = await bench.sink('z');
      const second = await bench.sink('a');
      const plan = await first.insertPlan(await planFor(bench, first, wanted), bench.signal);
      const other = patternBytes(bench.fixture.partBytes * 2, 99);
      const writer = await second.openChunk(plan, { target: 0, chunk: 0 }, bench.signal);
      const last = await writeParts(writer, other, plan.partBytes);
      assert.equal(await copyChunk(first, plan, { target: 0, chunk: 0 }, wanted[0]?.chunks[0] ?? new Uint8Array()), 'marked');
      assert.equal(await writer.mark(factsOf(other), last, bench.signal), 'already');
      assert.deepEqual((await allMarks(second, plan)).map(({ attemptId }) => attemptId), [attemptIdOf('z')]);
      await copyAll(second, plan, wanted);
      await second.finish(plan, receiptOf('a'), bench.signal);
      assertBytes(await bench.fixture.get('x'), Buffer.concat(wanted.map(contentOf)), 'x');
    },
  },
  {
    name: 'of writers that race for a chunk one counts, whole',
    async run(bench) {
      const { partBytes } = bench.fixture;
      const sinks = await Promise.all(['a', 'b', 'c', 'd'].map((attempt) => bench.sink(attempt)));
      const contents = sinks.map((_, index) => patternBytes(partBytes * 2 + 9, index + 1));
      const [first] = sinks;
      assert.ok(first !== undefined);
      const plan = await first.insertPlan(
        await planFor(bench, first, [{ path: 'x', chunks: [contents[0] ?? new Uint8Array()] }]), bench.signal,
      );
      const outcomes = await Promise.all(
        sinks.map((sink, index) => copyChunk(sink, plan, { target: 0, chunk: 0 }, contents[index] ?? new Uint8Array())),
      );
      assert.ok(outcomes.includes('marked'));
      assert.equal((await allMarks(first, plan)).length, 1);
      await first.finish(plan, receiptOf('a'), bench.signal);
      const published = Buffer.from((await bench.fixture.get('x')) ?? []);
      assert.ok(contents.some((content) => published.equals(content)), 'the target mixes writers');
    },
  },
  {
    name: 'the same attempt may mark a chunk again after an unknown outcome',
    async run(bench) {
      const wanted = [{ path: 'x', chunks: [patternBytes(bench.fixture.partBytes + 1, 1)] }];
      const { sink, plan } = await prepared(bench, 'a', wanted);
      await copyAll(sink, plan, wanted);
      assert.equal((await allMarks(sink, plan)).length, 1);
      await sink.finish(plan, receiptOf('a'), bench.signal);
      assertBytes(await bench.fixture.get('x'), Buffer.concat(wanted.map(contentOf)), 'x');
    },
  },
  {
    name: 'a chunk that was given up has no mark and can be written by another attempt',
    async run(bench) {
      const wanted = [{ path: 'x', chunks: [patternBytes(bench.fixture.partBytes * 2, 1)] }];
      const sink = await bench.sink('a');
      const plan = await sink.insertPlan(await planFor(bench, sink, wanted), bench.signal);
      const writer = await sink.openChunk(plan, { target: 0, chunk: 0 }, bench.signal);
      await writer.writePart(0, patternBytes(plan.partBytes, 77), bench.signal);
      await writer.discard();
      await writer.discard();
      assert.deepEqual(await allMarks(sink, plan), []);
      const other = await bench.sink('b');
      await copyAll(other, plan, wanted);
      await other.finish(plan, receiptOf('b'), bench.signal);
      assertBytes(await bench.fixture.get('x'), Buffer.concat(wanted.map(contentOf)), 'x');
    },
  },
  {
    name: 'a cancelled write rejects with the reason; closing the sink frees what it held and leaves nothing visible',
    async run(bench) {
      const wanted = [{ path: 'x', chunks: [patternBytes(bench.fixture.partBytes * 2, 1)] }];
      const sink = await bench.sink('a');
      const plan = await sink.insertPlan(await planFor(bench, sink, wanted), bench.signal);
      const writer = await sink.openChunk(plan, { target: 0, chunk: 0 }, bench.signal);
      const controller = new AbortController();
      const reason = new StopReason('cancelled');
      const writing = writer.writePart(0, patternBytes(plan.partBytes, 1), controller.signal).then(
        () => undefined,
        (error: unknown) => error,
      );
      controller.abort(reason);
      const outcome = await writing;
      assert.ok(outcome === undefined || outcome === reason, `rejected with ${inspect(outcome)}`);
      const last = { part: 0, bytes: bytesOf('x') };
      await assert.rejects(writer.writePart(0, patternBytes(plan.partBytes, 1), controller.signal), (error) => error === reason);
      await assert.rejects(writer.mark(factsOf(bytesOf('x')), last, controller.signal), (error) => error === reason);
      await assert.rejects(sink.openChunk(plan, { target: 0, chunk: 0 }, controller.signal), (error) => error === reason);
      await assert.rejects(sink.finish(plan, receiptOf('a'), controller.signal), (error) => error === reason);
      assert.deepEqual(await allMarks(sink, plan), []);
      await bench.close();
      await sink.close();
      assert.equal(await bench.fixture.openHandles(), 0);
      assert.deepEqual(await bench.fixture.paths(), []);
    },
  },
  {
    name: 'a folder that stands in the way of a target is refused when the plan is made',
    async run(bench) {
      if (!bench.fixture.hasFolders) return;
      await bench.fixture.put('out/x/inner', bytesOf('1'));
      const sink = await bench.sink('a');
      assert.equal(await codeOf(sink.bases(['out/x'], bench.signal)), connectorErrors.TARGET_BLOCKED.code);
      assert.equal(await codeOf(sink.bases(['out/x/inner/y'], bench.signal)), connectorErrors.TARGET_BLOCKED.code);
    },
  },
];
