import assert from 'node:assert/strict';
import { test } from 'node:test';
import { histogramBound, parseMetrics, sampleOf } from './metrics-text.ts';

const page = [
  '# HELP dmg_x Something {with="braces"} 3',
  'dmg_plain 7',
  'dmg_labelled{state="used",text="a \\"b\\""} 2.5',
  'dmg_h_bucket{le="0.005"} 1',
  'dmg_h_bucket{le="0.05"} 9',
  'dmg_h_bucket{le="+Inf"} 10',
  '',
].join('\n');

test('samples with and without labels are read, comments are not', () => {
  const samples = parseMetrics(page);
  assert.equal(samples.length, 5);
  assert.equal(sampleOf(samples, 'dmg_plain'), 7);
  assert.equal(sampleOf(samples, 'dmg_labelled', { state: 'used' }), 2.5);
  assert.equal(sampleOf(samples, 'dmg_labelled', { state: 'free' }), undefined);
});

test('the bound of a share of a histogram', () => {
  const samples = parseMetrics(page);
  assert.deepEqual([0.1, 0.5, 0.9, 0.99].map((share) => histogramBound(samples, 'dmg_h', share)), [0.005, 0.05, 0.05, Infinity]);
  assert.equal(histogramBound(samples, 'dmg_other', 0.5), undefined);
});
