import { fieldEscaped, fieldLiteral, fieldNull } from '../record-batch.ts';
import { faulty, incomplete, type JsonScanner, unescapeJson } from './json-scanner.ts';
import type { PathNode } from './json-path.ts';

/** Where fields are noted. */
export interface FieldTable {
  starts: Uint32Array;
  ends: Uint32Array;
  flags: Uint8Array;
}

/** Finds the wanted values of one object after the other. */
export class JsonFields {
  readonly #scanner: JsonScanner;
  /** True: a property that nobody wants is a fault. */
  readonly #isStrict: boolean;
  #table: FieldTable = { starts: new Uint32Array(0), ends: new Uint32Array(0), flags: new Uint8Array(0) };
  #base = 0;

  constructor(scanner: JsonScanner, isStrict: boolean) {
    this.#scanner = scanner;
    this.#isStrict = isStrict;
  }

  /** Notes the values of the object whose brace stands at `from` in `table`, from index `base` on. What is not there is null. */
  locate(tree: PathNode, range: { bytes: Uint8Array; from: number; end: number }, table: FieldTable, base: number): number {
    this.#table = table;
    this.#base = base;
    for (const column of tree.columns) table.flags[base + column] = fieldNull;
    return this.#node(tree, range.bytes, range.from, range.end);
  }

  #object(node: PathNode, bytes: Uint8Array, from: number, end: number): number {
    const scanner = this.#scanner;
    node.rewind();
    let position = scanner.skipSpace(bytes, from + 1, end);
    if (position < end && bytes[position] === 0x7d) return position + 1;
    for (;;) {
      if (position >= end) return incomplete;
      const start = position + 1;
      if (bytes[position] !== 0x22) return scanner.unexpected(bytes, position, 'a property name');
      const close = scanner.string(bytes, start, end);
      if (close < 0) return close;
      const child = scanner.escapes ? findEscaped(node, bytes, start, close) : node.find(bytes, start, close);
      if (child === undefined && this.#isStrict) {
        return scanner.fail(position, `stands the property ${keyText(bytes, start, close)}, which the first object does not have`);
      }
      position = scanner.afterKey(bytes, close + 1, end);
      if (position < 0) return position;
      position = child === undefined ? scanner.value(bytes, position, end) : this.#again(child, bytes, position, end);
      if (position < 0) return position;
      position = scanner.skipSpace(bytes, position, end);
      if (position >= end) return incomplete;
      if (bytes[position] === 0x7d) return position + 1;
      if (bytes[position] !== 0x2c) return scanner.unexpected(bytes, position, '"," or "}"');
      position = scanner.skipSpace(bytes, position + 1, end);
    }
  }

  #array(node: PathNode, bytes: Uint8Array, from: number, end: number): number {
    const scanner = this.#scanner;
    let position = scanner.skipSpace(bytes, from + 1, end);
    if (position < end && bytes[position] === 0x5d) return position + 1;
    for (let index = 0; ; index++) {
      if (position >= end) return incomplete;
      const child = node.element(index);
      position = child === undefined ? scanner.value(bytes, position, end) : this.#again(child, bytes, position, end);
      if (position < 0) return position;
      position = scanner.skipSpace(bytes, position, end);
      if (position >= end) return incomplete;
      if (bytes[position] === 0x5d) return position + 1;
      if (bytes[position] !== 0x2c) return scanner.unexpected(bytes, position, '"," or "]"');
      position = scanner.skipSpace(bytes, position + 1, end);
    }
  }

  /** A value whose property may have been there before: the last one counts, with all that is in it. */
  #again(node: PathNode, bytes: Uint8Array, from: number, end: number): number {
    const { flags } = this.#table;
    for (const column of node.columns) flags[this.#base + column] = fieldNull;
    return this.#node(node, bytes, from, end);
  }

  #node(node: PathNode, bytes: Uint8Array, from: number, end: number): number {
    const scanner = this.#scanner;
    const byte = bytes[from];
    let next: number;
    let isEscaped = false;
    if (byte === 0x7b && node.hasProperties) {
      next = this.#object(node, bytes, from, end);
    } else if (byte === 0x5b && node.hasElements) {
      next = this.#array(node, bytes, from, end);
    } else {
      next = scanner.value(bytes, from, end);
      isEscaped = scanner.escapes;
    }
    if (next < 0 || node.column < 0 || byte === 0x6e) return next;
    const { starts, ends, flags } = this.#table;
    const field = this.#base + node.column;
    const isString = byte === 0x22;
    starts[field] = isString ? from + 1 : from;
    ends[field] = isString ? next - 1 : next;
    flags[field] = isString ? (isEscaped ? fieldEscaped : 0) : fieldLiteral;
    return next;
  }
}

/** The names of an object's properties, each once, in order; `faulty` or `incomplete` where it cannot be read to its end. */
export function propertyNames(scanner: JsonScanner, bytes: Uint8Array, from: number, end: number): readonly string[] | -1 | -2 {
  const names = new Set<string>();
  let position = scanner.skipSpace(bytes, from + 1, end);
  while (position < end && bytes[position] !== 0x7d) {
    const start = position + 1;
    if (bytes[position] !== 0x22) return scanner.unexpected(bytes, position, 'a property name');
    const close = scanner.string(bytes, start, end);
    if (close < 0) return close === faulty ? faulty : incomplete;
    names.add(keyText(bytes, start, close));
    position = scanner.afterKey(bytes, close + 1, end);
    if (position >= 0) position = scanner.value(bytes, position, end);
    if (position < 0) return position === faulty ? faulty : incomplete;
    position = scanner.skipSpace(bytes, position, end);
    if (position >= end || bytes[position] === 0x7d) continue;
    if (bytes[position] !== 0x2c) return scanner.unexpected(bytes, position, '"," or "}"');
    position = scanner.skipSpace(bytes, position + 1, end);
    if (position < end && bytes[position] === 0x7d) return scanner.unexpected(bytes, position, 'a property name');
  }
  return position >= end ? incomplete : [...names];
}

function findEscaped(node: PathNode, bytes: Uint8Array, start: number, end: number): PathNode | undefined {
  const key = new Uint8Array(end - start);
  return node.find(key, 0, unescapeJson(bytes, start, end, key));
}

function keyText(bytes: Uint8Array, start: number, end: number): string {
  const key = new Uint8Array(end - start);
  return Buffer.from(key.buffer, 0, unescapeJson(bytes, start, end, key)).toString('utf8');
}
