import assert from 'node:assert/strict';

/**
 * The slots of one node (DESIGN §6, DESIGN-RULES 20). A slot is a name in the kernel, held by the process that bound it; this
 * table is what the host knows about those names.
 *
 * States of a slot (a slot without an entry is free):
 * - `starting`  a process of ours was started and asked to bind the name; nothing is reserved yet.
 * - `idle`      a process of ours holds the name and waits for work.
 * - `reserved`  that process runs an attempt.
 * - `carried`   the process of a reserved slot is gone, its attempt is not over: a fresh process is to go on in its place. It is
 *               the same reservation, so a limit lowered meanwhile does not end it.
 * - `leaving`   a process of ours is about to end and may still hold the name; `busy` when it was killed over an attempt.
 * - `foreign`   a process that is not ours holds the name: a leftover of a former host.
 *
 * A slot is *used* in the states reserved, carried, foreign, and leaving when busy. A *claim* is an attempt that waits for a
 * process to become idle; it holds no slot and is dropped when none can be had.
 *
 * Invariants: each reservation happens with used < limit; no name is bound at or above the limit, apart from carried ones; a
 * process holds at most one slot; lowering the limit ends nothing.
 */
export type SlotPlace =
  | { readonly state: 'starting'; readonly executorId: number }
  | { readonly state: 'idle'; readonly executorId: number }
  | { readonly state: 'reserved'; readonly executorId: number; readonly attemptId: string }
  | { readonly state: 'carried'; readonly attemptId: string; readonly executorId: number | undefined }
  | { readonly state: 'leaving'; readonly executorId: number; readonly busy: boolean }
  | { readonly state: 'foreign' };

export interface SlotTable {
  readonly limit: number;
  readonly places: ReadonlyMap<number, SlotPlace>;
  /** Attempts that wait for a process, oldest first. */
  readonly claims: readonly string[];
}

export function emptySlotTable(limit: number): SlotTable {
  assert(Number.isInteger(limit) && limit >= 0, 'a limit is a whole number');
  return { limit, places: new Map(), claims: [] };
}

/** How many slots count against the limit. */
export function usedSlots(table: SlotTable): number {
  let used = 0;
  for (const place of table.places.values()) if (isUsed(place)) used++;
  return used;
}

function isUsed(place: SlotPlace): boolean {
  switch (place.state) {
    case 'starting':
    case 'idle':
      return false;
    case 'leaving':
      return place.busy;
    case 'reserved':
    case 'carried':
    case 'foreign':
      return true;
  }
}

/** Changes how many may be reserved from now on; ends nothing. */
export function setSlotLimit(table: SlotTable, limit: number): SlotTable {
  assert(Number.isInteger(limit) && limit >= 0, 'a limit is a whole number');
  return { ...table, limit };
}

/** Admits an attempt to wait for a process; undefined when those that wait would fill the limit. */
export function claimSlot(table: SlotTable, attemptId: string): SlotTable | undefined {
  assert(!table.claims.includes(attemptId), 'an attempt claims once');
  if (usedSlots(table) + table.claims.length >= table.limit) return undefined;
  return { ...table, claims: [...table.claims, attemptId] };
}

export function dropClaim(table: SlotTable, attemptId: string): SlotTable {
  return { ...table, claims: table.claims.filter((claim) => claim !== attemptId) };
}

/** Gives the claim's attempt an idle process; undefined when used has reached the limit or no process is idle. */
export function reserveSlot(table: SlotTable, attemptId: string): { table: SlotTable; executorId: number } | undefined {
  assert(table.claims.includes(attemptId), 'only an attempt that claimed is reserved for');
  if (usedSlots(table) >= table.limit) return undefined;
  const found = idleSlot(table);
  if (found === undefined) return undefined;
  const [slot, executorId] = found;
  return { table: withPlace(dropClaim(table, attemptId), slot, { state: 'reserved', executorId, attemptId }), executorId };
}

/** The attempt is over and its process is fit for another one. */
export function releaseSlot(table: SlotTable, executorId: number): SlotTable {
  const [slot, place] = placeOf(table, executorId);
  assert(place.state === 'reserved', 'only a reserved slot is released');
  return withPlace(table, slot, { state: 'idle', executorId });
}

/** The name that the next process should bind; undefined when all below the limit are taken. */
export function bindableSlot(table: SlotTable): number | undefined {
  for (let slot = 0; slot < table.limit; slot++) if (!table.places.has(slot)) return slot;
  return undefined;
}

export function startBinding(table: SlotTable, slot: number, executorId: number): SlotTable {
  assert(!table.places.has(slot), 'only a free name is asked for');
  assert(slot < table.limit, 'no name at or above the limit is bound');
  return withPlace(table, slot, { state: 'starting', executorId });
}

/** The process says that it holds its name. Returns the attempt that goes on in it, where the slot was carried. */
export function slotBound(table: SlotTable, executorId: number): { table: SlotTable; resumes: string | undefined } {
  const [slot, place] = placeOf(table, executorId);
  if (place.state === 'carried') {
    const { attemptId } = place;
    return { table: withPlace(table, slot, { state: 'reserved', executorId, attemptId }), resumes: attemptId };
  }
  assert(place.state === 'starting', 'a process binds its name once');
  return { table: withPlace(table, slot, { state: 'idle', executorId }), resumes: undefined };
}

/** The process found its name taken by another. Returns the attempt that cannot go on, where the slot was carried. */
export function slotTaken(table: SlotTable, executorId: number): { table: SlotTable; strands: string | undefined } {
  const [slot, place] = placeOf(table, executorId);
  assert(place.state === 'starting' || place.state === 'carried', 'only a process that binds finds its name taken');
  return { table: withPlace(table, slot, { state: 'foreign' }), strands: place.state === 'carried' ? place.attemptId : undefined };
}

/** The process will end: it was told to, or killed. Its name is not free, and a slot that was reserved stays used, until it is gone. */
export function slotLeaving(table: SlotTable, executorId: number): SlotTable {
  const [slot, place] = placeOf(table, executorId);
  assert(place.state !== 'carried', 'a carried slot is stranded first');
  return withPlace(table, slot, { state: 'leaving', executorId, busy: place.state === 'reserved' });
}

/** The process is gone and so is its name. */
export function executorGone(table: SlotTable, executorId: number): { table: SlotTable; strands: string | undefined } {
  const found = findPlace(table, executorId);
  if (found === undefined) return { table, strands: undefined };
  const [slot, place] = found;
  return { table: withPlace(table, slot, undefined), strands: place.state === 'carried' ? place.attemptId : undefined };
}

/**
 * The process of a reserved slot is gone, its attempt goes on in another: in an idle one at once (`executorId`), else in a fresh
 * process that is to bind the name of `slot` again.
 */
export function carrySlot(table: SlotTable, goneId: number): { table: SlotTable; slot: number; executorId: number | undefined } {
  const [slot, place] = placeOf(table, goneId);
  assert(place.state === 'reserved', 'only a reservation is carried');
  const { attemptId } = place;
  const found = idleSlot(table);
  if (found === undefined) {
    return { table: withPlace(table, slot, { state: 'carried', attemptId, executorId: undefined }), slot, executorId: undefined };
  }
  const [other, executorId] = found;
  const freed = withPlace(table, slot, undefined);
  return { table: withPlace(freed, other, { state: 'reserved', executorId, attemptId }), slot: other, executorId };
}

/** Names the fresh process that is to bind a carried slot's name. */
export function rebindCarried(table: SlotTable, slot: number, executorId: number): SlotTable {
  const place = table.places.get(slot);
  assert(place?.state === 'carried' && place.executorId === undefined, 'only a carried slot is bound again');
  return withPlace(table, slot, { ...place, executorId });
}

/** Gives up carrying: the attempt is over without a process. */
export function dropCarried(table: SlotTable, attemptId: string): SlotTable {
  for (const [slot, place] of table.places) {
    if (place.state !== 'carried' || place.attemptId !== attemptId) continue;
    const { executorId } = place;
    return withPlace(table, slot, executorId === undefined ? undefined : { state: 'leaving', executorId, busy: false });
  }
  return table;
}

/**
 * What the kernel's list of names says is held by processes that are not ours. A name that we hold or are about to bind is left
 * alone: binding decides. A foreign name that is no longer listed is free.
 */
export function seeForeign(table: SlotTable, held: ReadonlySet<number>): SlotTable {
  const places = new Map(table.places);
  for (const [slot, place] of table.places) if (place.state === 'foreign' && !held.has(slot)) places.delete(slot);
  for (const slot of held) if (!places.has(slot)) places.set(slot, { state: 'foreign' });
  return { ...table, places };
}

/** How many processes to start now so that every claim is served and `warm` processes wait; never more than names are free. */
export function executorsWanted(table: SlotTable, warm: number): number {
  const room = Math.max(0, table.limit - usedSlots(table));
  const wanted = Math.min(room, table.claims.length + warm);
  let ours = 0;
  for (const [slot, place] of table.places) {
    if ((place.state === 'starting' || place.state === 'idle') && slot < table.limit) ours++;
  }
  let names = 0;
  for (let slot = 0; slot < table.limit; slot++) if (!table.places.has(slot)) names++;
  return Math.max(0, Math.min(wanted - ours, names));
}

/** Claims for which no process is idle, starting, or can be started: the newest ones, to be refused. */
export function hopelessClaims(table: SlotTable): readonly string[] {
  const room = Math.max(0, table.limit - usedSlots(table));
  return table.claims.slice(room);
}

/** Idle processes that hold a name at or above the limit; they are to end. */
export function idleAboveLimit(table: SlotTable): readonly number[] {
  const ids: number[] = [];
  for (const [slot, place] of table.places) if (place.state === 'idle' && slot >= table.limit) ids.push(place.executorId);
  return ids;
}

/** The lowest idle slot below the limit: low names stay busy, so that a lowered limit finds the high ones unused. */
function idleSlot(table: SlotTable): [slot: number, executorId: number] | undefined {
  let lowest: [number, number] | undefined;
  for (const [slot, place] of table.places) {
    if (place.state !== 'idle' || slot >= table.limit) continue;
    if (lowest === undefined || slot < lowest[0]) lowest = [slot, place.executorId];
  }
  return lowest;
}

function findPlace(table: SlotTable, executorId: number): [number, SlotPlace] | undefined {
  for (const [slot, place] of table.places) if (place.state !== 'foreign' && place.executorId === executorId) return [slot, place];
  return undefined;
}

function placeOf(table: SlotTable, executorId: number): [number, SlotPlace] {
  const found = findPlace(table, executorId);
  assert(found !== undefined, 'the process holds a slot');
  return found;
}

function withPlace(table: SlotTable, slot: number, place: SlotPlace | undefined): SlotTable {
  const places = new Map(table.places);
  if (place === undefined) places.delete(slot);
  else places.set(slot, place);
  return { ...table, places };
}
