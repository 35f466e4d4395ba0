import assert from 'node:assert/strict';
import { seededRandom } from '@dmg/base';
import type { InMemoryWorker } from '@dmg/core/testing';
import { isAssistStep, type NodeStatus } from '@dmg/model';
import { ControlPlaneModel } from './control-plane-model.ts';
import { testErrors } from './test-jobs.ts';
import { type NodeModel, World } from './world.ts';

const stepMs = 250;
const nodeStatuses: readonly NodeStatus[] = ['Online', 'Online', 'Limited', 'Inactive'];

export interface ChaosOptions {
  readonly seed: number;
  readonly nodes: number;
}

/** One random run of several nodes, each with a worker and a dispatcher that is a candidate, and the checks at its end. */
export class Chaos {
  readonly world: World;
  readonly control: ControlPlaneModel;
  readonly #random;
  #jobs = 0;
  #goBack: (() => void) | undefined;

  constructor({ seed, nodes }: ChaosOptions) {
    this.#random = seededRandom(seed);
    const settings = { auditIntervalMs: 10_000, assistAfterMs: 0, assistRestMs: 1_000 };
    this.world = new World({ seed, nodes, limit: 1 + (seed % 3), settings });
    this.control = new ControlPlaneModel(this.world);
    this.world.onCall = (nodeId) => this.#strike(nodeId);
  }

  async start(): Promise<void> {
    for (const [index] of this.world.nodes.entries()) await this.world.start(index);
  }

  async faultyStep(): Promise<void> {
    const { world, control } = this;
    if (this.#jobs < 25 && this.#happens(0.15)) await control.create(`j${this.#jobs++}`, 1 + Math.floor(this.#random.unit() * 3));
    for (const { worker, isFrozen } of world.nodes) if (!isFrozen) this.#workerFaults(worker);
    await this.#dispatchersAndLedger();
    for (const [index, node] of world.nodes.entries()) await this.#nodeFaults(index, node);
    const { queues, reports } = world;
    if (this.#happens(0.02)) queues.setTrouble(queues.trouble === undefined ? new Error('detached') : undefined);
    if (this.#happens(0.02)) reports.setAway(this.#happens(0.5));
    const run = this.#pick(control.open);
    if (run !== undefined && this.#happens(0.02)) await control.send(run);
    if (run !== undefined && this.#happens(0.02)) run.cancelWanted = true;
    await this.#step();
  }

  /** Nothing fails any more. */
  async heal(): Promise<void> {
    const { world } = this;
    world.onCall = () => undefined;
    world.ledger.trouble = undefined;
    world.queues.setTrouble(undefined);
    world.reports.setAway(false);
    world.statuses.clear();
    for (const [index, node] of world.nodes.entries()) {
      if (node.isFrozen) world.thaw(index);
      node.life?.process.thaw();
      const { worker } = node;
      worker.dispatchTrouble = undefined;
      worker.helloTrouble = undefined;
      worker.draining = false;
      worker.setLimit(3);
      world.setLinks(index, 'open');
      if (node.life === undefined) await world.start(index);
      node.life?.epochs.setDoubt(false);
    }
    for (const life of world.lives) {
      for (const { nodeId } of world.nodes) if (life.members.get(nodeId) === undefined) world.joinAgain(life, nodeId);
    }
  }

  async calmStep(): Promise<void> {
    for (const worker of this.world.workers) {
      // Assistants go on until somebody ends them: none may be forgotten.
      for (const attemptId of worker.running) if (!isAssistant(worker, attemptId)) worker.finish(attemptId);
    }
    await this.#step();
  }

  get isOver(): boolean {
    const { leader } = this.world;
    if (leader === undefined || this.control.open.length > 0 || this.world.messages.length > 0) return false;
    const { waiting, active } = leader.status();
    const running = this.world.workers.reduce((sum, worker) => sum + worker.running.length, 0);
    return waiting + active + running === 0 && this.#unreported() === 0;
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
    assert.deepEqual(world.lives.filter(({ dispatcher }) => dispatcher.status().state === 'leading').length, 1, 'one leads');
    const { waiting, active } = world.leader?.status() ?? {};
    assert.deepEqual([waiting, active, this.#unreported(), world.messages], [0, 0, 0, []]);
    assert.deepEqual(world.workers.flatMap(({ running }) => running), [], 'an attempt runs on that belongs to no job');
  }

  /** How many assistants and keepers were begun. */
  get assistants(): number {
    return this.world.workers.flatMap(({ begun }) => begun).filter(({ step }) => isAssistStep(step)).length;
  }

  #unreported(): number {
    return this.world.lives.reduce((sum, { dispatcher }) => sum + dispatcher.status().unreported, 0);
  }

  #happens(probability: number): boolean {
    return this.#random.unit() < probability;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random.unit() * from.length)];
  }

  #later(maxMs: number, work: () => void): void {
    this.world.clock.after(this.#random.unit() * maxMs, work);
  }

  /** In the middle of what a dispatcher does at the ledger: it stands still, loses its lease, or cannot be sure of it. */
  #strike(nodeId: string): void {
    const life = this.world.nodes.find((node) => node.nodeId === nodeId)?.life;
    if (life === undefined) return;
    const { process, epochs } = life;
    const fate = this.#random.unit();
    if (fate < 0.01) {
      process.freeze();
      this.#later(4_000, () => process.thaw());
    } else if (fate < 0.02) {
      this.world.ledger.lease = undefined;
    } else if (fate < 0.04) {
      epochs.setDoubt(true);
      this.#later(2_000, () => epochs.setDoubt(false));
    }
  }

  #workerFaults(worker: InMemoryWorker): void {
    for (const attemptId of worker.running) {
      const fate = this.#random.unit();
      if (fate < 0.1) worker.finish(attemptId);
      else if (fate < 0.13) worker.fail(attemptId, testErrors.AWAY.create().toFault());
      else if (fate < 0.17) worker.kill(attemptId);
      else if (fate < 0.18) worker.stop(attemptId);
      else if (fate < 0.33) this.#progress(worker, attemptId);
    }
    if (this.#happens(0.03)) worker.dispatchTrouble = this.#pick([undefined, undefined, 'before', 'after'] as const);
    if (this.#happens(0.02)) worker.helloTrouble = this.#happens(0.5) ? undefined : testErrors.AWAY.create();
    if (this.#happens(0.02)) this.#delay(worker, 'helloDelay');
    if (this.#happens(0.02)) this.#delay(worker, 'dispatchDelay');
    if (this.#happens(0.01)) worker.draining = !worker.draining;
    if (this.#happens(0.02)) worker.setLimit(1 + Math.floor(this.#random.unit() * 3));
  }

  #progress(worker: InMemoryWorker, attemptId: string): void {
    const wishes = this.#happens(0.2) ? {} : { assistantsWanted: Math.floor(this.#random.unit() * 4), snapshotHeld: this.#happens(0.3) };
    worker.progress(attemptId, Math.floor(this.#random.unit() * 100), wishes);
  }

  /** What is on its way arrives late, a few steps from now. */
  #delay(worker: InMemoryWorker, what: 'helloDelay' | 'dispatchDelay'): void {
    if (worker[what] !== undefined) return;
    worker[what] = new Promise((resolve) => {
      this.#later(8 * stepMs, () => {
        worker[what] = undefined;
        resolve();
      });
    });
  }

  /** Nodes and the streams to them: killed, frozen, cut off, taken out of the list. */
  async #nodeFaults(index: number, node: NodeModel): Promise<void> {
    const { world } = this;
    if (node.isFrozen) {
      if (this.#happens(0.1)) world.thaw(index);
      return;
    }
    if (this.#happens(0.01)) this.#killWorker(index, node.worker);
    if (this.#happens(0.006)) world.freeze(index);
    if (this.#happens(0.01)) world.statuses.set(node.nodeId, this.#pick(nodeStatuses) ?? 'Online');
    for (const life of world.lives) {
      if (life === node.life || !this.#happens(0.01)) continue;
      const link = life.members.get(node.nodeId);
      if (link === undefined) world.joinAgain(life, node.nodeId);
      else if (this.#happens(0.1)) life.members.leave(node.nodeId);
      else link.set(this.#pick(['open', 'open', 'held', 'cut'] as const) ?? 'open');
    }
    if (node.life === undefined && this.#happens(0.1)) await world.start(index);
  }

  /** The process of a worker dies and comes back. */
  #killWorker(index: number, worker: InMemoryWorker): void {
    worker.restart();
    this.world.setLinks(index, 'cut', { refused: true });
    this.#later(6_000, () => {
      if (!this.world.node(index).isFrozen) this.world.setLinks(index, 'open');
    });
  }

  async #dispatchersAndLedger(): Promise<void> {
    const { world } = this;
    if (this.#happens(0.02)) world.ledger.trouble = world.ledger.trouble === undefined ? testErrors.AWAY.create() : undefined;
    if (this.#happens(0.01)) world.loseLedger();
    if (this.#happens(0.01)) this.#goBack = world.ledger.snapshot();
    if (this.#goBack !== undefined && this.#happens(0.01)) world.loseSince(this.#goBack);
    if (this.#happens(0.01)) world.ledger.lease = undefined;
    for (const [index, { life }] of world.nodes.entries()) {
      if (life === undefined) continue;
      if (this.#happens(0.01)) await world.crash(index, { seized: this.#happens(0.5) });
      else if (this.#happens(0.005)) await this.#stopCleanly(index);
    }
  }

  async #stopCleanly(index: number): Promise<void> {
    const { process, dispatcher } = this.world.life(index);
    if (process.isFrozen) return;
    void dispatcher.stop(this.#pick(this.world.nodes)?.nodeId);
    await this.#step();
    await this.world.crash(index, { seized: false });
  }

  async #step(): Promise<void> {
    await this.world.advance(stepMs, stepMs);
    await this.control.passed(stepMs);
  }
}

function isAssistant(worker: InMemoryWorker, attemptId: string): boolean {
  const request = worker.request(attemptId);
  return request !== undefined && isAssistStep(request.step);
}
