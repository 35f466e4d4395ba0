import { statfs } from 'node:fs/promises';
import { firstLine } from '@dmg/base';

/** Below this a node takes no new jobs: logs, reports and work files still need some. */
const freeBytesMin = 64 * 1024 * 1024;

/** Why the node's disk can take no more work; undefined while it can. */
export async function diskTroubleOf(folder: string): Promise<string | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    const freeBytes = bavail * bsize;
    if (freeBytes >= freeBytesMin) return undefined;
    return `the disk of ${folder} has ${Math.floor(freeBytes / 1024 / 1024)} MiB left of the ${freeBytesMin / 1024 / 1024} that are needed`;
  } catch (error) {
    return `the disk of ${folder} cannot be looked at (${firstLine(error)})`;
  }
}
