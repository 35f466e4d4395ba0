import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { contractChecks, contractFailures } from '../contract/contract.ts';
import { memoryFixture } from '../contract/memory-fixture.ts';
import { brokenConnectors } from './broken-connectors.ts';

const caught: { broken: string; failed: number; first: string }[] = [];

test('the contract holds for the connector that the broken ones are made from', async () => {
  assert.deepEqual(await contractFailures(() => memoryFixture()), []);
});

for (const [name, breaks] of Object.entries(brokenConnectors)) {
  test(`the contract catches a connector that ${name}`, async () => {
    const failures = await contractFailures(() => memoryFixture(breaks));
    caught.push({ broken: name, failed: failures.length, first: failures[0]?.check ?? 'NOT CAUGHT' });
    assert.notEqual(failures.length, 0);
  });
}

after(() => {
  const lines = caught.map(
    ({ broken, failed, first }) => `  ${broken.padEnd(64)} ${String(failed).padStart(2)} of ${contractChecks.length}  ${first}`,
  );
  process.stdout.write(`broken connectors, checks that failed, the first of them\n${lines.join('\n')}\n`);
});
