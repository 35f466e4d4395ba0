import { ManualClock } from '@dmg/base';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Drain } from './drain.ts';

function fixture(): { clock: ManualClock; drain: Drain; handOvers: () => number } {
  const clock = new ManualClock();
  let count = 0;
  return { clock, drain: new Drain({ clock, handOver: () => void count++ }), handOvers: () => count };
}

test('the grace of a drain counts from its beginning, however often the same is asked for again', () => {
  const { clock, drain, handOvers } = fixture();
  for (let round = 0; round < 9; round++) {
    drain.set({ graceMs: 1_000 });
    clock.advance(111);
  }
  assert.equal(handOvers(), 0);
  clock.advance(1);
  assert.equal(handOvers(), 1);
  drain.set({ graceMs: 1_000 });
  clock.advance(5_000);
  assert.equal(handOvers(), 1, 'once a drain');
  assert(drain.active && drain.evidence.includes('by the user'));
});

test('a changed grace counts from the beginning too; a drain taken back hands nothing over, and the next one begins anew', () => {
  const { clock, drain, handOvers } = fixture();
  drain.set({ graceMs: 60_000 });
  clock.advance(2_000);
  drain.set({ graceMs: 1_000 });
  clock.advance(0);
  assert.equal(handOvers(), 1);
  drain.set(undefined);
  assert(!drain.active);
  drain.set({ graceMs: 1_000 });
  clock.advance(500);
  drain.set(undefined);
  clock.advance(5_000);
  assert.equal(handOvers(), 1);
  drain.set({ graceMs: 1_000 });
  clock.advance(999);
  assert.equal(handOvers(), 1);
  clock.advance(1);
  assert.equal(handOvers(), 2);
});

test('a grace of more than a month is not over at once', () => {
  const { clock, drain, handOvers } = fixture();
  const monthMs = 31 * 86_400_000;
  drain.set({ graceMs: monthMs });
  clock.advance(monthMs - 1);
  assert.equal(handOvers(), 0);
  clock.advance(1);
  assert.equal(handOvers(), 1);
});

test('the last drain cannot be taken back, and is over when the first of the two graces is', () => {
  const { clock, drain, handOvers } = fixture();
  drain.set({ graceMs: 1_000 });
  clock.advance(900);
  drain.last(5_000);
  drain.set(undefined);
  assert(drain.active && drain.evidence.includes('shutting down'));
  clock.advance(100);
  assert.equal(handOvers(), 1);
});
