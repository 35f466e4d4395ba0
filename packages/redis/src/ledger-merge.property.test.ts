import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from '@dmg/core/testing';
import fc from 'fast-check';
import { mergeRecords, writeVerdict } from './ledger-merge.ts';
import { majorityOf } from './quorum.ts';

const small = fc.integer({ min: 1, max: 3 });
const record = fc.record({ jobId: fc.constantFrom('a', 'b', 'c'), epochN: small, version: small });
/** What one master holds: each job at most once. */
const held = fc.uniqueArray(record, { selector: ({ jobId }) => jobId })
  .map((all) => all.map(({ jobId, epochN, version }) => recordOf(jobId, { epochN, version })));
const kind = fc.constantFrom('ok' as const, 'old' as const, 'stale' as const, 'silent' as const);

test('what is merged is the newest of each, and what each lacks makes it whole', () => {
  fc.assert(fc.property(fc.array(held, { minLength: 1, maxLength: 5 }), (masters) => {
    const { records, lacks } = mergeRecords(masters);
    const order = ({ epochN, version }: { epochN: number; version: number }): number => epochN * 10 + version;
    const all = masters.flat();
    assert.deepEqual(new Set(records.map(({ jobId }) => jobId)), new Set(all.map(({ jobId }) => jobId)));
    for (const { jobId, ...rest } of records) {
      assert.equal(order(rest), Math.max(...all.filter((one) => one.jobId === jobId).map(order)));
    }
    for (const [index, lack] of lacks.entries()) {
      for (const [jobId, missing] of lack) {
        const own = masters[index]?.find((one) => one.jobId === jobId);
        assert.ok(own === undefined || order(own) < order(missing), 'only what is missing or older');
      }
      const whole = new Map([...masters[index] ?? [], ...lack.values()].map((one) => [one.jobId, order(one)]));
      assert.deepEqual(whole, new Map(records.map((one) => [one.jobId, order(one)])));
    }
  }));
});

test('a verdict does not depend on the order of the answers, is final, and is there when all have answered', () => {
  fc.assert(fc.property(
    fc.constantFrom(1, 3, 5).chain((masters) => fc.tuple(fc.constant(masters), fc.array(kind, { minLength: masters, maxLength: masters }))),
    fc.infiniteStream(fc.nat()),
    ([masters, kinds], random) => {
      const answers = kinds.map((each) => ({ kind: each }));
      const final = writeVerdict(answers, masters);
      assert.notEqual(final, undefined);
      const shuffled = answers.map((answer) => ({ answer, key: random.next().value as number })).sort((a, b) => a.key - b.key);
      for (let count = 1; count <= masters; count++) {
        const early = writeVerdict(shuffled.slice(0, count).map(({ answer }) => answer), masters);
        assert.ok(early === undefined || early === final, `${early} became ${final}`);
      }
      const majority = majorityOf(masters);
      if (final === 'ok') assert.ok(kinds.filter((each) => each === 'ok').length >= majority);
      if (final === 'stale') assert.ok(kinds.filter((each) => each === 'stale').length >= majority);
      if (final === 'old') assert.ok(kinds.filter((each) => each === 'ok' || each === 'old').length >= majority);
    },
  ));
});
