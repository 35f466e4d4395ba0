import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QueueState } from './queue-state.ts';
import type { Outcome, QueueRecord, QueueSettings } from './queue-types.ts';

const settings: QueueSettings = { lockMs: 50, maxDeliveryCount: 3, duplicateWindowMs: 200, messageBytesMax: 1000 };

/** What a message is in a model too simple to be wrong: no heaps, no maps of tokens, everything looked through each time. */
interface Model {
  readonly key: string;
  place: 'main' | 'dead' | 'gone';
  state: 'active' | 'deferred' | 'scheduled';
  count: number;
  dueMs: number;
  expiresMs: number;
  lock: { token: string; untilMs: number } | undefined;
}

type Step =
  | { readonly do: 'send'; readonly key: number; readonly delayMs: number; readonly lifeMs: number }
  | { readonly do: 'lock' | 'take'; readonly area: 'main' | 'dead' }
  | { readonly do: 'settle'; readonly pick: number; readonly how: Outcome['type'] }
  | { readonly do: 'renew'; readonly pick: number }
  | { readonly do: 'wait'; readonly byMs: number }
  | { readonly do: 'restart'; readonly fromSnapshot: boolean };

const area = fc.constantFrom('main' as const, 'dead' as const);
const outcome = fc.constantFrom('complete' as const, 'abandon' as const, 'defer' as const, 'deadLetter' as const);
const delayMs = fc.constantFrom(0, 0, 0, 30, 90);
const lifeMs = fc.constantFrom(Infinity, Infinity, 60);
const handOut = fc.constantFrom('lock' as const, 'lock' as const, 'lock' as const, 'take' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), key: fc.nat(12), delayMs, lifeMs }) },
  { weight: 5, arbitrary: fc.record({ do: handOut, area }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat(20), how: outcome }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), pick: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), byMs: fc.constantFrom(1, 10, 49, 50, 51, 120) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), fromSnapshot: fc.boolean() }) },
);

class World {
  nowMs = 1000;
  readonly models: Model[] = [];
  readonly seenUntilMs = new Map<string, number>();
  readonly tokens: { token: string; area: 'main' | 'dead' }[] = [];
  emitted: { record: QueueRecord; payload: Uint8Array | undefined }[] = [];
  queue = this.#open();
  #tokenNo = 0;

  #open(): QueueState {
    return new QueueState({ name: 'q', settings, emit: (record, payload) => void this.emitted.push({ record, payload }) });
  }

  run(one: Step): void {
    switch (one.do) {
      case 'wait':
        this.nowMs += one.byMs;
        this.queue.advance(this.nowMs);
        return this.advance();
      case 'send':
        return this.#send(`k${one.key}`, one.delayMs, one.lifeMs);
      case 'lock':
        return this.#lock(one.area);
      case 'take': {
        const expected = this.#match(one.area, this.queue.takeNext(one.area, this.nowMs));
        if (expected !== undefined) expected.place = 'gone';
        return;
      }
      case 'settle':
        return this.#settle(one.pick, one.how);
      case 'renew': {
        const held = this.tokens[one.pick];
        const model = held === undefined ? undefined : this.#holder(held);
        if (held === undefined) return;
        assert.equal(this.queue.renew(held.area, held.token, this.nowMs), model === undefined ? undefined : this.nowMs + settings.lockMs);
        if (model?.lock !== undefined) model.lock.untilMs = this.nowMs + settings.lockMs;
        return;
      }
      case 'restart':
        return this.#restart(one.fromSnapshot);
    }
  }

  #send(key: string, delayMs: number, lifeMs: number): void {
    const isDuplicate = (this.seenUntilMs.get(key) ?? 0) > this.nowMs;
    const dueMs = this.nowMs + delayMs;
    const result = this.queue.enqueue(
      {
        idKey: key,
        payload: Buffer.from(key),
        dueMs: delayMs === 0 ? undefined : dueMs,
        timeToLiveMs: lifeMs === Infinity ? undefined : lifeMs,
      },
      this.nowMs,
    );
    assert.equal(result.kind, isDuplicate ? 'duplicate' : 'stored');
    if (result.kind !== 'stored') return;
    this.queue.confirm(result.sequence);
    this.seenUntilMs.set(key, this.nowMs + settings.duplicateWindowMs);
    const state = delayMs === 0 ? 'active' : 'scheduled';
    this.models.push({ key, place: 'main', state, count: 0, dueMs, expiresMs: dueMs + lifeMs, lock: undefined });
  }

  #lock(place: 'main' | 'dead'): void {
    const token = `t${this.#tokenNo++}`;
    const expected = this.#match(place, this.queue.lockNext(place, token, this.nowMs));
    if (expected === undefined) return;
    expected.lock = { token, untilMs: this.nowMs + settings.lockMs };
    this.tokens.push({ token, area: place });
  }

  #settle(pick: number, how: Outcome['type']): void {
    const held = this.tokens[pick];
    if (held === undefined) return;
    const model = this.#holder(held);
    const result = this.queue.settle(held.area, held.token, { type: how }, this.nowMs);
    assert.equal(result, model === undefined ? 'lost' : how === 'deadLetter' && held.area === 'dead' ? 'refused' : 'settled');
    if (model === undefined || result === 'refused') return;
    model.lock = undefined;
    if (how === 'complete') model.place = 'gone';
    if (how === 'defer') model.state = 'deferred';
    if (how === 'abandon') this.#fail(model);
    if (how === 'deadLetter') this.#bury(model);
    this.advance();
  }

  #restart(fromSnapshot: boolean): void {
    const records = fromSnapshot ? [...this.queue.snapshot()] : [...this.emitted];
    if (fromSnapshot) this.emitted = records.map(({ record, payload }) => ({ record, payload }));
    const wasLocked = this.models.filter((model) => model.place !== 'gone' && model.lock !== undefined);
    this.queue = this.#open();
    for (const { record, payload } of records) this.queue.apply(record, payload);
    this.queue.recover(this.nowMs);
    for (const model of wasLocked) {
      model.lock = undefined;
      this.#fail(model);
    }
    this.advance();
  }

  /** Locks lapse, schedules start, messages expire: in the order of their times. */
  advance(): void {
    for (;;) {
      const due = this.models
        .filter(({ place }) => place !== 'gone')
        .flatMap((model) => this.#nextOf(model))
        .filter(({ atMs }) => atMs <= this.nowMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) return;
      due.act();
    }
  }

  #nextOf(model: Model): { atMs: number; act: () => void }[] {
    if (model.lock !== undefined) {
      const { untilMs } = model.lock;
      return [{ atMs: untilMs, act: () => {
        model.lock = undefined;
        this.#fail(model);
      } }];
    }
    if (model.state === 'scheduled') return [{ atMs: model.dueMs, act: () => void (model.state = 'active') }];
    return model.place === 'main' ? [{ atMs: model.expiresMs, act: () => this.#bury(model) }] : [];
  }

  #fail(model: Model): void {
    model.count++;
    if (model.place === 'main' && model.count >= settings.maxDeliveryCount) this.#bury(model);
  }

  /** A dead letter goes to the end of its queue. */
  #bury(model: Model): void {
    this.models.splice(this.models.indexOf(model), 1);
    this.models.push({ ...model, place: 'dead', state: 'active', expiresMs: Infinity, lock: undefined });
  }

  /**
   * The model of what was handed out: the first that is free. Which of two that die at the same moment is buried first is left open, so
   * among the dead any that is free will do.
   */
  #match(place: 'main' | 'dead', message: { idKey: string; deliveryCount: number } | undefined): Model | undefined {
    const free = this.models.filter((model) => model.place === place && model.state === 'active' && model.lock === undefined);
    const expected = place === 'main' ? free[0] : free.find(({ key, count }) => key === message?.idKey && count === message.deliveryCount);
    assert.deepEqual([message?.idKey, message?.deliveryCount], [expected?.key, expected?.count]);
    assert.equal(message === undefined, free.length === 0);
    return expected;
  }

  #holder({ token, area: place }: { token: string; area: 'main' | 'dead' }): Model | undefined {
    return this.models.find((model) => model.place === place && model.lock?.token === token);
  }

  check(): void {
    const here = (place: Model['place']): Model[] => this.models.filter((model) => model.place === place);
    const main = here('main');
    assert.deepEqual(this.queue.counts(), {
      active: main.filter(({ lock, state }) => lock === undefined && state === 'active').length,
      locked: main.filter(({ lock }) => lock !== undefined).length,
      scheduled: main.filter(({ state }) => state === 'scheduled').length,
      deferred: main.filter(({ lock, state }) => lock === undefined && state === 'deferred').length,
      deadLetter: here('dead').length,
    });
    assert.deepEqual(this.queue.peek('main', 0, 1000).map(({ idKey }) => idKey), main.map(({ key }) => key));
    assert.deepEqual(this.queue.peek('dead', 0, 1000).map(({ idKey }) => idKey).sort(), here('dead').map(({ key }) => key).sort());
  }
}

test('the queue does what a plain list would do, also across restarts', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const world = new World();
      for (const one of steps) {
        world.run(one);
        world.check();
      }
    }),
    { numRuns: 1500 },
  );
});
