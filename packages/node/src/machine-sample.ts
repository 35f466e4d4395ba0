import { readFile } from 'node:fs/promises';
import type { AliveReport } from '@dmg/model';

/** Counters of the kernel at one moment; two of them make a sample. */
export interface MachineCounters {
  readonly cpuBusyTicks: number;
  readonly cpuTotalTicks: number;
  readonly availableMemoryBytes: number;
  /** Since boot, all interfaces but loopback. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Reads `/proc/stat`, `/proc/meminfo` and `/proc/net/dev` (proc(5)). */
export async function readMachineCounters(): Promise<MachineCounters> {
  const [stat, memory, network] = await Promise.all(['/proc/stat', '/proc/meminfo', '/proc/net/dev'].map((path) => readFile(path, 'utf8')));
  return parseMachineCounters(stat ?? '', memory ?? '', network ?? '');
}

export function parseMachineCounters(stat: string, memory: string, network: string): MachineCounters {
  const cpu = (stat.split('\n', 1)[0] ?? '').trim().split(/\s+/).slice(1).map(Number);
  // user nice system idle iowait irq softirq steal; guest times are already in user.
  const counted = cpu.slice(0, 8);
  const total = counted.reduce((sum, ticks) => sum + ticks, 0);
  const idle = (counted[3] ?? 0) + (counted[4] ?? 0);
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(memory)?.[1];
  let sentBytes = 0;
  let receivedBytes = 0;
  for (const line of network.split('\n').slice(2)) {
    const [name, counters] = line.split(':');
    if (counters === undefined || name === undefined || name.trim() === 'lo') continue;
    const values = counters.trim().split(/\s+/).map(Number);
    receivedBytes += values[0] ?? 0;
    sentBytes += values[8] ?? 0;
  }
  const availableMemoryBytes = Number(available ?? 0) * 1024;
  return { cpuBusyTicks: total - idle, cpuTotalTicks: total, availableMemoryBytes, sentBytes, receivedBytes };
}

/** What the control plane is told: CPU between two moments, the rest as it is now. */
export function machineSample(before: MachineCounters, after: MachineCounters): AliveReport['metrics'] {
  const total = after.cpuTotalTicks - before.cpuTotalTicks;
  const busy = after.cpuBusyTicks - before.cpuBusyTicks;
  return {
    cpuPercent: total <= 0 ? 0 : Math.round((1000 * busy) / total) / 10,
    availableMemoryMb: Math.round(after.availableMemoryBytes / (1024 * 1024)),
    sentBytes: after.sentBytes,
    receivedBytes: after.receivedBytes,
  };
}
