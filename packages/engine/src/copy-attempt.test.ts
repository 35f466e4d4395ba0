import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectorErrors } from '@dmg/connector-api';
import type { AttemptProgress } from '@dmg/model';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, csv, csvTable, makeJob, receiptOf, someBytes, unreachable } from './testing/copy-fixture.ts';

test('files are copied byte for byte, the empty one too, and the receipt counts them', async () => {
  const fixture = new CopyFixture();
  const large = someBytes(40_000, 1);
  fixture.source.put('in/large', large);
  fixture.source.put('in/sub/small', 'hello');
  fixture.source.put('in/empty', '');
  const seen: AttemptProgress[] = [];
  const outcome = await fixture.run(makeJob(), { onProgress: (progress) => seen.push(progress) });
  const receipt = receiptOf(outcome);
  assert.deepEqual(Buffer.from(fixture.sink.get('out/large') ?? []), Buffer.from(large));
  assert.equal(Buffer.from(fixture.sink.get('out/sub/small') ?? []).toString(), 'hello');
  assert.equal(fixture.sink.get('out/empty')?.length, 0);
  assert.equal(fixture.sink.publications.length, 3);
  const { filesRead, filesWritten, bytesRead, bytesWritten, chunks, guarantee, verification } = receipt;
  assert.deepEqual({ filesRead, filesWritten, bytesRead, bytesWritten, chunks, guarantee, verification }, {
    filesRead: 3, filesWritten: 3, bytesRead: 40_005, bytesWritten: 40_005, chunks: 7,
    guarantee: 'exactlyOnce', verification: 'acknowledged',
  });
  assert.equal(receipt.finishedBy.nodeName, 'node1');
  const last = seen.at(-1);
  assert.deepEqual(
    { step: last?.step, total: last?.bytesTotal, read: last?.bytesRead, written: last?.bytesWritten, files: last?.filesWritten },
    { step: 'finish', total: 40_005, read: 40_005, written: 40_005, files: 3 },
  );
  assert.ok(seen.every((progress) => progress.bytesRead <= progress.bytesTotal));
  assert.equal(fixture.openHandles, 0);
});

test('an empty folder succeeds with nothing', async () => {
  const fixture = new CopyFixture();
  const receipt = receiptOf(await fixture.run(makeJob()));
  assert.deepEqual([receipt.filesWritten, receipt.chunks, receipt.bytesWritten], [0, 0, 0]);
  assert.equal(fixture.sink.objects.size, 0);
});

test('one named file takes the name of the sink', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  fixture.source.put('in/b', 'bbb');
  receiptOf(await fixture.run(makeJob({ sourceFile: 'b', sinkFile: 'c' })));
  assert.deepEqual([...fixture.sink.objects.keys()], ['out/c']);
});

test('binary files merge in order', async () => {
  const fixture = new CopyFixture();
  const pieces = [someBytes(9_000, 1), new Uint8Array(0), someBytes(20_000, 2)];
  for (const [index, piece] of pieces.entries()) fixture.source.put(`in/${index}`, piece);
  receiptOf(await fixture.run(makeJob({ copyBehavior: 'MergeFiles', sinkFile: 'all' })));
  assert.deepEqual(Buffer.from(fixture.sink.get('out/all') ?? []), Buffer.concat(pieces));
});

test('configuration errors fail at once, and close the sink when the try is the last', async () => {
  const fixture = new CopyFixture();
  const calls: string[] = [];
  fixture.source.intercept = (call) => {
    calls.push(call);
  };
  const missing = makeJob({ sourceFile: 'nothing' });
  const last = await fixture.run({ ...missing, jobId: 'last' });
  assert.equal(codeOf(last), connectorErrors.SOURCE_NOT_FOUND.code);
  assert.equal(last.kind === 'failed' && last.sink, 'aborted');
  assert.equal(fixture.sink.job('last').phase, 'aborted');
  assert.equal(calls.filter((call) => call === 'list').length, 1);
  const first = await fixture.run({ ...missing, jobId: 'first', finalTry: false });
  assert.equal(first.kind === 'failed' && first.sink, 'open');
  assert.equal(fixture.sink.job('first').phase, 'none');
  assert.equal(fixture.openHandles, 0);
});

test('unusable ends are named', async () => {
  const fixture = new CopyFixture();
  assert.equal(codeOf(await fixture.run(makeJob(), { connectors: new Map() })), engineErrors.CONNECTOR_UNKNOWN.code);
  const sourceOnly = { ...fixture.connector, spec: { ...fixture.connector.spec, sink: false } };
  assert.equal(codeOf(await fixture.run(makeJob(), { connectors: new Map([['memory', sourceOnly]]) })), engineErrors.NOT_A_SIDE.code);
  const denied = await fixture.run(makeJob(), { secrets: { source: new Map([['key', 'wrong']]), sink: new Map() } });
  assert.equal(codeOf(denied), connectorErrors.ACCESS_DENIED.code);
});

test('more sources than the sink takes pieces are not merged', async () => {
  const fixture = new CopyFixture({ limits: { chunksPerTargetMax: 2 } });
  for (const name of ['a', 'b', 'c']) fixture.source.put(`in/${name}`, name);
  assert.equal(codeOf(await fixture.run(makeJob({ copyBehavior: 'MergeFiles', sinkFile: 'all' }))), engineErrors.TOO_MANY_TO_MERGE.code);
});

test('a source that became another one is not copied', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', someBytes(30_000, 1));
  let reads = 0;
  fixture.source.intercept = (call) => {
    if (call === 'read' && ++reads === 3) fixture.source.put('in/a', someBytes(30_000, 2));
  };
  assert.equal(codeOf(await fixture.run(makeJob())), connectorErrors.SOURCE_CHANGED.code);
  assert.equal(fixture.sink.objects.size, 0);
});

test('a shorter read than the plan promises is a changed source', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', someBytes(3_000, 1));
  const { connector } = fixture;
  const short: typeof connector = {
    ...connector,
    async openSource(end, context) {
      const source = await connector.openSource(end, context);
      return {
        kind: source.kind, list: (signal) => source.list(signal), close: () => source.close(),
        read: async (object, position, into, signal) => (await source.read(object, position, into, signal)) - 1,
      };
    },
  };
  assert.equal(codeOf(await fixture.run(makeJob(), { connectors: new Map([['memory', short]]) })), connectorErrors.SOURCE_CHANGED.code);
});

test('transient errors of every call are survived', async () => {
  for (const sourceFormat of [undefined, csv]) {
    const fixture = new CopyFixture({ limits: { partBytes: 500 } });
    const text = csvTable(1_500);
    fixture.source.put('in/t.csv', text);
    const failed = new Map<string, number>();
    for (const store of [fixture.source, fixture.sink]) {
      store.intercept = (call, subject) => {
        const times = (failed.get(`${call} ${subject}`) ?? 0) + 1;
        failed.set(`${call} ${subject}`, times);
        if (times <= 2) throw unreachable();
      };
    }
    const job = makeJob(sourceFormat === undefined ? {} : { sourceFormat, sinkFormat: { ...csv, rowDelimiter: '\n' } });
    const receipt = receiptOf(await fixture.run(job, { limits: { retryForMs: 5_000, backoff: { firstMs: 0.1, factor: 1, maxMs: 0.1 } } }));
    const expected = sourceFormat === undefined ? text : text.replaceAll('"', '');
    assert.equal(Buffer.from(fixture.sink.get('out/t.csv') ?? []).toString(), expected);
    assert.equal(receipt.bytesRead, text.length);
    assert.equal(fixture.openHandles, 0);
  }
});

test('a store that stays away fails the attempt, and the sink is unconfirmed when it is the sink', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  fixture.source.intercept = (call) => {
    if (call === 'read') throw unreachable();
  };
  const outcome = await fixture.run(makeJob());
  assert.equal(codeOf(outcome), connectorErrors.UNREACHABLE.code);
  assert.equal(outcome.kind === 'failed' && outcome.sink, 'aborted');
  fixture.sink.intercept = () => {
    throw unreachable();
  };
  const away = await fixture.run(makeJob({ job: { jobId: 'other' } }));
  assert.equal(away.kind === 'failed' && away.sink, 'unconfirmed');
});

test('missing marks are copied again; marks that always vanish end the attempt', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', someBytes(30_000, 1));
  let finishes = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'finish' && ++finishes === 1) fixture.sink.job('job-1').marks.delete('0.1');
  };
  receiptOf(await fixture.run(makeJob()));
  assert.deepEqual(Buffer.from(fixture.sink.get('out/a') ?? []), Buffer.from(someBytes(30_000, 1)));
  fixture.sink.intercept = (call) => {
    if (call === 'finish') fixture.sink.job('job-2').marks.delete('0.1');
  };
  assert.equal(codeOf(await fixture.run(makeJob({ job: { jobId: 'job-2' } }))), engineErrors.MARKS_VANISH.code);
});

test('a mark that contradicts the plan is not counted', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', someBytes(30_000, 1));
  fixture.sink.intercept = (call) => {
    const { marks } = fixture.sink.job('job-1');
    const entry = marks.get('0.0');
    if (call === 'marks' && entry !== undefined) marks.set('0.0', { ...entry, mark: { ...entry.mark, sourceEnd: 1 } });
  };
  assert.equal(codeOf(await fixture.run(makeJob())), engineErrors.MARKS_INVALID.code);
});

test('a job that another attempt has finished succeeds with the receipt that stands', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  const first = receiptOf(await fixture.run(makeJob()));
  fixture.sink.delete('out/a');
  fixture.source.delete('in/a');
  const second = receiptOf(await fixture.run(makeJob()));
  assert.deepEqual(second, first);
  // The consumer took the file: it does not come back.
  assert.equal(fixture.sink.objects.size, 0);
});

test('a resumed copy reads only what has no mark', async () => {
  const fixture = new CopyFixture();
  const bytes = someBytes(30_000, 1);
  fixture.source.put('in/a', bytes);
  let marks = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'mark' && ++marks === 3) throw connectorErrors.NO_SPACE.create({ path: 'a', store: 'memory' });
  };
  const job = makeJob({ job: { finalTry: false }, activity: { parallelCopies: 1 } });
  codeOf(await fixture.run(job));
  let reads = 0;
  fixture.source.intercept = (call) => {
    if (call === 'read') reads++;
  };
  const receipt = receiptOf(await fixture.run(job));
  assert.equal(receipt.attempts.length, 2);
  assert.equal(reads, Math.ceil(30_000 / 1024) - 16);
});

test('a chunk that was opened too late is discarded', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  let release: () => void = () => undefined;
  let opens = 0;
  fixture.sink.intercept = (call) => {
    if (call === 'openChunk' && ++opens === 1) {
      return new Promise((resolve) => {
        release = resolve;
      });
    }
    if (call === 'finish') release();
    return undefined;
  };
  const { connector } = fixture;
  // A store that does not listen to the signal opens the chunk all the same.
  const deaf: typeof connector = {
    ...connector,
    async openSink(end, job, context) {
      const sink = await connector.openSink(end, job, context);
      const openChunk = sink.openChunk.bind(sink);
      sink.openChunk = (plan, ref) => openChunk(plan, ref, new AbortController().signal);
      return sink;
    },
  };
  receiptOf(await fixture.run(makeJob(), { connectors: new Map([['memory', deaf]]), limits: { callLimitMs: 20 } }));
  assert.equal(opens, 2);
  assert.equal(fixture.openHandles, 0);
});

test('a plan of another definition of the job is refused', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  const job = makeJob({ job: { finalTry: false } });
  fixture.sink.intercept = (call) => {
    if (call === 'finish') throw connectorErrors.NO_SPACE.create({ path: 'a', store: 'memory' });
  };
  assert.equal(codeOf(await fixture.run(job)), connectorErrors.NO_SPACE.code);
  const changed = { ...job, activity: { ...job.activity, parallelCopies: 7 } };
  assert.equal(codeOf(await fixture.run(changed)), engineErrors.PLAN_MISMATCH.code);
});

test('a call that hangs ends at its deadline and is repeated', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  let reads = 0;
  fixture.source.intercept = (call) => (call === 'read' && ++reads === 1 ? new Promise(() => undefined) : undefined);
  receiptOf(await fixture.run(makeJob(), { limits: { callLimitMs: 20, backoff: { firstMs: 1, factor: 1, maxMs: 1 } } }));
  assert.equal(reads, 2);
});

test('a failing progress listener does not fail the copy', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/a', 'aaa');
  receiptOf(await fixture.run(makeJob(), { onProgress: () => assert.fail('listener') }));
});
