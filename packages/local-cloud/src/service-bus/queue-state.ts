import { MinHeap } from './min-heap.ts';
import { SubQueue } from './sub-queue.ts';
import type {
  Area, Outcome, PropertyChanges, QueueCounts, QueueMessage, QueueRecord, QueueSettings, SettleResult,
} from './queue-types.ts';

/**
 * One queue with its dead-letter queue: storing, handing out, locks, delivery counts, duplicates, schedules, expiry. No I/O, no
 * clock, no random: times and lock tokens come in, records go out through `emit`.
 *
 * A message is: waiting for the journal (`durable` false) → scheduled | active → locked → removed | active again | deferred |
 * dead. The caller's duties:
 * 1. Write each emitted record to the journal, in order.
 * 2. Call `confirm` when the record of `enqueue` is durable; only then is the message handed out and the sender answered.
 * 3. Call `advance` when `nextDueMs` has come.
 * 4. After replaying a journal with `apply`, call `recover` once.
 */
export class QueueState {
  readonly name: string;
  #settings: QueueSettings;
  readonly #emit: (record: QueueRecord, payload?: Uint8Array) => void;
  readonly #areas: Record<Area, SubQueue> = { main: new SubQueue(), dead: new SubQueue() };
  readonly #due = new MinHeap<DueEntry>();
  /** Message ids seen and until when, oldest first. */
  readonly #seen = new Map<string, number>();

  constructor(options: { name: string; settings: QueueSettings; emit: (record: QueueRecord, payload?: Uint8Array) => void }) {
    this.name = options.name;
    this.#settings = options.settings;
    this.#emit = options.emit;
  }

  get settings(): QueueSettings {
    return this.#settings;
  }

  configure(settings: QueueSettings): void {
    this.#settings = settings;
    this.#emit({ t: 'settings', settings });
  }

  /** Stores a message, or finds that its id was seen within the window. */
  enqueue(
    input: { idKey: string; payload: Uint8Array; timeToLiveMs?: number | undefined; dueMs?: number | undefined },
    nowMs: number,
  ): { kind: 'stored'; sequence: number } | { kind: 'duplicate' } {
    this.advance(nowMs);
    const { duplicateWindowMs } = this.#settings;
    if (duplicateWindowMs > 0 && (this.#seen.get(input.idKey) ?? 0) > nowMs) return { kind: 'duplicate' };
    const dueMs = input.dueMs !== undefined && input.dueMs > nowMs ? input.dueMs : undefined;
    const lifeMs = Math.min(input.timeToLiveMs ?? Infinity, this.#settings.timeToLiveMs ?? Infinity);
    const record: QueueRecord = {
      t: 'in',
      a: 'main',
      s: this.#areas.main.nextSequence,
      k: input.idKey,
      at: nowMs,
      ...(lifeMs === Infinity ? {} : { exp: (dueMs ?? nowMs) + lifeMs }),
      ...(dueMs === undefined ? {} : { due: dueMs, st: 'scheduled' as const }),
      ...(duplicateWindowMs > 0 ? { dup: nowMs + duplicateWindowMs } : {}),
    };
    this.#insert(record, input.payload, false);
    this.#emit(record, input.payload);
    return { kind: 'stored', sequence: record.s };
  }

  /** The journal has the message: from now on it may be handed out. */
  confirm(sequence: number): void {
    const message = this.#areas.main.get(sequence);
    if (message === undefined || message.durable) return;
    message.durable = true;
    this.#areas.main.offer(message);
  }

  /** Hands out the first message under a lock. */
  lockNext(area: Area, token: string, nowMs: number): QueueMessage | undefined {
    this.advance(nowMs);
    const message = this.#areas[area].first();
    if (message !== undefined) this.#lock(area, message, token, nowMs);
    return message;
  }

  /** Hands out the first message and forgets it (receive mode `receiveAndDelete`). */
  takeNext(area: Area, nowMs: number): QueueMessage | undefined {
    this.advance(nowMs);
    const message = this.#areas[area].first();
    if (message !== undefined) this.#remove(area, message);
    return message;
  }

  /** True when `lockNext` would give a message. */
  hasAvailable(area: Area): boolean {
    return this.#areas[area].first() !== undefined;
  }

  /** A deferred message by its number; with a token under a lock, without one it is removed. */
  takeDeferred(area: Area, sequence: number, token: string | undefined, nowMs: number): QueueMessage | undefined {
    this.advance(nowMs);
    const message = this.deferred(area, sequence);
    if (message === undefined) return undefined;
    if (token === undefined) this.#remove(area, message);
    else this.#lock(area, message, token, nowMs);
    return message;
  }

  deferred(area: Area, sequence: number): QueueMessage | undefined {
    const message = this.#areas[area].get(sequence);
    return message?.state === 'deferred' && message.lock === undefined ? message : undefined;
  }

  /** True when `token` holds a lock now. */
  holds(area: Area, token: string, nowMs: number): boolean {
    this.advance(nowMs);
    return this.#areas[area].byToken(token) !== undefined;
  }

  settle(area: Area, token: string, outcome: Outcome, nowMs: number): SettleResult {
    this.advance(nowMs);
    const message = this.#areas[area].byToken(token);
    if (message === undefined) return 'lost';
    switch (outcome.type) {
      case 'complete':
        this.#remove(area, message);
        return 'settled';
      case 'abandon':
        this.#failDelivery(area, message, nowMs, outcome.changes);
        return 'settled';
      case 'defer':
        this.#areas[area].unlock(message);
        message.handedOut = false;
        message.state = 'deferred';
        message.changes = merge(message.changes, outcome.changes);
        this.#emit({ t: 'defer', a: area, s: message.sequence, ...(message.changes === undefined ? {} : { p: message.changes }) });
        this.#expireIfDue(area, message, nowMs);
        return 'settled';
      case 'deadLetter':
        if (area === 'dead') return 'refused';
        this.#moveToDead(message, nowMs, outcome.reason, outcome.description, outcome.changes);
        return 'settled';
    }
  }

  /** Prolongs a lock by the queue's lock time; undefined when it is lost. */
  renew(area: Area, token: string, nowMs: number): number | undefined {
    this.advance(nowMs);
    const message = this.#areas[area].byToken(token);
    if (message?.lock === undefined) return undefined;
    message.lock.untilMs = nowMs + this.#settings.lockMs;
    this.#due.push(message.lock.untilMs, { kind: 'lock', area, sequence: message.sequence });
    return message.lock.untilMs;
  }

  /** Messages from a number on, whatever their state; the dead-letter queue's in its own area. */
  peek(area: Area, fromSequence: number, count: number): QueueMessage[] {
    const found: QueueMessage[] = [];
    for (const message of this.#areas[area].all()) {
      if (found.length >= count) break;
      if (message.sequence >= fromSequence && message.durable) found.push(message);
    }
    return found;
  }

  /** Removes a scheduled message; false when there is none of that number. */
  cancelScheduled(sequence: number, nowMs: number): boolean {
    this.advance(nowMs);
    const message = this.#areas.main.get(sequence);
    if (message?.state !== 'scheduled') return false;
    this.#remove('main', message);
    return true;
  }

  /** Lets locks lapse, schedules start and messages expire that are due. */
  advance(nowMs: number): void {
    for (let entry = this.#due.peek(); entry !== undefined && entry.key <= nowMs; entry = this.#due.peek()) {
      this.#due.pop();
      const { kind, area, sequence } = entry.value;
      const message = this.#areas[area].get(sequence);
      if (message === undefined) continue;
      if (kind === 'lock' && message.lock !== undefined && message.lock.untilMs <= nowMs) this.#failDelivery(area, message, nowMs);
      if (kind === 'schedule') this.#activate(message);
      if (kind === 'expiry') this.#expireIfDue(area, message, nowMs);
    }
    for (const [key, untilMs] of this.#seen) {
      if (untilMs > nowMs) break;
      this.#seen.delete(key);
    }
  }

  /** When `advance` has something to do next. */
  nextDueMs(): number | undefined {
    return this.#due.peek()?.key;
  }

  counts(): QueueCounts {
    const counts = { active: 0, locked: 0, scheduled: 0, deferred: 0, deadLetter: this.#areas.dead.size };
    for (const message of this.#areas.main.all()) counts[message.lock === undefined ? message.state : 'locked']++;
    return counts;
  }

  /** Replays one record of the journal. */
  apply(record: QueueRecord, payload: Uint8Array | undefined): void {
    switch (record.t) {
      case 'settings':
        this.#settings = record.settings;
        return;
      case 'in':
        this.#insert(record, payload ?? new Uint8Array(), true);
        return;
      case 'seen':
        for (const [key, untilMs] of record.keys) this.#remember(key, untilMs);
        return;
      case 'next':
        this.#areas.main.nextSequence = Math.max(this.#areas.main.nextSequence, record.main);
        this.#areas.dead.nextSequence = Math.max(this.#areas.dead.nextSequence, record.dead);
        return;
      default:
        this.#applyChange(record);
    }
  }

  /** After the last `apply`: what was in somebody's hands at the crash has failed once more. */
  recover(nowMs: number): void {
    for (const area of ['main', 'dead'] as const) {
      for (const message of [...this.#areas[area].all()]) {
        if (message.handedOut) this.#failDelivery(area, message, nowMs);
      }
    }
    this.advance(nowMs);
  }

  /** Records that build this queue anew, without its locks. */
  *snapshot(): Generator<{ record: QueueRecord; payload?: Uint8Array }> {
    yield { record: { t: 'settings', settings: this.#settings } };
    yield { record: { t: 'seen', keys: [...this.#seen] } };
    for (const area of ['main', 'dead'] as const) {
      for (const message of this.#areas[area].all()) yield { record: describe(area, message), payload: message.payload };
    }
    yield { record: { t: 'next', main: this.#areas.main.nextSequence, dead: this.#areas.dead.nextSequence } };
  }

  #insert(record: InRecord, payload: Uint8Array, durable: boolean): void {
    const message: QueueMessage = {
      sequence: record.s,
      payload,
      idKey: record.k,
      enqueuedMs: record.at,
      expiresMs: record.exp,
      dueMs: record.due,
      state: record.st ?? 'active',
      deliveryCount: record.n ?? 0,
      changes: record.p,
      lock: undefined,
      durable,
      handedOut: record.h === 1,
    };
    this.#areas[record.a].insert(message);
    if (record.dup !== undefined) this.#remember(record.k, record.dup);
    if (message.state === 'scheduled' && message.dueMs !== undefined) this.#schedule(message.dueMs, 'schedule', record.a, message);
    if (message.expiresMs !== undefined && record.a === 'main') this.#schedule(message.expiresMs, 'expiry', record.a, message);
  }

  /** At the end of the map, also when the id was there before: the oldest come first. */
  #remember(key: string, untilMs: number): void {
    this.#seen.delete(key);
    this.#seen.set(key, untilMs);
  }

  #applyChange(record: Exclude<QueueRecord, { t: 'settings' | 'in' | 'seen' | 'next' }>): void {
    const area: Area = 'a' in record ? record.a : 'main';
    const message = this.#areas[area].get(record.s);
    if (message === undefined) return;
    switch (record.t) {
      case 'due':
        message.state = 'active';
        this.#areas[area].offer(message);
        return;
      case 'lock':
        message.handedOut = true;
        return;
      case 'back':
        message.handedOut = false;
        message.deliveryCount = record.n;
        message.changes = merge(message.changes, record.p);
        return;
      case 'defer':
        message.handedOut = false;
        message.state = 'deferred';
        message.changes = merge(message.changes, record.p);
        return;
      case 'out':
        this.#areas[area].remove(message);
        return;
      case 'dead':
        this.#areas.main.remove(message);
        this.#areas.dead.insert(toDead(message, record));
    }
  }

  #lock(area: Area, message: QueueMessage, token: string, nowMs: number): void {
    const untilMs = nowMs + this.#settings.lockMs;
    this.#areas[area].lock(message, token, untilMs);
    this.#schedule(untilMs, 'lock', area, message);
    this.#emit({ t: 'lock', a: area, s: message.sequence });
  }

  #remove(area: Area, message: QueueMessage): void {
    this.#areas[area].remove(message);
    this.#emit({ t: 'out', a: area, s: message.sequence });
  }

  #failDelivery(area: Area, message: QueueMessage, nowMs: number, changes?: PropertyChanges): void {
    message.deliveryCount++;
    message.handedOut = false;
    message.changes = merge(message.changes, changes);
    if (area === 'main' && message.deliveryCount >= this.#settings.maxDeliveryCount) {
      const description = `Message could not be consumed after ${this.#settings.maxDeliveryCount} delivery attempts.`;
      this.#moveToDead(message, nowMs, 'MaxDeliveryCountExceeded', description);
      return;
    }
    this.#areas[area].unlock(message);
    this.#areas[area].offer(message);
    const p = message.changes;
    this.#emit({ t: 'back', a: area, s: message.sequence, n: message.deliveryCount, ...(p === undefined ? {} : { p }) });
    this.#expireIfDue(area, message, nowMs);
  }

  #expireIfDue(area: Area, message: QueueMessage, nowMs: number): void {
    const isDue = message.expiresMs !== undefined && message.expiresMs <= nowMs;
    if (!isDue || area === 'dead' || message.lock !== undefined || message.state === 'scheduled') return;
    this.#moveToDead(message, nowMs, 'TTLExpiredException', 'The message expired and was dead lettered.');
  }

  #activate(message: QueueMessage): void {
    if (message.state !== 'scheduled') return;
    message.state = 'active';
    this.#emit({ t: 'due', s: message.sequence });
    this.#areas.main.offer(message);
  }

  #moveToDead(message: QueueMessage, nowMs: number, reason?: string, description?: string, changes?: PropertyChanges): void {
    const p: PropertyChanges = {
      ...message.changes,
      ...changes,
      ...(reason === undefined ? {} : { DeadLetterReason: reason }),
      ...(description === undefined ? {} : { DeadLetterErrorDescription: description }),
    };
    const record = { t: 'dead', s: message.sequence, d: this.#areas.dead.nextSequence, at: nowMs, n: message.deliveryCount, p } as const;
    this.#areas.main.remove(message);
    this.#areas.dead.insert(toDead(message, record));
    this.#emit(record);
  }

  #schedule(dueMs: number, kind: DueEntry['kind'], area: Area, message: QueueMessage): void {
    this.#due.push(dueMs, { kind, area, sequence: message.sequence });
  }
}

type InRecord = Extract<QueueRecord, { t: 'in' }>;
interface DueEntry {
  readonly kind: 'lock' | 'schedule' | 'expiry';
  readonly area: Area;
  readonly sequence: number;
}

function merge(old: PropertyChanges | undefined, added: PropertyChanges | undefined): PropertyChanges | undefined {
  return added === undefined ? old : { ...old, ...added };
}

/** A message that fails or expires in the queue starts a life of its own in the dead-letter queue. */
function toDead(message: QueueMessage, record: Extract<QueueRecord, { t: 'dead' }>): QueueMessage {
  return {
    ...message,
    sequence: record.d,
    enqueuedMs: message.enqueuedMs,
    expiresMs: undefined,
    dueMs: undefined,
    state: 'active',
    deliveryCount: record.n,
    changes: record.p,
    lock: undefined,
    durable: true,
    handedOut: false,
  };
}

function describe(area: Area, message: QueueMessage): QueueRecord {
  return {
    t: 'in',
    a: area,
    s: message.sequence,
    k: message.idKey,
    at: message.enqueuedMs,
    ...(message.expiresMs === undefined ? {} : { exp: message.expiresMs }),
    ...(message.dueMs === undefined ? {} : { due: message.dueMs }),
    ...(message.deliveryCount === 0 ? {} : { n: message.deliveryCount }),
    ...(message.state === 'active' ? {} : { st: message.state }),
    ...(message.changes === undefined ? {} : { p: message.changes }),
    ...(message.handedOut ? { h: 1 as const } : {}),
  };
}
