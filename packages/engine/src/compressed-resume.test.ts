import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, gzipSync, inflateRawSync } from 'node:zlib';
import { seededRandom } from '@dmg/base';
import { type Connector, connectorErrors } from '@dmg/connector-api';
import { memoryConnector } from '@dmg/connector-testkit';
import type { Job, Receipt } from '@dmg/model';
import fc from 'fast-check';
import { CopyFixture, csv, makeJob, receiptOf, semicolons, someBytes } from './testing/copy-fixture.ts';
import { crashingGate, gatedConnector, StepScheduler } from './testing/gated-connector.ts';
import { zipped } from './testing/zip-files.ts';

interface Case {
  readonly name: string;
  readonly job: Job;
  readonly sources: Readonly<Record<string, Uint8Array>>;
  readonly targets: Readonly<Record<string, Uint8Array>>;
  readonly read: (bytes: Uint8Array) => Uint8Array;
}

const level = 'Optimal' as const;
const gzip = { compression: { type: 'gzip' as const, level } };
const deflate = { compression: { type: 'deflate' as const, level } };
const zip = { compression: { type: 'zipDeflate' as const, level } };
const job = { finalTry: false };
const rows = (from: number, to: number, delimiter: string): string =>
  Array.from({ length: to - from }, (_, index) => `${from + index}${delimiter}n${from + index}\n`).join('');
const same = (bytes: Uint8Array): Uint8Array => bytes;
const first = someBytes(400, 1);
const second = someBytes(150, 2);

const cases: readonly Case[] = [
  {
    name: 'gzip of several members → bytes', read: same, job: makeJob({ job, sourceFormat: { type: 'Binary', ...gzip } }),
    sources: { 'a.gz': Buffer.concat([gzipSync(first), gzipSync(second)]), 'b.gz': gzipSync('b') },
    targets: { a: Buffer.concat([first, second]), b: Buffer.from('b') },
  },
  {
    name: 'bytes → gzip', read: (bytes) => gunzipSync(bytes), job: makeJob({ job, sinkFormat: { type: 'Binary', ...gzip } }),
    sources: { a: first, b: new Uint8Array(0) }, targets: { 'a.gz': first, 'b.gz': new Uint8Array(0) },
  },
  {
    name: 'rows in gzip → rows in deflate', read: (bytes) => inflateRawSync(bytes),
    job: makeJob({ job, sourceFormat: { ...csv, ...gzip }, sinkFormat: { ...semicolons, ...deflate } }),
    sources: { 'x.csv.gz': gzipSync(`id,name\n${rows(0, 60, ',')}`), 'y.csv.gz': gzipSync('') },
    targets: { 'x.csv.deflate': Buffer.from(`id;name\n${rows(0, 60, ';')}`), 'y.csv.deflate': new Uint8Array(0) },
  },
  {
    name: 'files of an archive, merged → gzip', read: (bytes) => gunzipSync(bytes),
    job: makeJob({
      job, sourceFormat: { type: 'Binary', ...zip }, sinkFormat: { type: 'Binary', ...gzip }, copyBehavior: 'MergeFiles', sinkFile: 'm',
    }),
    sources: { 'a.zip': zipped({ b: first, c: '', a: second }) }, targets: { m: Buffer.concat([first, second]) },
  },
];

/** Chunks of 160 bytes. */
function fixtureOf(given: Case, seed?: number): CopyFixture {
  const fixture = new CopyFixture({ limits: { partBytes: 20 }, ...(seed === undefined ? {} : { seed }) });
  for (const [path, bytes] of Object.entries(given.sources)) fixture.source.put(`in/${path}`, bytes);
  return fixture;
}

function replanning(fixture: CopyFixture, attempt: number): Connector {
  return memoryConnector({ stores: fixture.stores, limits: { partBytes: 20 + 7 * attempt } });
}

function check(given: Case, fixture: CopyFixture): void {
  const found = [...fixture.sink.objects].map(([path, { bytes }]) => [path, Buffer.from(given.read(bytes)).toString('latin1')] as const);
  const wanted = Object.entries(given.targets).map(([path, bytes]) => [`out/${path}`, Buffer.from(bytes).toString('latin1')] as const);
  assert.deepEqual(new Map(found), new Map(wanted));
  assert.equal(fixture.sink.publications.length, wanted.length);
}

const crashed = (): Error => connectorErrors.NO_SPACE.create({ path: 'x', store: 'crashed' });
const comparable = (receipt: Receipt): unknown => {
  const { guarantee, bytesRead, bytesWritten, rowsWritten, chunks, hash, filesRead } = receipt;
  return { guarantee, bytesRead, bytesWritten, rowsWritten, chunks, hash, filesRead };
};

for (const given of cases) {
  test(`${given.name}: a crash at any call, before or after its effect, loses and doubles nothing`, async () => {
    const oneShot = fixtureOf(given);
    const counting = crashingGate(Infinity, 'before', crashed);
    const connectors = new Map([['memory', gatedConnector(oneShot.connector, counting.gate)]]);
    const expected = receiptOf(await oneShot.run(given.job, { connectors }));
    check(given, oneShot);
    assert.ok(expected.chunks > Object.keys(given.targets).length, `${expected.chunks} chunks`);
    assert.equal(expected.guarantee, 'exactlyOnce');
    const sourceBytes = Object.values(given.sources).reduce((sum, bytes) => sum + bytes.length, 0);
    // Of an archive only what is in it is read as data.
    if (!given.name.includes('archive')) assert.equal(expected.bytesRead, sourceBytes);
    let interrupted = 0;
    for (let at = 1; at <= counting.calls(); at++) {
      const fixture = fixtureOf(given);
      const mode = at % 2 === 0 ? 'before' : 'after';
      const { gate } = crashingGate(at, mode, crashed);
      const outcome = await fixture.run(given.job, { connectors: new Map([['memory', gatedConnector(fixture.connector, gate)]]) });
      if (outcome.kind === 'failed') interrupted++;
      const receipt = receiptOf(await fixture.run(given.job, { connectors: new Map([['memory', replanning(fixture, 1)]]) }));
      check(given, fixture);
      // A plan that was not stored yet is made anew, with other chunks.
      if (receipt.chunks === expected.chunks) assert.deepEqual(comparable(receipt), comparable(expected), `crash ${mode} call ${at}`);
    }
    assert.ok(interrupted >= counting.calls() / 2);
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
      check(given, fixture);
      assert.equal(fixture.openHandles, 0);
    }), { numRuns: 8 });
  });
}

test('any content, chunk size and compression comes through whole', async () => {
  const pieces = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 60 })), { maxLength: 6 });
  await fc.assert(fc.asyncProperty(pieces, fc.integer({ min: 1, max: 400 }), fc.boolean(), async (given, partBytes, isMerged) => {
    const contents = given.map(([unit, count]) => Buffer.concat(Array.from({ length: count }, () => unit)));
    const whole = Buffer.concat(contents);
    const fixture = new CopyFixture({ limits: { partBytes } });
    for (const [index, content] of contents.entries()) fixture.source.put(`in/${index}.gz`, gzipSync(content));
    const copied = makeJob({
      sourceFormat: { type: 'Binary', ...gzip }, sinkFormat: { type: 'Binary', ...deflate },
      ...(isMerged ? { copyBehavior: 'MergeFiles', sinkFile: 'm' } : {}),
    });
    receiptOf(await fixture.run(copied));
    const found = isMerged ? [fixture.sink.get('out/m')] : contents.map((_, index) => fixture.sink.get(`out/${index}.deflate`));
    const bytes = contents.length === 0 ? [] : found.map((content) => inflateRawSync(content ?? new Uint8Array(0)));
    assert.deepEqual(Buffer.concat(bytes), whole);
  }), { numRuns: 25 });
});
