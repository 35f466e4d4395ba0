import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connector } from '@dmg/connector-api';
import { engineMetrics } from './metrics.ts';
import { CopyFixture, csv, makeJob, receiptOf, semicolons, someBytes } from './testing/copy-fixture.ts';

const mib = 1024 * 1024;

/** Wraps what a connector's source does with the memory that it is given. */
function watchingReads(connector: Connector, read: (into: Uint8Array, work: () => Promise<number>) => Promise<number>): Connector {
  return {
    ...connector,
    async openSource(end, context) {
      const source = await connector.openSource(end, context);
      return {
        kind: source.kind,
        list: (signal) => source.list(signal),
        close: () => source.close(),
        read: (object, position, into, signal) => read(into, () => source.read(object, position, into, signal)),
      };
    },
  };
}

test('the buffers of a copy stay within its memory, however large the source', async () => {
  for (const bytes of [4 * mib, 24 * mib]) {
    const fixture = new CopyFixture({ limits: { partBytes: mib / 4, parallelParts: 32 } });
    fixture.source.put('in/a', new Uint8Array(bytes).fill(7));
    const buffers = new Set<ArrayBufferLike>();
    const connector = watchingReads(fixture.connector, (into, work) => {
      buffers.add(into.buffer);
      return work();
    });
    const receipt = receiptOf(await fixture.run(makeJob(), { connectors: new Map([['memory', connector]]), memoryBytes: 2 * mib }));
    assert.equal(receipt.bytesWritten, bytes);
    const used = [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, 0);
    assert.ok(used <= 2 * mib && used >= mib, `${used}`);
  }
});

test('row copies of many files at once stay within their memory and do not wait for each other for ever', async () => {
  const fixture = new CopyFixture({ limits: { partBytes: 256 * 1024, parallelParts: 2 } });
  const text = `id,name\n${'12345,"some name"\n'.repeat(20_000)}`;
  for (let file = 0; file < 8; file++) fixture.source.put(`in/${file}.csv`, text);
  const buffers = new Set<ArrayBufferLike>();
  const connector = watchingReads(fixture.connector, (into, work) => {
    buffers.add(into.buffer);
    return work();
  });
  const job = makeJob({ sourceFormat: csv, sinkFormat: semicolons, activity: { parallelCopies: 8 } });
  const receipt = receiptOf(await fixture.run(job, { connectors: new Map([['memory', connector]]), memoryBytes: 3 * mib }));
  assert.equal(receipt.rowsWritten, 160_000);
  // Blocks of at most 2 MiB need more than 3 MiB: the limit is raised to what one row copy needs, not further.
  const used = [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, 0);
  assert.ok(used <= 7 * mib, `${used}`);
});

test('a read that answers after its deadline cannot touch memory that is used again', async () => {
  const fixture = new CopyFixture({ limits: { partBytes: 1024 } });
  const bytes = someBytes(20_000, 3);
  fixture.source.put('in/a', bytes);
  let late: { into: Uint8Array; settle: (count: number) => void } | undefined;
  let reads = 0;
  const connector = watchingReads(fixture.connector, (into, work) => {
    if (++reads !== 1) return work();
    return new Promise((settle) => {
      late = { into, settle };
    });
  });
  // The call that was given up writes at every later step at the sink, and ends at the last.
  fixture.sink.intercept = (call) => {
    if (call === 'writePart' || call === 'mark') late?.into.fill(0xff);
    if (call === 'finish') late?.settle(1024);
  };
  const options = { connectors: new Map([['memory', connector]]), memoryBytes: 4096, limits: { callLimitMs: 20 } };
  receiptOf(await fixture.run(makeJob(), options));
  assert.deepEqual(Buffer.from(fixture.sink.get('out/a') ?? []), Buffer.from(bytes));
});

test('a part that is still being sent after its deadline keeps its bytes', async () => {
  const fixture = new CopyFixture({ limits: { partBytes: 1024 } });
  const bytes = someBytes(20_000, 3);
  fixture.source.put('in/a', bytes);
  const sent: { promised: Buffer; memory: Uint8Array }[] = [];
  const { connector } = fixture;
  const slow: Connector = {
    ...connector,
    async openSink(end, job, context) {
      const sink = await connector.openSink(end, job, context);
      const openChunk = sink.openChunk.bind(sink);
      sink.openChunk = async (plan, ref, signal) => {
        const writer = await openChunk(plan, ref, signal);
        const writePart = writer.writePart.bind(writer);
        writer.writePart = (part, content, partSignal) => {
          if (sent.length > 0) return writePart(part, content, partSignal);
          sent.push({ promised: Buffer.from(content), memory: content });
          return new Promise(() => undefined);
        };
        return writer;
      };
      return sink;
    },
  };
  const options = { connectors: new Map([['memory', slow]]), memoryBytes: 4096, limits: { callLimitMs: 20, closeLimitMs: 20 } };
  receiptOf(await fixture.run(makeJob(), options));
  assert.equal(sent.length, 1);
  for (const { promised, memory } of sent) assert.deepEqual(Buffer.from(memory), promised);
  assert.deepEqual(Buffer.from(fixture.sink.get('out/a') ?? []), Buffer.from(bytes));
});

test('bytes, rows and waits are counted', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/t.csv', 'id,name\n1,a\n2,b\n');
  const counted = new Map<string, number>();
  const meter = {
    add: (metric: { name: string }, value: number, labels: Record<string, string> = {}) => {
      const key = `${metric.name} ${Object.values(labels).join(' ')}`;
      counted.set(key, (counted.get(key) ?? 0) + value);
    },
    set: () => undefined,
    observe: () => undefined,
  };
  receiptOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons }), { meter }));
  assert.equal(counted.get(`${engineMetrics.bytes.name} read memory`), 16);
  assert.equal(counted.get(`${engineMetrics.bytes.name} written memory`), 16);
  assert.equal(counted.get(`${engineMetrics.rows.name} written memory`), 2);
  assert.ok(counted.has(`${engineMetrics.waitSeconds.name} read`));
});
