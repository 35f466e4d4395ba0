import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bindableSlot, carrySlot, claimSlot, emptySlotTable, executorGone, executorsWanted, hopelessClaims, idleAboveLimit, rebindCarried,
  releaseSlot,  reserveSlot, seeForeign, setSlotLimit, slotBound, slotLeaving, slotTaken, type SlotTable, startBinding, usedSlots,
} from './slot-machine.ts';

function bound(table: SlotTable, executorId: number): SlotTable {
  const slot = bindableSlot(table);
  assert(slot !== undefined);
  return slotBound(startBinding(table, slot, executorId), executorId).table;
}

function reserved(table: SlotTable, attemptId: string): SlotTable {
  const claimed = claimSlot(table, attemptId);
  assert(claimed !== undefined, 'the claim is admitted');
  const done = reserveSlot(claimed, attemptId);
  assert(done !== undefined, 'the slot is reserved');
  return done.table;
}

test('a lowered limit ends nothing and admits nothing until usage is below it', () => {
  let table = [1, 2, 3].reduce(bound, emptySlotTable(3));
  for (const id of ['a', 'b', 'c']) table = reserved(table, id);
  table = setSlotLimit(table, 2);
  assert.equal(usedSlots(table), 3);
  assert.equal(claimSlot(table, 'd'), undefined);
  table = releaseSlot(table, 1);
  assert.equal(claimSlot(table, 'd'), undefined, 'two of two are used');
  table = releaseSlot(table, 3);
  assert.deepEqual(idleAboveLimit(table), [3]);
  table = reserved(table, 'd');
  assert.deepEqual(table.places.get(0), { state: 'reserved', executorId: 1, attemptId: 'd' });
});

test('a limit lowered between claim and reservation refuses the claim', () => {
  let table = bound(emptySlotTable(1), 1);
  const claimed = claimSlot(table, 'a');
  assert(claimed !== undefined);
  table = setSlotLimit(claimed, 0);
  assert.equal(reserveSlot(table, 'a'), undefined);
  assert.deepEqual(hopelessClaims(table), ['a']);
});

test('leftovers of a former host count as used until they are gone', () => {
  let table = seeForeign(emptySlotTable(2), new Set([0, 5]));
  assert.equal(usedSlots(table), 2);
  assert.equal(claimSlot(table, 'a'), undefined);
  table = seeForeign(table, new Set([0]));
  assert.equal(bindableSlot(table), 1);
  table = reserved(bound(table, 1), 'a');
  assert.deepEqual(table.places.get(1), { state: 'reserved', executorId: 1, attemptId: 'a' });
  assert.equal(claimSlot(table, 'b'), undefined);
});

test('a name found taken is foreign until the kernel no longer lists it', () => {
  let table = startBinding(emptySlotTable(1), 0, 1);
  table = slotTaken(table, 1).table;
  assert.equal(usedSlots(table), 1);
  assert.equal(executorsWanted(table, 2), 0);
  table = executorGone(table, 1).table;
  assert.equal(usedSlots(table), 1);
  table = seeForeign(table, new Set());
  assert.equal(executorsWanted(table, 2), 1);
});

test('a carried slot stays one reservation, also below a lowered limit', () => {
  let table = reserved(bound(emptySlotTable(1), 1), 'a');
  table = setSlotLimit(table, 0);
  const carried = carrySlot(table, 1);
  assert.equal(carried.executorId, undefined);
  assert.equal(usedSlots(carried.table), 1);
  const again = slotBound(rebindCarried(carried.table, carried.slot, 2), 2);
  assert.equal(again.resumes, 'a');
  assert.equal(usedSlots(again.table), 1);
});

test('a process that ends idle is not counted, one that was killed over an attempt is until it is gone', () => {
  const ended = slotLeaving(bound(emptySlotTable(1), 1), 1);
  assert.equal(usedSlots(ended), 0);
  const waiting = claimSlot(ended, 'a');
  assert(waiting !== undefined, 'the claim waits for the name');
  assert.equal(executorsWanted(waiting, 0), 0, 'the name is not free yet');
  assert.equal(executorsWanted(executorGone(waiting, 1).table, 0), 1);
  const killed = slotLeaving(reserved(bound(emptySlotTable(1), 1), 'a'), 1);
  assert.equal(claimSlot(killed, 'b'), undefined);
});

test('processes are started for claims and kept warm, never beyond the limit', () => {
  assert.equal(executorsWanted(emptySlotTable(8), 2), 2);
  assert.equal(executorsWanted(emptySlotTable(1), 2), 1);
  let table = [1, 2].reduce(bound, emptySlotTable(8));
  assert.equal(executorsWanted(table, 2), 0);
  table = reserved(table, 'a');
  assert.equal(executorsWanted(table, 2), 1);
  table = claimSlot(claimSlot(table, 'b') ?? table, 'c') ?? table;
  assert.equal(executorsWanted(table, 2), 3);
});
