import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bindableSlot, carrySlot, claimSlot, dropCarried, dropClaim, emptySlotTable, executorGone, executorsWanted, hopelessClaims, idleAboveLimit,
  rebindCarried, releaseSlot, reserveSlot, seeForeign, setSlotLimit, slotBound, slotLeaving, slotTaken, type SlotTable,
  startBinding, usedSlots,
} from './slot-machine.ts';

/**
 * A small world: processes of ours and of strangers, and the kernel's list of names, which alone decides who holds what. The table
 * under test sees of it only what a host would be told.
 */
class World {
  table: SlotTable = emptySlotTable(4);
  /** Names in the kernel and who holds them; strangers are negative. */
  readonly kernel = new Map<number, number>();
  readonly asked = new Map<number, number>();
  readonly running = new Map<number, string>();
  readonly leaving = new Set<number>();
  #sequence = 0;

  start(slot = bindableSlot(this.table)): void {
    if (slot === undefined) return;
    const id = ++this.#sequence;
    this.asked.set(id, slot);
    this.table = startBinding(this.table, slot, id);
  }

  bind(id: number): void {
    const slot = this.asked.get(id);
    assert(slot !== undefined);
    this.asked.delete(id);
    if (this.kernel.has(slot)) {
      this.table = slotTaken(this.table, id).table;
      return;
    }
    this.kernel.set(slot, id);
    const bound = slotBound(this.table, id);
    this.table = bound.table;
    if (bound.resumes !== undefined) this.running.set(id, bound.resumes);
  }

  claim(): void {
    const id = `attempt-${++this.#sequence}`;
    this.table = claimSlot(this.table, id) ?? this.table;
    for (const claim of hopelessClaims(this.table)) this.table = dropClaim(this.table, claim);
  }

  reserve(attemptId: string): void {
    const usedBefore = usedSlots(this.table);
    const reserved = reserveSlot(this.table, attemptId);
    if (reserved === undefined) return;
    assert(usedBefore < this.table.limit, 'each reservation happens with used < limit');
    const namesOfOthersInUse = [...this.kernel.values()].filter((holder) => holder >= 0 && this.running.has(holder)).length;
    assert(namesOfOthersInUse < this.table.limit, 'fewer attempts run than the limit when another is admitted');
    assert(!this.running.has(reserved.executorId), 'an executor runs one attempt');
    assert([...this.kernel.values()].includes(reserved.executorId), 'only a process that holds its name gets an attempt');
    this.table = reserved.table;
    this.running.set(reserved.executorId, attemptId);
  }

  end(id: number): void {
    this.running.delete(id);
    this.table = releaseSlot(this.table, id);
  }

  die(id: number, carry: boolean): void {
    for (const [slot, holder] of this.kernel) if (holder === id) this.kernel.delete(slot);
    this.asked.delete(id);
    this.leaving.delete(id);
    const attemptId = this.running.get(id);
    this.running.delete(id);
    if (!carry || attemptId === undefined) {
      this.table = executorGone(this.table, id).table;
      return;
    }
    const usedBefore = usedSlots(this.table);
    const carried = carrySlot(this.table, id);
    assert.equal(usedSlots(carried.table), usedBefore, 'carrying is no new reservation');
    this.table = carried.table;
    if (carried.executorId !== undefined) {
      this.running.set(carried.executorId, attemptId);
      return;
    }
    const fresh = ++this.#sequence;
    this.table = rebindCarried(this.table, carried.slot, fresh);
    this.asked.set(fresh, carried.slot);
  }

  retire(id: number): void {
    this.table = slotLeaving(this.table, id);
    this.leaving.add(id);
  }

  ours(): number[] {
    return [...this.kernel.values()].filter((holder) => holder >= 0);
  }

  check(): void {
    const holders = [...this.table.places.values()].flatMap((place) => (place.state === 'foreign' ? [] : [place.executorId]));
    const known = holders.filter((id) => id !== undefined);
    assert.equal(new Set(known).size, known.length, 'a process holds one slot');
    assert(usedSlots(this.table) >= this.running.size, 'every running attempt counts as used');
    assert(executorsWanted(this.table, 2) >= 0);
    for (const [slot, holder] of this.kernel) {
      if (holder < 0) continue;
      const place = this.table.places.get(slot);
      assert(place !== undefined && place.state !== 'foreign' && place.executorId === holder, 'the table knows what our processes hold');
    }
  }
}

type Action = { readonly kind: string; readonly pick: number };
const kinds = [
  'start', 'start', 'bind', 'bind', 'bind', 'claim', 'claim', 'reserve', 'reserve', 'end', 'die',
  'dieCarried', 'retire', 'limit', 'stranger', 'strangerGone', 'scan', 'dropCarried',
];
const action = fc.record({ kind: fc.constantFrom(...kinds), pick: fc.nat(1000) });
const actions = fc.array(action, { minLength: 10, maxLength: 100, size: 'max' });

function pickOf<T>(list: readonly T[], pick: number): T | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}

function act(world: World, { kind, pick }: Action): void {
  switch (kind) {
    case 'start': if (executorsWanted(world.table, 2) > 0) world.start(); break;
    case 'bind': { const id = pickOf([...world.asked.keys()], pick); if (id !== undefined) world.bind(id); break; }
    case 'claim': world.claim(); break;
    case 'reserve': { const claim = world.table.claims[0]; if (claim !== undefined) world.reserve(claim); break; }
    case 'end': { const id = pickOf([...world.running.keys()], pick); if (id !== undefined) world.end(id); break; }
    case 'die': { const id = pickOf(world.ours(), pick); if (id !== undefined) world.die(id, false); break; }
    case 'dieCarried': { const id = pickOf([...world.running.keys()], pick); if (id !== undefined) world.die(id, true); break; }
    case 'retire': {
      const id = pickOf(world.ours().filter((one) => !world.running.has(one)), pick);
      if (id !== undefined) world.retire(id);
      break;
    }
    case 'limit':
      world.table = setSlotLimit(world.table, pick % 6);
      for (const id of idleAboveLimit(world.table)) world.retire(id);
      for (const claim of hopelessClaims(world.table)) world.table = dropClaim(world.table, claim);
      break;
    case 'stranger': if (!world.kernel.has(pick % 6)) world.kernel.set(pick % 6, -1); break;
    case 'strangerGone': if (world.kernel.get(pick % 6) === -1) world.kernel.delete(pick % 6); break;
    case 'scan': {
      const foreign = [...world.kernel].filter(([, holder]) => holder < 0).map(([slot]) => slot);
      world.table = seeForeign(world.table, new Set(foreign));
      for (const claim of hopelessClaims(world.table)) world.table = dropClaim(world.table, claim);
      break;
    }
    case 'dropCarried': {
      const carried = [...world.table.places.values()].find((place) => place.state === 'carried');
      if (carried?.state !== 'carried') break;
      const id = carried.executorId;
      if (id !== undefined) world.asked.delete(id);
      world.table = dropCarried(world.table, carried.attemptId);
      if (id !== undefined) world.table = executorGone(world.table, id).table;
      break;
    }
    default: assert.fail(kind);
  }
}

test('slots: each reservation happens with used < limit, whatever processes, strangers and limits do', () => {
  let reservations = 0;
  fc.assert(fc.property(actions, (list) => {
    const world = new World();
    for (const action of list) {
      const before = world.running.size;
      act(world, action);
      if (world.running.size > before) reservations++;
      world.check();
    }
  }), { numRuns: 300 });
  assert(reservations > 100, `the property saw reservations (${reservations})`);
});

test('slots: every admitted claim can be served once leaving processes are gone and new ones have started', () => {
  fc.assert(fc.property(actions, (list) => {
    const world = new World();
    for (const action of list) act(world, action);
    for (const claim of hopelessClaims(world.table)) world.table = dropClaim(world.table, claim);
    for (const id of world.leaving) world.die(id, false);
    for (let wanted = executorsWanted(world.table, 0); wanted > 0; wanted--) world.start();
    for (const id of [...world.asked.keys()]) {
      if (!world.kernel.has(world.asked.get(id) ?? -1)) world.bind(id);
    }
    const strangersUnseen = [...world.kernel].some(([slot, holder]) => holder < 0 && world.table.places.get(slot)?.state !== 'foreign');
    if (strangersUnseen) return;
    for (const claim of world.table.claims) world.reserve(claim);
    assert.deepEqual(world.table.claims, []);
  }), { numRuns: 300 });
});
