import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { systemClock } from '@dmg/base';
import { readCorpus } from './testing/corpus.ts';
import { transcode } from './testing/naive-text.ts';
import { describeFailure, fuzzText, type Product } from './testing/text-fuzz.ts';

const corpus = readCorpus();

test('mutated text in any blocks and chunks comes out as the reference reads it, or with its exact fault', (t) => {
  const seed = Number(process.env['DMG_SEED'] ?? randomInt(2 ** 31));
  const endMs = systemClock.monotonicMs() + 3_000;
  const result = fuzzText({ seed, rounds: 100_000, corpus, isEnough: () => systemClock.monotonicMs() > endMs });
  t.diagnostic(`DMG_SEED=${seed}, ${result.rounds} rounds: ${JSON.stringify(result.outcomes)}`);
  assert.deepEqual(result.failures.map(describeFailure), []);
});

test('a product that is wrong in a small way is found out', () => {
  const wrong: Record<string, Product> = {
    'the last byte of a value is lost where a block ends after a quote': (input, options, sizes) =>
      transcode((sizes?.[0] ?? 0) === 1 && input.includes(0x22) ? input.subarray(0, -1) : input, options, sizes),
    'rows are counted from 2': (input, options, sizes) => transcode(input, { ...options, startRow: (options.startRow ?? 0) + 1 }, sizes),
    'positions are those of the block': (input, options, sizes) =>
      transcode(input, (options.startPosition ?? 0) > 0 ? { ...options, startPosition: (options.startPosition ?? 0) - 1 } : options, sizes),
    'a record may have one byte more': (input, options, sizes) =>
      transcode(input, { ...options, recordBytesMax: (options.recordBytesMax ?? 0) + 1 }, sizes),
    'what is no text is not refused': (input, options, sizes) => transcode(input, { ...options, validText: false }, sizes),
  };
  for (const [name, product] of Object.entries(wrong)) {
    assert.equal(fuzzText({ seed: 1, rounds: 3_000, corpus, product, failuresMax: 1 }).failures.length, 1, name);
  }
});

test('the same seed gives the same rounds, and every outcome comes up', () => {
  const run = () => fuzzText({ seed: 7, rounds: 400, corpus }).outcomes;
  const outcomes = run();
  assert.deepEqual(run(), outcomes);
  const expected = [
    'COLUMN_COUNT', 'INVALID_VALUE', 'RECORD_TOO_LARGE', 'TEXT_AFTER_QUOTE', 'UNCLOSED_QUOTE', 'WRONG_ENCODING', 'rows',
  ];
  assert.deepEqual(Object.keys(outcomes).toSorted(), expected);
});
