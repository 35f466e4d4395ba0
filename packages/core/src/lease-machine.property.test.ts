import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '@dmg/base';
import { leaseSettings } from './lease-settings.ts';
import { LeaseSimulation, type NodeParts, type SimulatedFaults, type SimulatedNode } from './testing/lease-simulation.ts';

const { leaseMs, peekMs, stillMs } = leaseSettings();
const faultyMs = 6_000;
const noFaults: SimulatedFaults = { losses: false, clocksForward: false, falseAlarms: false };

interface Run {
  readonly seed: number;
  readonly faults: SimulatedFaults;
  readonly nodes?: number;
  readonly masters?: number;
  readonly parts?: NodeParts;
}

function simulate({ seed, faults, nodes, masters, parts }: Run): LeaseSimulation {
  const random = seededRandom(seed);
  const world = new LeaseSimulation({
    nodes: nodes ?? 2 + Math.floor(random.unit() * 3), masters: masters ?? ([1, 3, 5][Math.floor(random.unit() * 3)] ?? 1),
    random, faults, ...(parts === undefined ? {} : { parts }),
  });
  // Without this a young gateway's first second, in which nobody may lead, is all that is seen.
  world.run(leaseMs + 3 * peekMs);
  while (world.nowMs < faultyMs && world.violations.length === 0) {
    strike(world);
    world.run(world.between(0, 250));
  }
  return world;
}

/** One fault, or the end of one, or something that a gateway does anyway. */
function strike(world: LeaseSimulation): void {
  const node = world.pick(world.nodes);
  const master = world.pick(world.masters);
  const roll = world.options.random.unit();
  if (roll < 0.14) freeze(world, node);
  else if (roll < 0.2) kill(world, node);
  else if (roll < 0.28) toggle(node.cut, Math.floor(world.between(0, world.masters.length)));
  else if (roll < 0.36) master.data.trouble = master.data.trouble === undefined ? new Error('silent') : undefined;
  // A lease vanishes by the master's clock, or by the hand of an operator (which only a holder that has stopped survives unharmed).
  else if (roll < 0.44) node.jumpWall(world.between(-3_600_000, 3_600_000));
  else if (roll < 0.5) master.data.clockOffsetMs -= world.between(0, 3_600_000);
  else if (roll < 0.56) node.tell({ type: 'standing', standing: { rank: world.pick([0, 0, 1, 'never']), better: world.chance(0.5) ? 'n0' : undefined } });
  else if (roll < 0.62) node.tell({ type: 'wanted', above: Math.floor(world.between(0, 40)) });
  else if (roll < 0.66) giveBack(world, node);
  else if (roll < 0.76 && world.options.faults.losses) lose(world);
  else if (roll < 0.8 && world.options.faults.clocksForward) setForward(world);
  else if (roll < 0.86 && world.options.faults.falseAlarms) falseAlarm(world, node);
}

function toggle(set: Set<number>, value: number): void {
  if (!set.delete(value)) set.add(value);
}

function freeze(world: LeaseSimulation, node: SimulatedNode): void {
  node.freeze();
  world.after(world.chance(0.5) ? world.between(0, 400) : world.between(400, 3_000), () => node.thaw());
}

/** Its process is gone; the others see their streams reset and find nobody at its address. */
function kill(world: LeaseSimulation, node: SimulatedNode): void {
  if (!node.alive) return;
  node.die();
  for (const other of world.nodes) {
    world.after(world.between(5, 40), () => other.tell({ type: 'leaderGone', nodeId: node.nodeId, refused: !node.alive }));
  }
  world.after(world.between(200, 3_000), () => node.boot());
}

function giveBack(world: LeaseSimulation, node: SimulatedNode): void {
  const { tenure } = node.state;
  if (tenure === undefined) return;
  const successor = world.pick(world.nodes);
  node.tell({ type: 'release', token: tenure.epoch.token, successor: successor.nodeId });
  for (const other of world.nodes) {
    if (other !== node) world.after(world.between(1, 5), () => other.tell({ type: other === successor ? 'invited' : 'othersInvited' }));
  }
}

/**
 * A loss is noticed by the life that is missing or another. One that follows the birth of a life before anybody can have seen it is not
 * noticed: that is left out here, as is the loss of a majority of the masters at almost the same moment.
 */
function lose(world: LeaseSimulation): void {
  const fit = world.masters.filter((master) => master.data.life !== '' && world.nowMs - master.bornMs > 1_000);
  if (fit.length === 0) return;
  const master = world.pick(fit);
  master.data.lose();
  master.losses++;
}

function setForward(world: LeaseSimulation): void {
  world.pick(world.masters).data.clockOffsetMs += world.between(0, 2 * leaseMs);
  world.excusedUntilMs = world.nowMs + 1.1 * leaseMs;
}

function falseAlarm(world: LeaseSimulation, node: SimulatedNode): void {
  const leader = node.state.leader?.nodeId;
  if (leader === undefined) return;
  node.tell({ type: 'leaderGone', nodeId: leader, refused: true });
  world.excusedUntilMs = world.nowMs + stillMs + 2 * leaseMs;
}

/** Ends all faults. */
function mend(world: LeaseSimulation): void {
  world.calm = true;
  for (const master of world.masters) master.data.trouble = undefined;
  for (const node of world.nodes) {
    node.cut.clear();
    if (!node.alive) node.boot();
    node.thaw();
    node.tell({ type: 'standing', standing: { rank: 0 } });
    node.tell({ type: 'wanted', above: 0 });
  }
}

function sweep(title: string, runs: number, faults: SimulatedFaults, more: Partial<Run> = {}): void {
  test(`${title} (${runs} runs)`, () => {
    let grants = 0;
    for (let seed = 1; seed <= runs; seed++) {
      const world = simulate({ seed, faults, ...more });
      assert.deepEqual(world.violations, [], `seed ${seed}`);
      mend(world);
      // What was sent before is still under way for two seconds at most.
      const deadlineMs = world.nowMs + stillMs + 2 * leaseMs;
      while (world.acting.length === 0 && world.nowMs < deadlineMs) world.run(10);
      assert.equal(world.acting.length, 1, `seed ${seed}: nobody leads, or too many do`);
      assert.deepEqual(world.violations, [], `seed ${seed}`);
      grants += world.grants.length;
    }
    assert.ok(grants > runs, `only ${grants} grants in ${runs} runs`);
  });
}

describe('lease machine: any interleaving', () => {
  sweep('masters keep their data', 300, noFaults);
  sweep('masters lose their data', 300, { ...noFaults, losses: true });
});
