import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { textOf } from '@dmg/connector-api';
import type { CopyActivity, CopyEnd, SourceObject } from '@dmg/model';
import { type CopyCodecs, codecsOf } from './codecs.ts';
import { compressedName, contentName } from './content-names.ts';
import { copyBehaviorOf } from './copy-behavior.ts';
import { engineErrors } from './errors.ts';

/** One target to be, before it is cut into chunks. */
export interface TargetLayout {
  readonly path: string;
  readonly sources: readonly SourceObject[];
}

/**
 * Which target each source object goes to, by Data Factory's rules: a `fileName` at the sink names the single target; otherwise
 * names follow `copyBehavior`. Generated names are deterministic, so that two nodes that plan the same copy agree.
 */
export function layoutTargets(options: { jobId: string; activity: CopyActivity; sources: readonly SourceObject[] }): TargetLayout[] {
  const { jobId, activity, sources } = options;
  const behavior = copyBehaviorOf(activity);
  const named = activity.sink.location.fileName;
  const fileName = typeof named === 'string' && named !== '' ? named : undefined;
  const first = sources[0];
  if (first === undefined) return [];
  const codecs = codecsOf(activity);
  if (behavior === 'MergeFiles') return [{ path: fileName ?? mergedName(jobId, first.path, codecs), sources }];
  if (fileName !== undefined) {
    if (sources.length > 1) throw engineErrors.ONE_NAME_FOR_MANY.create({ files: sources.length, path: fileName });
    return [{ path: fileName, sources }];
  }
  const layouts = sources.map((source) => {
    const name = contentName(source.path, codecs);
    return { path: compressedName(behavior === 'FlattenHierarchy' ? flatName(name) : name, codecs), sources: [source] };
  });
  checkDistinct(layouts);
  return layouts;
}

/**
 * The file that a table is written to: the name that the sink gives, else that of the table with `fileExtension` (default `.txt`, for JSON
 * `.json`).
 */
export function streamTargetPath(activity: CopyActivity, table: string): string {
  const named = textOf(activity.sink.location, 'fileName');
  if (named !== undefined && named !== '') return named;
  // What would be a folder, or is no character of a file name, stands for itself no more.
  const name = table.replaceAll(/[/\\\p{Cc}]/gu, '_').replace(/^\.+/, '_');
  const extension = textOf(activity.sink.settings, 'fileExtension') ?? (activity.sink.format.type === 'Json' ? '.json' : '.txt');
  return compressedName(`${name === '' ? 'table' : name}${extension}`, codecsOf(activity));
}

/** A table by the location of its dataset: `tableName` as it stands, else schema and table, between double quotes where they need it. */
export function tablePathOf(end: CopyEnd): string {
  const [whole, schema, table] = ['tableName', 'schema', 'table'].map((name) => textOf(end.location, name) ?? '');
  if (table === undefined || table === '') return whole ?? '';
  const quoted = (part: string): string => (/[".\s]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part);
  return [schema, table].filter((part) => part !== undefined && part !== '').map((part) => quoted(part ?? '')).join('.');
}

function checkDistinct(layouts: readonly TargetLayout[]): void {
  const byPath = new Map<string, TargetLayout>();
  for (const layout of layouts) {
    const other = byPath.get(layout.path);
    if (other !== undefined) {
      throw engineErrors.TARGET_TWICE.create({
        path: layout.path, first: other.sources[0]?.path ?? '', second: layout.sources[0]?.path ?? '',
      });
    }
    byPath.set(layout.path, layout);
  }
}

/** `a/b/data.csv` → `data_1f3870be274f.csv`: one level, unique by its path. */
function flatName(path: string): string {
  const { name, ext } = posix.parse(path);
  return `${name}_${digest(path)}${ext}`;
}

function mergedName(jobId: string, firstPath: string, codecs: CopyCodecs): string {
  return compressedName(`data_${digest(jobId)}${posix.extname(contentName(firstPath, codecs))}`, codecs);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
