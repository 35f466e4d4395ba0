import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { endChecks } from './end-checks.ts';
import { Bench, type ContractCheck, type MakeFixture } from './fixture.ts';
import { sideFileChecks } from './side-file-checks.ts';
import { sourceChecks } from './source-checks.ts';
import { writeChecks } from './write-checks.ts';

/** What every connector of byte-addressable objects must do; each is a plain function, so that it can also be seen to fail. */
export const contractChecks: readonly ContractCheck[] = [...sourceChecks, ...writeChecks, ...endChecks, ...sideFileChecks];

/** Registers the contract as tests, one a check, each with an empty store of its own. */
export function connectorContract(options: { name: string; makeFixture: MakeFixture }): void {
  describe(`contract of ${options.name}`, () => {
    for (const check of contractChecks) test(check.name, () => runCheck(check, options.makeFixture));
  });
}

/** Runs one check; throws what it found. */
export async function runCheck(check: ContractCheck, makeFixture: MakeFixture): Promise<void> {
  const fixture = await makeFixture();
  const bench = new Bench(fixture);
  const failures: unknown[] = [];
  const attempt = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  };
  await attempt(() => check.run(bench));
  await attempt(() => bench.close());
  if (failures.length === 0) await attempt(async () => assert.equal(await fixture.openHandles(), 0, 'something is still open'));
  await attempt(() => fixture.close());
  if (failures.length > 0) throw failures[0];
}

export interface CheckFailure {
  readonly check: string;
  readonly reason: string;
}

/** Runs the whole contract in this process and says what failed. */
export async function contractFailures(makeFixture: MakeFixture): Promise<CheckFailure[]> {
  const failures: CheckFailure[] = [];
  for (const check of contractChecks) {
    try {
      await runCheck(check, makeFixture);
    } catch (error) {
      failures.push({ check: check.name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return failures;
}
