import type { JsonFormat, Translator } from '@dmg/model';
import { formatErrors } from '../errors.ts';
import { parseJsonPath, PathNode } from './json-path.ts';

/** A column of JSON objects. */
export interface JsonColumn {
  readonly name: string;
  /** What `parseJsonPath` reads; within an element of the collection where it does not begin with `$`. */
  readonly path: string;
}

/** The whole object as one column. */
export const wholeObject: readonly JsonColumn[] = [{ name: '$', path: '$' }];

/**
 * The columns that a copy wants: those that its mapping names (but for `added` ones, which the copy itself adds), else those that the
 * dataset defines. Undefined: the properties of the
 * file's first object.
 */
export function wantedColumns(
  format: JsonFormat, translator: Translator | undefined, added: readonly string[],
): readonly JsonColumn[] | undefined {
  const names = (translator?.mappings ?? []).map(({ source }) => source.name).filter((name) => name === undefined || !added.includes(name));
  const mapped = names.filter((name) => name !== undefined);
  const defined = (name: string): string | undefined => format.columns?.find((column) => column.name === name)?.path;
  if (mapped.length > 0 && mapped.length === names.length) {
    return [...new Set(mapped)].map((name) => ({ name, path: defined(name) ?? name }));
  }
  if (format.columns !== undefined && format.columns.length > 0) return format.columns;
  if (format.collectionReference === undefined) return undefined;
  throw formatErrors.BAD_MAPPING.create({
    reason: 'an array of each object is read row by row (collectionReference), but no column is mapped by its name or path',
  });
}

/** The wanted values as trees of paths: from the object, and from each element of the collection. */
export interface JsonTrees {
  readonly root: PathNode;
  /** Undefined: an object is one row. The collection itself is the column after the last in `root`. */
  readonly element: PathNode | undefined;
}

export function compileColumns(columns: readonly JsonColumn[], collectionReference: string | undefined): JsonTrees {
  const root = new PathNode();
  if (collectionReference === undefined) {
    for (const [index, { path }] of columns.entries()) root.add(parseJsonPath(path), index, path);
    return { root, element: undefined };
  }
  const element = new PathNode();
  root.add(parseJsonPath(collectionReference), columns.length, collectionReference);
  for (const [index, { path }] of columns.entries()) (path.startsWith('$') ? root : element).add(parseJsonPath(path), index, path);
  return { root, element };
}

/** Trees for columns that are properties of the object, whatever they are called. */
export function compileProperties(names: readonly string[]): JsonTrees {
  const root = new PathNode();
  for (const [index, name] of names.entries()) root.add([name], index, name);
  return { root, element: undefined };
}
