import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataFormat } from '@dmg/model';
import { engineErrors } from './errors.ts';
import { codeOf, CopyFixture, csv, makeJob, receiptOf, someBytes } from './testing/copy-fixture.ts';

/** What a store does to bytes that lie in it. */
type Tampering = (bytes: Uint8Array) => Uint8Array;

function fixtureOf(format: DataFormat, tampering?: Tampering) {
  const fixture = new CopyFixture({ limits: { partBytes: 100 } });
  const rows = Array.from({ length: 99 }, (_, index) => `${index},x`).join('\n');
  const content = format.type === 'Binary' ? someBytes(1050, 1) : `id,n\n${rows}\n`;
  for (const name of ['a', 'b']) fixture.source.put(`in/${name}`, content);
  fixture.source.put('in/empty', '');
  const job = makeJob({ sourceFormat: format, sinkFormat: format, activity: { validateDataConsistency: true } });
  // Once all chunks are marked, before anything is published: `marks` are read again then.
  fixture.sink.intercept = (call) => {
    const { marks } = fixture.sink.job(job.jobId);
    const last = [...marks.entries()].filter(([name]) => name.startsWith('1.')).at(-1);
    if (call !== 'marks' || last === undefined || tampering === undefined) return;
    marks.set(last[0], { ...last[1], bytes: tampering(last[1].bytes) });
    tampering = undefined;
  };
  return { fixture, job };
}

test('targets are read again before they are published, and the receipt says so', async () => {
  for (const format of [{ type: 'Binary' }, csv] as const) {
    const { fixture, job } = fixtureOf(format);
    assert.equal(receiptOf(await fixture.run(job)).verification, 'reread');
    assert.equal(fixture.sink.objects.size, 3);
    const quick = makeJob({ sourceFormat: format, sinkFormat: format });
    assert.equal(receiptOf(await fixtureOf(format).fixture.run(quick)).verification, 'acknowledged');
  }
});

test('bytes that change at rest, are lost or added fail the copy, which names file and chunk; nothing is published', async () => {
  const tamperings: Tampering[] = [
    (bytes) => bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte)), (bytes) => bytes.subarray(1),
    (bytes) => Buffer.concat([bytes, Buffer.from('x')]), () => Buffer.alloc(0),
  ];
  for (const tampering of tamperings) {
    for (const format of [{ type: 'Binary' }, csv] as const) {
      const { fixture, job } = fixtureOf(format, tampering);
      const outcome = await fixture.run(job);
      assert.equal(codeOf(outcome), engineErrors.INCONSISTENT.code);
      assert.match(JSON.stringify(outcome), /Cannot publish b: its chunk \d+/);
      assert.deepEqual([fixture.sink.objects.size, fixture.openHandles], [0, 0]);
    }
  }
});
