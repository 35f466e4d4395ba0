import { posix } from 'node:path';
import { selectObjects, textOf } from '@dmg/connector-api';
import type { CopyActivity, CopyEnd, SourceObject } from '@dmg/model';
import { isEncryptedSecret } from '@dmg/model';
import { canonicalJson } from './activity-digest.ts';
import { codecsOf } from './codecs.ts';
import { engineErrors } from './errors.ts';
import type { TargetLayout } from './target-layout.ts';
import { storedPathOf } from './zip-source.ts';

/** Secrets of both ends in clear, by property name. */
export interface CopySecrets {
  readonly source: ReadonlyMap<string, string>;
  readonly sink: ReadonlyMap<string, string>;
  /** Of the store of the log, where there is one. */
  readonly log?: ReadonlyMap<string, string>;
}

/**
 * Refuses a copy that would replace one of its own sources (DESIGN-RULES 29). Stores are the same when connector and connection
 * are, with secrets compared in clear; two connections that reach one store under different names, or links in a file system, are
 * not seen through. What slips through replaces a source only after it was read whole.
 */
export function checkOverlap(activity: CopyActivity, layouts: readonly TargetLayout[], secrets: CopySecrets): void {
  const { source, sink } = activity;
  if (source.connector !== sink.connector || storeOf(source, secrets.source) !== storeOf(sink, secrets.sink)) return;
  const sourceFolder = rootOf(source, selectObjects(source, { recursive: true }).folder);
  const sinkFolder = rootOf(sink, textOf(sink.location, 'folderPath') ?? '');
  const sources = new Map<string, string>();
  const { source: compression } = codecsOf(activity);
  const storedPath = (object: SourceObject): string => storedPathOf(object, compression);
  for (const layout of layouts) {
    for (const object of layout.sources) {
      const path = storedPath(object);
      sources.set(posix.join(sourceFolder, path), path);
    }
  }
  for (const layout of layouts) {
    const path = sources.get(posix.join(sinkFolder, layout.path));
    if (path !== undefined) throw engineErrors.SOURCE_IS_TARGET.create({ source: path, target: layout.path });
  }
}

/** Refuses a copy of a table onto itself. A query that reads its own target is not seen through: it sees the rows from before. */
export function checkTableOverlap(activity: CopyActivity, tables: { source: string; sink: string }, secrets: CopySecrets): void {
  const { source, sink } = activity;
  if ((textOf(source.settings, 'query') ?? '') !== '' || tables.source !== tables.sink) return;
  if (source.connector !== sink.connector || storeOf(source, secrets.source) !== storeOf(sink, secrets.sink)) return;
  throw engineErrors.TABLE_ONTO_ITSELF.create({ table: tables.sink });
}

/** What tells two stores apart. `host` is left out: a file server's host is a folder, and belongs to the path. */
function storeOf(end: CopyEnd, secrets: ReadonlyMap<string, string>): string {
  const entries = Object.entries(end.connection)
    .filter(([name]) => name !== 'host')
    .map(([name, value]) => [name, isEncryptedSecret(value) ? (secrets.get(name) ?? '') : value] as const);
  return canonicalJson(Object.fromEntries(entries));
}

function rootOf(end: CopyEnd, folder: string): string {
  return posix.join('/', textOf(end.connection, 'host') ?? '', textOf(end.location, 'container') ?? '', folder);
}
