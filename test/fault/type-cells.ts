import type { Random } from '@dmg/base';

/** What is at the boundary of a value; not every type has every one of them. */
export const boundaryClasses = [
  'null', 'empty', 'min', 'max', 'zero', 'negative', 'step', 'longest', 'special', 'blanks', 'words', 'any',
] as const;
export type BoundaryClass = (typeof boundaryClasses)[number];

/** The `index`-th value of a cell, as text that the server reads as the type. */
export type TypeCell = (random: Random, index: number) => string | null;

export interface FuzzedType {
  /** In SQL. */
  readonly name: string;
  /** How the server compares two values: `=` with nulls, `~=`, or not at all (then by text and binary form alone). */
  readonly equality: 'distinct' | 'same' | 'none';
  readonly cells: Readonly<Partial<Record<BoundaryClass, TypeCell>>>;
  /** Of a domain: the type below it, as which its values are compared, since a server describes its results by that. */
  readonly base?: string;
}

export function fuzzedType(name: string, cells: FuzzedType['cells'], equality: FuzzedType['equality'] = 'distinct'): FuzzedType {
  return { name, equality, cells: { null: () => null, ...cells } };
}

export function below(random: Random, limit: number): number {
  return Math.floor(random.unit() * limit);
}

export function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[below(random, list.length)];
  if (value === undefined) throw new RangeError('nothing to pick from');
  return value;
}

/** These values, one after the other. */
export function each(...values: readonly string[]): TypeCell {
  return (_random, index) => values[index % values.length] ?? '';
}

/** The text of `count` calls. */
export function repeated(count: number, text: () => string, between = ''): string {
  return Array.from({ length: count }, text).join(between);
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Everything that a reader or writer of delimited text, or COPY, might take for something else. */
const specials = [
  ',', ';', '|', '||', '\t', '\n', '\r', '\r\n', '"', '""', "'", "''", '\\', '\\\\', '\\.', '\n\\.\n', '\\N', '\\n', '\\t', '\\r', '\\b',
  '\\x41', '\\101', '\\"', '\u0001', '\u0002', '\u0008', '\u000b', '\u000c', '\u001a', '\u001f', '\u007f', '\u0080', '\u00a0', '\u2028',
  '\ufeff', '\ufffd', '\u{10ffff}', '😀', '👩‍👩‍👧', 'e\u0301', 'ß', '日本',
  'שלום', 'a', ' ', '{', '}', '(', ')', '[', '#', '=>', ':', '$1',
    '%s',
] as const;

/** Text that is something else to somebody. */
export const wordList = [
  'NULL', 'null', '\\N', '\\.', '\\n', 'NaN', 'nan', 'Infinity', '-Infinity', 'true', 'false', 't', 'f', '0', '-0', '1e5', '0x1F',
    'undefined',
  'None', '#N/A', '""', "''", '"', "'", '-', '.', ',', ';', '=1+1', '@x', '{}', '[]', '()', '$$FILEPATH', 'Prop_0', 'id', 'infinity',
    'epoch',
  'now', 'today', '\ufeffid', '--', '/*', '\\', '\\\\',
] as const;

export function specialText(random: Random, charactersMax = 40): string {
  const text = repeated(1 + below(random, 8), () => pick(random, specials));
  return Array.from(text).slice(0, charactersMax).join('');
}

export function plainText(random: Random, charactersMax = 12): string {
  return repeated(1 + below(random, charactersMax), () => pick(random, ['a', 'b', 'Z', '9', 'é', '_', '日']));
}

const blank = [' ', '  ', '\t', '\n', '\r\n', '\u00a0', '\u3000'] as const;

export function blankText(random: Random, index: number, charactersMax: number): string {
  const inner = plainText(random, 3);
  const text = [` ${inner}`, `${inner} `, ` ${inner} `, ' ', '  ', `${pick(random, blank)}${inner}${pick(random, blank)}`][index % 6] ?? '';
  return Array.from(text).slice(0, charactersMax).join('');
}

/** A quoted part of an array or a composite value. */
export function quotedPart(text: string | null): string {
  if (text === null) return 'NULL';
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

export function arrayText(parts: readonly (string | null)[]): string {
  return `{${parts.map(quotedPart).join(',')}}`;
}
