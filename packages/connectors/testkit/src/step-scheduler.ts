import { firstLine, type Random } from '@dmg/base';

/** One process of a simulated run. */
export class Actor {
  readonly name: string;
  frozen = false;
  failure: unknown;

  constructor(name: string) {
    this.name = name;
  }
}

const stepsMax = 50_000;

/**
 * Runs actors step by step in an order that a seed decides. Everything an actor does to the world waits at its gate; the scheduler
 * lets one step through at a time. Actors can freeze before any step, and wake later.
 */
export class StepScheduler {
  readonly actors: Actor[] = [];
  steps = 0;
  readonly #random: Random;
  readonly #running: Promise<void>[] = [];
  #waiting: { actor: Actor; go: () => void }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  start(name: string, work: (actor: Actor) => Promise<void>): void {
    const actor = new Actor(name);
    this.actors.push(actor);
    this.#running.push(
      work(actor).catch((error: unknown) => {
        actor.failure = error;
      }),
    );
  }

  /** Resolves when it is this actor's turn. */
  gate(actor: Actor): Promise<void> {
    return new Promise((go) => this.#waiting.push({ actor, go }));
  }

  /** Lets steps happen until nobody who is awake waits; before each, its actor freezes with this probability. */
  async run(freezeChance: number): Promise<void> {
    for (;;) {
      const awake = await this.#awake();
      const next = awake[Math.floor(this.#random.unit() * awake.length)];
      if (next === undefined) return;
      if (this.#random.unit() < freezeChance) {
        next.actor.frozen = true;
        continue;
      }
      if (++this.steps > stepsMax) throw new Error('the run does not end');
      this.#waiting = this.#waiting.filter((other) => other !== next);
      next.go();
    }
  }

  wakeAll(): void {
    for (const actor of this.actors) actor.frozen = false;
  }

  /** When all have come to their end: throws the first failure. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
    for (const { name, failure } of this.actors) {
      if (failure !== undefined) throw new Error(`${name}: ${firstLine(failure)}`, { cause: failure });
    }
  }

  async #awake(): Promise<{ actor: Actor; go: () => void }[]> {
    // Lets the actor that has just made a step come to its next one; a turn of the event loop only when nobody seems to wait.
    for (let turn = 0; turn < 16; turn++) await Promise.resolve();
    const awake = this.#waiting.filter(({ actor }) => !actor.frozen);
    if (awake.length > 0) return awake;
    await new Promise((resolve) => setImmediate(resolve));
    return this.#waiting.filter(({ actor }) => !actor.frozen);
  }
}
