import { formatErrors } from '../errors.ts';

/** A property by its name, or an element of an array by its number from 0. */
export type PathStep = string | number;

/**
 * Reads a path to a value: `$.a.b`, `$['a']['b']`, `$.a[0]`, `['a']`, or `$` for all of the object. Whatever does not begin like one
 * of these is the name of a property. Inside quotes a backslash takes the next character literally.
 */
export function parseJsonPath(text: string): readonly PathStep[] {
  if (!/^(\$($|[.[])|\[)/.test(text)) return [text];
  const steps: PathStep[] = [];
  const step = /\.([^.[\]'"*?()]+)|\[\s*(\d{1,9})\s*\]|\[\s*'((?:[^'\\]|\\.)*)'\s*\]|\[\s*"((?:[^"\\]|\\.)*)"\s*\]/suy;
  step.lastIndex = text.startsWith('$') ? 1 : 0;
  for (let at = step.lastIndex; at < text.length; at = step.lastIndex) {
    const found = step.exec(text);
    if (found === null) {
      throw formatErrors.BAD_MAPPING.create({
        reason: `the path ${text} cannot be read from character ${at + 1} on; paths look like $.a.b, $['a']['b'] or $.a[0]`,
      });
    }
    const [, plain, index, single, double] = found;
    steps.push(index === undefined ? (plain ?? (single ?? double ?? '').replaceAll(/\\(.)/gsu, '$1')) : Number(index));
  }
  return steps;
}

/** Which values of an object are wanted, as a tree of the steps to them. */
export class PathNode {
  /** The column that is this value; -1: none. */
  column = -1;
  /** Columns here and below, which hold nothing when this value is another one than was expected. */
  readonly columns: number[] = [];
  /** True where properties, or elements, are looked for below. */
  hasProperties = false;
  hasElements = false;
  readonly #keys: Uint8Array[] = [];
  readonly #children: PathNode[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #elements = new Map<number, PathNode>();
  /** Objects list their properties in the same order, as a rule. */
  #next = 0;

  /** Adds the path to a column. Throws `BAD_MAPPING` where it lies within another one, or is the same. */
  add(steps: readonly PathStep[], column: number, shown: string): void {
    const overlaps = this.column >= 0 || (steps.length === 0 && this.columns.length > 0);
    if (overlaps) throw formatErrors.BAD_MAPPING.create({ reason: `the path ${shown} holds, or is part of, another path of the mapping` });
    this.columns.push(column);
    const [step, ...rest] = steps;
    if (step === undefined) this.column = column;
    else this.#child(step).add(rest, column, shown);
  }

  /** The child for the key `bytes[start, end)`, in UTF-8 without escapes. */
  find(bytes: Uint8Array, start: number, end: number): PathNode | undefined {
    const next = this.#next;
    if (next < this.#keys.length && isSame(this.#keys[next] as Uint8Array, bytes, start, end)) {
      this.#next = next + 1;
      return this.#children[next];
    }
    const index = this.#byKey.get(latin(bytes, start, end));
    if (index === undefined) return undefined;
    this.#next = index + 1;
    return this.#children[index];
  }

  /** An object begins. */
  rewind(): void {
    this.#next = 0;
  }

  element(index: number): PathNode | undefined {
    return this.#elements.get(index);
  }

  #child(step: PathStep): PathNode {
    if (typeof step === 'number') {
      this.hasElements = true;
      const known = this.#elements.get(step);
      if (known !== undefined) return known;
      const element = new PathNode();
      this.#elements.set(step, element);
      return element;
    }
    this.hasProperties = true;
    const key = new TextEncoder().encode(step);
    const name = latin(key, 0, key.length);
    const index = this.#byKey.get(name);
    if (index !== undefined) return this.#children[index] as PathNode;
    const child = new PathNode();
    this.#byKey.set(name, this.#keys.length);
    this.#keys.push(key);
    this.#children.push(child);
    return child;
  }
}

function isSame(key: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== key.length) return false;
  for (let index = 0; index < key.length; index++) if (bytes[start + index] !== key[index]) return false;
  return true;
}

function latin(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
