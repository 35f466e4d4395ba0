import type { Plan } from '@dmg/model';

/** Small files that are copied at once by default. */
export const smallFilesAtOnce = 16;
/** Files of a plan count as small up to this mean. */
const smallFileBytes = 256 * 1024;

/** True for a plan of files, small on average, whose bytes go as they are: what they cost is calls and not bytes. */
export function isOfSmallFiles({ targets }: Plan): boolean {
  const bytes = targets.reduce((sum, { sources }) => sum + sources.reduce((below, { sizeBytes }) => below + sizeBytes, 0), 0);
  return bytes <= targets.length * smallFileBytes && targets.every(({ cutting }) => cutting.kind === 'ranges');
}
