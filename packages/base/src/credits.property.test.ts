import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteCredits } from './credits.ts';

type Step =
  { readonly kind: 'take'; readonly bytes: number } | { readonly kind: 'give' } | { readonly kind: 'abort'; readonly which: number };

// Small, so that exact fits are frequent.
const capacityBytes = 8;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 0, max: capacityBytes }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('give' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), which: fc.nat(20) }) },
);

interface Taker {
  readonly id: number;
  readonly bytes: number;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

/** Lets every promise that can settle do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Drives a pool as many takers would, and keeps account of it beside. */
class Driver {
  readonly pool = new ByteCredits(capacityBytes);
  waiting: Taker[] = [];
  held: Taker[] = [];
  readonly granted: number[] = [];
  readonly asked: number[] = [];
  readonly aborted = new Set<number>();
  #next = 0;

  async apply(step: Step): Promise<void> {
    if (step.kind === 'take') this.#take(step.bytes);
    else if (step.kind === 'give') this.#give();
    else this.#abort(step.which);
    await settle();
  }

  #take(bytes: number): void {
    const id = this.#next++;
    const controller = new AbortController();
    const taken = this.pool.take(bytes, controller.signal);
    const taker: Taker = {
      id,
      bytes,
      controller,
      done: taken.then(
        () => {
          this.waiting = this.waiting.filter((other) => other !== taker);
          this.held.push(taker);
          this.granted.push(id);
        },
        () => {
          this.waiting = this.waiting.filter((other) => other !== taker);
        },
      ),
    };
    this.asked.push(id);
    this.waiting.push(taker);
  }

  #give(): void {
    const taker = this.held.shift();
    if (taker !== undefined) this.pool.give(taker.bytes);
  }

  #abort(which: number): void {
    const taker = this.waiting[which];
    if (taker === undefined) return;
    this.aborted.add(taker.id);
    taker.controller.abort(new Error('given up'));
  }

  get heldBytes(): number {
    return this.held.reduce((sum, taker) => sum + taker.bytes, 0);
  }
}

test('credits are never above capacity, never lost, and given in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const driver = new Driver();
      for (const each of steps) {
        await driver.apply(each);
        assert.equal(driver.pool.usedBytes, driver.heldBytes, 'the pool agrees with what its takers hold');
        assert.ok(driver.heldBytes <= capacityBytes, 'never above capacity');
        const [first] = driver.waiting;
        if (first !== undefined) assert.ok(first.bytes > capacityBytes - driver.heldBytes, 'the first waiter has a reason to wait');
      }
      while (driver.held.length > 0) await driver.apply({ kind: 'give' });
      assert.deepEqual(driver.waiting, [], 'nobody waits for ever');
      assert.deepEqual(
        driver.granted,
        driver.asked.filter((id) => !driver.aborted.has(id)),
        'first come, first served',
      );
      assert.equal(driver.pool.usedBytes, 0);
    }),
    { numRuns: 150 },
  );
});
