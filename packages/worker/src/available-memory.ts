import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface CgroupFiles {
  readonly limit: string;
  readonly usage: string;
  /** In `memory.stat`: file pages that the kernel gives up before anything else. */
  readonly reclaimable: string;
}

const unified: CgroupFiles = { limit: 'memory.max', usage: 'memory.current', reclaimable: 'inactive_file' };
const legacy: CgroupFiles = { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', reclaimable: 'total_inactive_file' };

/**
 * Memory that processes of this node can still take, in bytes: what the machine has available (`MemAvailable`, proc(5)), or less
 * where a control group around this process allows less (cgroups(7); a limit of the group or of one above it, with the file pages
 * that the kernel would drop first counted as free). Undefined where the platform does not show it.
 */
export function readAvailableMemory(places: { readonly proc: string; readonly cgroups: string } = {
  proc: '/proc', cgroups: '/sys/fs/cgroup',
}): number | undefined {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(read(join(places.proc, 'meminfo')) ?? '')?.[1];
  if (kilobytes === undefined) return undefined;
  let availableBytes = Number(kilobytes) * 1024;
  for (const line of (read(join(places.proc, 'self/cgroup')) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) continue;
    const legacyMemory = controllers.split(',').includes('memory');
    if (controllers !== '' && !legacyMemory) continue;
    const root = legacyMemory ? join(places.cgroups, 'memory') : places.cgroups;
    for (let group = path; ; group = dirname(group)) {
      availableBytes = Math.min(availableBytes, leftInGroup(join(root, group), legacyMemory ? legacy : unified));
      if (group === '/') break;
    }
  }
  return Math.max(0, availableBytes);
}

function leftInGroup(folder: string, files: CgroupFiles): number {
  const limitBytes = Number(read(join(folder, files.limit))?.trim() ?? NaN);
  const usedBytes = Number(read(join(folder, files.usage))?.trim() ?? NaN);
  // `max`, no such file (the root has none), or a folder that is not shown in this container: no limit from here.
  if (!Number.isFinite(limitBytes) || !Number.isFinite(usedBytes)) return Infinity;
  const stat = read(join(folder, 'memory.stat')) ?? '';
  const reclaimable = new RegExp(`^${files.reclaimable} (\\d+)$`, 'm').exec(stat)?.[1];
  return limitBytes - usedBytes + Number(reclaimable ?? 0);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not there on this kernel or in this container: the caller goes by what else there is.
    return undefined;
  }
}
