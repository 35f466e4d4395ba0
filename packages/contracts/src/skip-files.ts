import type { CopyEnd, FileSkipReason } from '@dmg/model';
import type { Findings } from './findings.ts';
import { type ObjectReader, valueOr } from './object-reader.ts';

/** `skipErrorFile` of a Copy activity. */
export interface SkipFilesProperties {
  readonly reasons: readonly FileSkipReason[];
  /** Of the settings in the document. */
  readonly at: string;
}

/** Reads `skipErrorFile`; undefined where it skips nothing. As in Data Factory, files that are missing are skipped unless it says no. */
export function readSkipFiles(reader: ObjectReader): SkipFilesProperties | undefined {
  const settings = reader.object('skipErrorFile');
  if (settings === undefined) return undefined;
  const wanted: readonly [FileSkipReason, boolean][] = [
    ['missing', valueOr(settings.boolean('fileMissing'), true)],
    ['forbidden', valueOr(settings.boolean('fileForbidden'), false)],
    ['changed', valueOr(settings.boolean('dataInconsistency'), false)],
  ];
  settings.refuse(['invalidFileName'], 'the names of all targets are checked before anything is copied; rename the files or leave it out');
  settings.finish();
  const reasons = wanted.filter(([, isWanted]) => isWanted).map(([reason]) => reason);
  return reasons.length === 0 ? undefined : { reasons, at: settings.path };
}

/** Files are skipped one by one: each has to be a target of its own. */
export function resolveSkipFiles(
  skips: SkipFilesProperties | undefined, ends: { readonly source: CopyEnd; readonly sink: CopyEnd }, findings: Findings,
): { skipFiles?: readonly FileSkipReason[] } {
  if (skips === undefined) return {};
  const { source, sink } = ends;
  if (source.format.type === 'Table' || sink.format.type === 'Table') {
    findings.problem(skips.at, 'is for copies from files to files; a table is copied as a whole, leave it out');
  } else if (sink.settings['copyBehavior'] === 'MergeFiles') {
    findings.problem(skips.at, 'cannot be used with the copyBehavior MergeFiles, where one file is made of all; leave one of them out');
  } else if (namesOne(source)) {
    findings.warn(skips.at, 'has no effect: the source names a single file, and a copy of nothing would not be noticed');
    return {};
  }
  return { skipFiles: skips.reasons };
}

function namesOne({ location, settings }: CopyEnd): boolean {
  const isGiven = (value: unknown): boolean => value !== undefined && value !== '' && value !== null;
  const chooses = ['wildcardFileName', 'wildcardFolderPath', 'prefix', 'fileListPath'].some((name) => isGiven(settings[name]));
  return isGiven(location['fileName']) && !chooses;
}
