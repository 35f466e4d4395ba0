import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@dmg/base';
import { collect, firstVerdict, majorityOf } from './quorum.ts';

/** Promises that are settled by hand. */
function answers(count: number): { readonly asked: Promise<string>[]; answer(index: number, text: string): void } {
  const each = Array.from({ length: count }, () => Promise.withResolvers<string>());
  return { asked: each.map(({ promise }) => promise), answer: (index, text) => each[index]?.resolve(text) };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function collecting(count: number): ReturnType<typeof answers> & { readonly clock: ManualClock; result(): Promise<string[] | undefined> } {
  const clock = new ManualClock();
  const { asked, answer } = answers(count);
  let result: string[] | undefined;
  void collect(asked, { clock, graceMs: 50, counts: (text) => text !== 'silent', late: 'late' }).then((all) => void (result = all));
  return { asked, answer, clock, result: () => turn().then(() => result) };
}

test('more than half', () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(majorityOf), [1, 2, 2, 3, 3]);
});

test('all answers at once, in the order of the questions, without waiting', async () => {
  const { answer, result } = collecting(3);
  for (const index of [2, 0, 1]) answer(index, `a${index}`);
  assert.deepEqual(await result(), ['a0', 'a1', 'a2']);
});

test('after a majority the others have the grace; whoever comes later is late', async () => {
  const { answer, result, clock } = collecting(3);
  answer(1, 'b');
  clock.advance(1_000);
  assert.equal(await result(), undefined, 'one is no majority');
  answer(2, 'c');
  assert.equal(await result(), undefined);
  clock.advance(49);
  assert.equal(await result(), undefined);
  clock.advance(1);
  assert.deepEqual(await result(), ['late', 'b', 'c']);
  answer(0, 'a');
  assert.deepEqual(await result(), ['late', 'b', 'c'], 'what was given stays as it is');
});

test('an answer within the grace is taken, and ends the waiting', async () => {
  const { answer, result } = collecting(3);
  answer(0, 'a');
  answer(1, 'b');
  assert.equal(await result(), undefined);
  answer(2, 'silent');
  assert.deepEqual(await result(), ['a', 'b', 'silent']);
});

test('silence does not make a majority', async () => {
  const { answer, result, clock } = collecting(3);
  answer(0, 'silent');
  answer(1, 'silent');
  clock.advance(1_000);
  assert.equal(await result(), undefined);
  answer(2, 'c');
  assert.deepEqual(await result(), ['silent', 'silent', 'c']);
});

test('a verdict is given with the first answers that allow it; a judge that throws rejects', async () => {
  const { asked, answer } = answers(3);
  const verdict = firstVerdict(asked, (texts) => (texts.filter((text) => text === 'yes').length >= 2 ? 'taken' : undefined));
  answer(2, 'yes');
  answer(0, 'yes');
  assert.equal(await verdict, 'taken');
  await assert.rejects(firstVerdict([Promise.resolve('x')], () => {
    throw new Error('no majority');
  }), /no majority/);
});
