import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@dmg/base';
import { ControlPlaneModel } from './testing/control-plane-model.ts';
import { testErrors, World } from './testing/world.ts';

/*
 * Seeded random runs of one node: executors and hosts that die, dispatchers that are killed and started again, a ledger that is away,
 * empty or old, a queue that drops, workers that do not answer, a control plane that is away, duplicates, cancels, changed limits.
 * Once the faults stop, every job ends exactly once, in agreement with its sink. `DMG_SIM_SEED=n` runs one seed.
 */

const stepMs = 250;
const faultSteps = 240;
const settleSteps = 1_600;

class Chaos {
  readonly world: World;
  readonly control: ControlPlaneModel;
  readonly #random;
  #jobs = 0;
  #goBack: (() => void) | undefined;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.world = new World({ seed, limit: 1 + (seed % 3), settings: { auditIntervalMs: 10_000 } });
    this.control = new ControlPlaneModel(this.world);
  }

  #happens(probability: number): boolean {
    return this.#random.unit() < probability;
  }

  async faultyStep(): Promise<void> {
    const { world, control } = this;
    if (this.#jobs < 25 && this.#happens(0.15)) await control.create(`j${this.#jobs++}`, 1 + Math.floor(this.#random.unit() * 3));
    this.#attempts();
    await this.#dispatcherAndLedger();
    const { queues, reports, worker } = world;
    if (this.#happens(0.02)) queues.setTrouble(queues.trouble === undefined ? new Error('detached') : undefined);
    if (this.#happens(0.02)) reports.setAway(this.#happens(0.5));
    const troubles = [undefined, undefined, 'before', 'after'] as const;
    if (this.#happens(0.03)) worker.dispatchTrouble = troubles[Math.floor(this.#random.unit() * 4)];
    if (this.#happens(0.02)) worker.helloTrouble = this.#happens(0.5) ? undefined : testErrors.AWAY.create();
    if (this.#happens(0.02)) this.#delay('helloDelay');
    if (this.#happens(0.02)) this.#delay('dispatchDelay');
    if (this.#happens(0.01)) worker.draining = !worker.draining;
    if (this.#happens(0.02)) worker.setLimit(1 + Math.floor(this.#random.unit() * 3));
    const open = control.open;
    const run = open[Math.floor(this.#random.unit() * open.length)];
    if (run !== undefined && this.#happens(0.02)) await control.send(run);
    if (run !== undefined && this.#happens(0.02)) run.cancelWanted = true;
    await this.#step();
  }

  /** What is on its way arrives late, a few steps from now. */
  #delay(what: 'helloDelay' | 'dispatchDelay'): void {
    const { worker, clock } = this.world;
    if (worker[what] !== undefined) return;
    worker[what] = new Promise((resolve) => {
      clock.after(this.#random.unit() * 8 * stepMs, () => {
        worker[what] = undefined;
        resolve();
      });
    });
  }

  #attempts(): void {
    const { worker } = this.world;
    for (const attemptId of worker.running) {
      if (this.#happens(0.1)) worker.finish(attemptId);
      else if (this.#happens(0.03)) worker.fail(attemptId, testErrors.AWAY.create().toFault());
      else if (this.#happens(0.04)) worker.kill(attemptId);
      else if (this.#happens(0.01)) worker.stop(attemptId);
      else if (this.#happens(0.05)) worker.progress(attemptId);
    }
    if (this.#happens(0.01)) worker.restart();
  }

  async #dispatcherAndLedger(): Promise<void> {
    const { world } = this;
    if (this.#happens(0.02)) world.ledger.trouble = world.ledger.trouble === undefined ? testErrors.AWAY.create() : undefined;
    if (this.#happens(0.01)) world.loseLedger();
    if (this.#happens(0.01)) this.#goBack = world.ledger.snapshot();
    if (this.#goBack !== undefined && this.#happens(0.01)) world.loseSince(this.#goBack);
    if (this.#happens(0.02)) {
      await world.crash();
      if (this.#happens(0.5)) return;
    }
    if (!world.leads && this.#happens(0.2)) await world.start();
  }

  async heal(): Promise<void> {
    const { world } = this;
    world.ledger.trouble = undefined;
    world.queues.setTrouble(undefined);
    world.reports.setAway(false);
    world.worker.dispatchTrouble = undefined;
    world.worker.helloTrouble = undefined;
    world.worker.draining = false;
    world.worker.setLimit(3);
    if (!world.leads) await world.start();
  }

  async calmStep(): Promise<void> {
    for (const attemptId of this.world.worker.running) this.world.worker.finish(attemptId);
    await this.#step();
  }

  async #step(): Promise<void> {
    await this.world.advance(stepMs, stepMs);
    await this.control.passed(stepMs);
  }

  get isOver(): boolean {
    const { waiting, active, unreported } = this.world.dispatcher.status();
    return this.control.open.length === 0 && waiting + active + unreported === 0 && this.world.messages.length === 0;
  }

  check(): void {
    const { world, control } = this;
    assert.deepEqual(world.violations, []);
    assert.deepEqual(control.violations, []);
    assert.ok(control.runs.size > 5, 'too little happened');
    for (const { jobId, end } of control.runs.values()) {
      assert.ok(end !== undefined, `${jobId} has no end`);
      if (!end.confirmed) continue;
      const phase = world.sinks.phase(jobId);
      assert.equal(phase === 'done', end.kind === 'succeeded', `${jobId} ended ${end.kind}, its sink is ${phase}`);
    }
    const { waiting, active, unreported } = world.dispatcher.status();
    assert.deepEqual([waiting, active, unreported, world.messages], [0, 0, 0, []]);
  }
}

async function run(seed: number): Promise<Chaos> {
  const chaos = new Chaos(seed);
  await chaos.world.start();
  for (let step = 0; step < faultSteps; step++) await chaos.faultyStep();
  await chaos.heal();
  for (let step = 0; step < settleSteps && !chaos.isOver; step++) await chaos.calmStep();
  const { world } = chaos;
  try {
    chaos.check();
  } finally {
    await world.close();
  }
  return chaos;
}

test('whatever fails, every job ends exactly once and in agreement with its sink', async (context) => {
  const only = process.env['DMG_SIM_SEED'];
  const seeds = only === undefined ? Array.from({ length: 200 }, (_, index) => index + 1) : [Number(only)];
  const ends = new Map<string, number>();
  for (const seed of seeds) {
    try {
      const chaos = await run(seed);
      for (const { end } of chaos.control.runs.values()) ends.set(end?.kind ?? '', (ends.get(end?.kind ?? '') ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  context.diagnostic(`${seeds.length} seeds: ${[...ends].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
});
