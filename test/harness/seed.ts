import { randomInt } from 'node:crypto';
import { type Random, seededRandom } from '@dmg/base';

/** The seed of this run: `DMG_SEED`, or a random one. Printed with the test, so that a failure can be repeated. */
export function testSeed(context: { diagnostic(message: string): void }): number {
  const given = process.env['DMG_SEED'];
  const seed = given === undefined || given === '' ? randomInt(2 ** 31) : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`DMG_SEED must be an integer, not "${given}"`);
  context.diagnostic(`DMG_SEED=${seed}`);
  return seed;
}

/** Randomness from this run's seed. */
export function testRandom(context: { diagnostic(message: string): void }): Random {
  return seededRandom(testSeed(context));
}
