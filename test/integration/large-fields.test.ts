import assert from 'node:assert/strict';
import { test } from 'node:test';
import { largeFieldCases, runLargeField } from '../fault/large-fields.ts';

// `npm run fault -- --suite parsers` does the same with a gigabyte, and with more kinds.
const sizes: Readonly<Record<string, number>> = {
  'a quote that is never closed': 128_000_000,
  'a file of zeros': 128_000_000,
  'a quote near the end that is never closed': 24_000_000,
};

for (const [name, bytes] of Object.entries(sizes)) {
  test(`${name}, ${bytes / 1e6} MB: the exact place, memory bounded, nothing to be seen`, async (t) => {
    const large = largeFieldCases(bytes).find((each) => each.name === name);
    assert.ok(large !== undefined);
    const verdict = await runLargeField(t, large);
    t.diagnostic(`${Math.round(verdict.memoryBytes / 1e6)} MB of memory, ${Math.round(verdict.ms)} ms`);
    assert.deepEqual(verdict.problems, []);
  });
}
