import { availableParallelism, loadavg } from 'node:os';

/** What a cluster of four nodes and its test add to the load themselves. */
const ownLoad = 4;

/**
 * A time limit that holds on a machine which does nothing but the test; where others take several times what the machine has, it is
 * longer by as much. Only for limits that are promised of a machine of its own: what never may happen has no time.
 */
export function stretched(limitMs: number): number {
  const [load = 0] = loadavg();
  return limitMs * Math.max(1, (load - ownLoad) / availableParallelism());
}
