import type { CleanupContext } from '../harness/cleanup.ts';
import { changes, copyBehaviors, wildcards } from './file-cases.ts';
import { killedOnTheWay } from './killed-files.ts';
import { describeFiles, type FilesVerdict, oddlyNamed, openFileStores, refusals, refused, thereAndBack } from './many-files.ts';

export interface FileSuiteOptions {
  readonly files: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

/** Many files between folders and containers, odd ones, and ones that are changed while they are read. */
export async function runFileSuite(context: CleanupContext, { files, seed, say }: FileSuiteOptions): Promise<readonly FilesVerdict[]> {
  const stores = await openFileStores(context, seed);
  const verdicts: FilesVerdict[] = [];
  const note = (verdict: FilesVerdict): void => {
    verdicts.push(verdict);
    say(describeFiles(verdict));
  };
  for (const verdict of await oddlyNamed(stores)) note(verdict);
  for (const refusal of await refusals(stores)) note(await refused(refusal));
  for (const verdict of await copyBehaviors(stores, 200)) note(verdict);
  for (const verdict of await wildcards(stores, { patternsMax: Infinity })) note(verdict);
  for (const verdict of await changes(stores, ['small', 'large'])) note(verdict);
  for (const verdict of await killedOnTheWay(context, stores, files)) note(verdict);
  await thereAndBack(stores, { blobs: files, files }, note);
  return verdicts;
}

export function describeFileVerdicts(verdicts: readonly FilesVerdict[]): string {
  const bad = verdicts.filter(({ problems }) => problems.length > 0);
  return `files: ${verdicts.length} cases, ${bad.length} not as they must be`;
}
