import type { CleanupContext } from './cleanup.ts';
import { spawnProcess } from './processes.ts';
import { within } from './wait-for.ts';

/** Work of 0.8 s at the priority of executors; tells how long it took by the clock for each second of processor time. */
const probe = `
require('node:os').setPriority(10);
const startedMs = performance.now();
const before = process.cpuUsage();
for (;;) {
  const { user, system } = process.cpuUsage(before);
  if (user + system < 800_000) continue;
  console.log((performance.now() - startedMs) / ((user + system) / 1000));
  break;
}`;

/**
 * How many times slower than a machine of its own this one is for a process now, because others want the processor as well; at least 1.
 * For times that are promised of a machine of its own: to be started together with what is timed.
 */
export async function measureSlowness(context: CleanupContext): Promise<number> {
  const child = spawnProcess(context, { name: 'probe', args: ['-e', probe] });
  await within('the probe to end', 60_000, child.exited);
  const slowness = Number(child.stdout[0]);
  if (!(slowness > 0)) throw new Error(`the probe said ${JSON.stringify(child.stdout)}`);
  return Math.max(1, slowness);
}
