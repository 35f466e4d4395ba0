import type { CopyEnd, JsonObject } from '@dmg/model';
import { connectorErrors } from './errors.ts';
import { checkedObjectPath, checkedPath, isOwnPath } from './object-path.ts';
import { hasWildcard, literalOf, matchesWildcard } from './wildcard.ts';

/** Which objects of a store a copy reads: location and store settings of its source, understood once for all stores. */
export interface ObjectSelection {
  /** Folder from the store's root that the paths below are relative to; '' is the root. */
  readonly folder: string;
  /** Relative path of the one object that is named without wildcards, if one is. */
  readonly named: string | undefined;
  /** True when the folder was named without wildcards, so that its absence is an error where a store has folders. */
  readonly folderNamed: boolean;
  /** Every path that can match starts so; for listing at the store. */
  readonly pathPrefix: string;
  /** True when sub-folders can hold matches. */
  readonly deep: boolean;
  /** Is the object at this relative path selected (its time aside)? */
  matches(path: string): boolean;
  /** Can this relative folder hold a match, at any depth? For pruning a walk. */
  mayHold(folder: string): boolean;
  /** Is an object of this age selected? */
  inTime(lastModifiedMs: number): boolean;
}

/**
 * Data Factory's rules. `wildcardFolderPath` replaces `folderPath`; paths are then relative to its leading parts without
 * wildcards. `wildcardFileName` (older: `fileFilter`) replaces `fileName`. `prefix` replaces the folder and keeps what follows its
 * last slash. `recursive` takes the sub-folders of every folder that matched.
 */
export function selectObjects(end: CopyEnd, defaults: { recursive: boolean }): ObjectSelection {
  const folderPattern = textOf(end.settings, 'wildcardFolderPath');
  const namePattern = textOf(end.settings, 'wildcardFileName') ?? textOf(end.settings, 'fileFilter');
  const prefix = textOf(end.settings, 'prefix');
  const fileName = namePattern === undefined ? textOf(end.location, 'fileName') : undefined;
  const recursive = typeof end.settings.recursive === 'boolean' ? end.settings.recursive : defaults.recursive;
  const inTime = timeFilter(end.settings);

  if (prefix !== undefined && folderPattern === undefined && namePattern === undefined) {
    const cut = prefix.lastIndexOf('/');
    const pathPrefix = prefix.slice(cut + 1);
    return {
      folder: checkedFolder(prefix.slice(0, Math.max(cut, 0))), named: undefined, folderNamed: false, pathPrefix, deep: recursive,
      matches: (path) => !isOwnPath(path) && path.startsWith(pathPrefix) && (recursive || !path.includes('/')),
      mayHold: (folder) => recursive && (folder.startsWith(pathPrefix) || pathPrefix.startsWith(folder)),
      inTime,
    };
  }
  const { folder, patterns } = splitFolder(folderPattern, textOf(end.location, 'folderPath') ?? '');
  if (fileName !== undefined && patterns.length === 0) {
    const named = checkedObjectPath(fileName);
    return {
      folder, named, folderNamed: true, pathPrefix: named, deep: false,
      matches: (path) => path === named,
      mayHold: () => false,
      inTime,
    };
  }
  const nameMatches = (name: string): boolean => {
    if (fileName !== undefined) return name === fileName;
    return namePattern === undefined || matchesWildcard(namePattern, name);
  };
  return {
    folder, named: undefined, folderNamed: patterns.length === 0, pathPrefix: '', deep: recursive || patterns.length > 0,
    matches(path) {
      if (isOwnPath(path)) return false;
      const parts = path.split('/');
      const name = parts.pop() ?? '';
      if (parts.length < patterns.length || (!recursive && parts.length > patterns.length)) return false;
      return patterns.every((pattern, index) => matchesWildcard(pattern, parts[index] ?? '')) && nameMatches(name);
    },
    mayHold(path) {
      if (isOwnPath(path)) return false;
      const parts = path === '' ? [] : path.split('/');
      if (!recursive && parts.length > patterns.length) return false;
      return parts.every((part, index) => index >= patterns.length || matchesWildcard(patterns[index] ?? '', part));
    },
    inTime,
  };
}

/** A string property that is present and not empty. */
export function textOf(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw connectorErrors.BAD_SETTING.create({ name, reason: 'it is not a string', remedy: 'Give a string.' });
  return value;
}

/** Leading parts without wildcards are the folder; the rest are patterns, one a level. */
function splitFolder(pattern: string | undefined, folderPath: string): { folder: string; patterns: string[] } {
  if (pattern === undefined) return { folder: checkedFolder(folderPath), patterns: [] };
  const parts = pattern.split('/').filter((part) => part !== '');
  const first = parts.findIndex((part) => hasWildcard(part));
  const count = first === -1 ? parts.length : first;
  return { folder: checkedFolder(parts.slice(0, count).map(literalOf).join('/')), patterns: parts.slice(count) };
}

/** The folder of a source or a sink: inside the root and none of our own. */
export function checkedFolder(path: string): string {
  const checked = checkedPath(path);
  return checked === '' ? '' : checkedObjectPath(checked);
}

function timeFilter(settings: JsonObject): (lastModifiedMs: number) => boolean {
  const fromMs = momentOf(settings, 'modifiedDatetimeStart') ?? -Infinity;
  const beforeMs = momentOf(settings, 'modifiedDatetimeEnd') ?? Infinity;
  return (lastModifiedMs) => lastModifiedMs >= fromMs && lastModifiedMs < beforeMs;
}

function momentOf(settings: JsonObject, name: string): number | undefined {
  const text = textOf(settings, name);
  if (text === undefined) return undefined;
  // A date-time without a zone is UTC, as Data Factory has it; JavaScript would take it as local time.
  const zoned = /T/.test(text) && !/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? `${text}Z` : text;
  const atMs = Date.parse(zoned);
  if (Number.isNaN(atMs)) {
    throw connectorErrors.BAD_SETTING.create({
      name, reason: `\`${text}\` is not a date`, remedy: 'Give an ISO 8601 date, e.g. 2024-01-31T00:00:00Z.',
    });
  }
  return atMs;
}
