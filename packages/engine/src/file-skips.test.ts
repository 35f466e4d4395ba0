import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectorErrors } from '@dmg/connector-api';
import type { CopyActivity, CopyLog, DataFormat, FileSkipReason } from '@dmg/model';
import { receiptDigest } from '@dmg/model';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, csv, makeJob, receiptOf, semicolons, someBytes } from './testing/copy-fixture.ts';

const everything: readonly FileSkipReason[] = ['missing', 'forbidden', 'changed'];
const again = { finalTry: false, policy: { timeoutMs: 60_000, retry: 1, retryIntervalMs: 1 } };
const log: CopyLog = {
  store: {
    connector: 'memory', connection: { store: 'log' }, location: { folderPath: 'logs' }, settings: {}, format: { type: 'Binary' },
  },
  form: 'session', level: 'Warning',
};

function skippingJob(
  skipFiles: readonly FileSkipReason[] = everything, shape: Parameters<typeof makeJob>[0] = {}, activity: Partial<CopyActivity> = {},
) {
  return makeJob({ ...shape, activity: { skipFiles, parallelCopies: 2, ...activity } });
}

/** Files of many chunks each, of which three go wrong when they are read at their second chunk or later. */
function withTrouble(format: DataFormat, lines: number = 60): CopyFixture {
  const fixture = new CopyFixture({ limits: { partBytes: lines > 60 ? 100_000 : 100 } });
  const text = (name: string): string => `id,name\n${Array.from({ length: lines }, (_, index) => `${index},${name}`).join('\n')}\n`;
  for (const name of ['changed', 'forbidden', 'good1', 'good2', 'missing']) {
    fixture.source.put(`in/${name}`, format.type === 'Binary' ? someBytes(1000, name.length) : text(name));
  }
  const reads = new Map<string, number>();
  fixture.source.intercept = (call, subject) => {
    if (call !== 'read') return;
    const name = subject.split('/').at(-1) ?? '';
    reads.set(name, (reads.get(name) ?? 0) + 1);
    if ((reads.get(name) ?? 0) < 2) return;
    if (name === 'missing') fixture.source.delete('in/missing');
    if (name === 'changed') fixture.source.put('in/changed', someBytes(1000, 99));
    if (name === 'forbidden') throw connectorErrors.ACCESS_DENIED.create({ path: subject, store: 'memory', reason: '403' });
  };
  return fixture;
}

function targetsOf(fixture: CopyFixture): string[] {
  return [...fixture.sink.objects.keys()].toSorted();
}

// Rows are read in blocks of 2 MiB, of which these files have several.
const formats: [string, DataFormat, DataFormat, number][] = [
  ['bytes', { type: 'Binary' }, { type: 'Binary' }, 0], ['rows', csv, semicolons, 250_000], ['text as it is', csv, csv, 60],
];
for (const [name, sourceFormat, sinkFormat, lines] of formats) {
  test(`files that vanish, change or may not be read are left out as a whole: ${name}`, async () => {
    const fixture = withTrouble(sourceFormat, lines);
    const receipt = receiptOf(await fixture.run(skippingJob(everything, { sourceFormat, sinkFormat }, { log })));
    assert.deepEqual(targetsOf(fixture), ['out/good1', 'out/good2']);
    assert.deepEqual([receipt.filesSkipped, receipt.filesRead, receipt.filesWritten], [3, 2, 2]);
    const written = [...fixture.sink.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.equal(receipt.bytesWritten, written);
    const listed = receipt.targets?.map(({ path }) => path);
    assert.deepEqual(listed, ['good1', 'good2']);
    assert.equal(receipt.targets?.reduce((sum, { chunks }) => sum + chunks.length, 0), receipt.chunks);
    assert.equal(receipt.digest, receiptDigest(receipt));
    const logged = [...fixture.stores.store('log').objects.values()].map(({ bytes }) => Buffer.from(bytes).toString()).join('');
    const skips = logged.split('\n').filter((line) => line.includes(',FileSkip,')).map((line) => line.split(',').slice(1).join(','));
    assert.equal(skips.length, 3);
    assert.match(skips[0] ?? '', /^Warning,FileSkip,changed,.*dataInconsistency/);
    assert.match(skips[1] ?? '', /^Warning,FileSkip,forbidden,.*fileForbidden/);
    assert.match(skips[2] ?? '', /^Warning,FileSkip,missing,.*fileMissing/);
    assert.equal(fixture.openHandles, 0);
  });
}

test('only what the activity names is skipped, and only for what the source says', async () => {
  const wanted: [readonly FileSkipReason[], string][] = [
    [['missing', 'forbidden'], connectorErrors.SOURCE_CHANGED.code], [['missing', 'changed'], connectorErrors.ACCESS_DENIED.code],
    [['changed', 'forbidden'], connectorErrors.SOURCE_CHANGED.code],
  ];
  for (const [reasons, code] of wanted) assert.equal(codeOf(await withTrouble({ type: 'Binary' }).run(skippingJob(reasons))), code);
  const sinkRefuses = new CopyFixture();
  sinkRefuses.source.put('in/a', 'x');
  sinkRefuses.sink.intercept = (call) => {
    if (call === 'mark') throw connectorErrors.ACCESS_DENIED.create({ path: 'out/a', store: 'memory', reason: '403' });
  };
  assert.equal(codeOf(await sinkRefuses.run(skippingJob())), connectorErrors.ACCESS_DENIED.code);
  // A merged file needs all of its sources.
  const merged = withTrouble({ type: 'Binary' });
  const outcome = await merged.run(skippingJob(everything, { copyBehavior: 'MergeFiles', sinkFile: 'all' }));
  assert.equal(outcome.kind, 'failed');
  assert.equal(merged.sink.objects.size, 0);
});

test('a later attempt leaves out what an earlier one has, though it could be read again', async () => {
  for (const sourceFormat of [{ type: 'Binary' }, csv] as const) {
    const fixture = withTrouble(sourceFormat);
    const before = new Map(fixture.source.objects);
    const job = skippingJob(everything, { sourceFormat, sinkFormat: sourceFormat, job: again });
    let skipped = 0;
    // The attempt dies when it has skipped one file in the middle of it.
    fixture.sink.intercept = (call) => {
      if (call !== 'mark' || skipped > 1) return;
      const marks = [...fixture.sink.job(job.jobId).marks.values()];
      skipped += marks.some(({ mark }) => mark.fileSkipped !== undefined) ? 2 : 0;
      if (skipped > 1) throw engineErrors.NO_SIDE_FILES.create({ connector: 'x' });
    };
    assert.equal((await fixture.run(job)).kind, 'failed');
    const reasons = new Set([...fixture.sink.job(job.jobId).marks.values()]
      .flatMap(({ mark }) => (mark.fileSkipped === undefined ? [] : [mark.target])));
    assert.ok(reasons.size > 0);
    fixture.sink.intercept = undefined;
    fixture.source.intercept = undefined;
    for (const [path, object] of before) fixture.source.objects.set(path, object);
    const receipt = receiptOf(await fixture.run({ ...job, finalTry: true }));
    assert.equal(receipt.filesSkipped, reasons.size);
    const names = ['changed', 'forbidden', 'good1', 'good2', 'missing'];
    assert.deepEqual(targetsOf(fixture), names.filter((_, target) => !reasons.has(target)).map((name) => `out/${name}`));
  }
});
