import type { JsonValue } from '@dmg/model';
import { contractErrors } from './errors.ts';
import type { Parsed, Warning } from './types.ts';

const depthMax = 200;

/**
 * Reads JSON as people write it: a byte order mark and trailing commas are accepted (commas with a warning). An error names line
 * and column, and nothing of the text but the character at that place, since the text may hold secrets.
 */
export function parseJsonText(text: string, what: string): Parsed<JsonValue> {
  const reader = new JsonTextReader(text, what);
  return { value: reader.document(), warnings: reader.warnings };
}

const literals: ReadonlyMap<string, JsonValue> = new Map<string, JsonValue>([['true', true], ['false', false], ['null', null]]);
const escapes: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

class JsonTextReader {
  readonly warnings: Warning[] = [];
  readonly #text: string;
  readonly #what: string;
  #position = 0;

  constructor(text: string, what: string) {
    this.#text = text.startsWith('\uFEFF') ? text.slice(1) : text;
    this.#what = what;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#position < this.#text.length) throw this.#wrong('text after the end of the document');
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > depthMax) throw this.#wrong(`nesting deeper than ${depthMax} levels`);
    this.#space();
    const next = this.#text.charAt(this.#position);
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#array(depth);
    if (next === '"') return this.#string();
    const word = /[a-z]+/y;
    word.lastIndex = this.#position;
    const literal = word.exec(this.#text)?.[0] ?? '';
    const value = literals.get(literal);
    if (value !== undefined) {
      this.#position += literal.length;
      return value;
    }
    const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    number.lastIndex = this.#position;
    const digits = number.exec(this.#text)?.[0];
    if (digits === undefined) throw this.#unexpected('a value');
    if (!Number.isFinite(Number(digits))) throw this.#wrong('a number that is too large');
    this.#position += digits.length;
    return Number(digits);
  }

  #object(depth: number): JsonValue {
    const entries: [string, JsonValue][] = [];
    this.#position++;
    for (;;) {
      this.#space();
      if (this.#take('}')) return Object.fromEntries(entries);
      if (this.#text.charAt(this.#position) !== '"') throw this.#unexpected('a property name in double quotes or }');
      const key = this.#string();
      this.#space();
      if (!this.#take(':')) throw this.#unexpected('a colon');
      entries.push([key, this.#value(depth + 1)]);
      this.#space();
      if (!this.#comma('}')) return Object.fromEntries(entries);
    }
  }

  #array(depth: number): JsonValue {
    const items: JsonValue[] = [];
    this.#position++;
    for (;;) {
      this.#space();
      if (this.#take(']')) return items;
      items.push(this.#value(depth + 1));
      this.#space();
      if (!this.#comma(']')) return items;
    }
  }

  /** After an element: true when a comma says that more may follow, false when `close` was taken. */
  #comma(close: string): boolean {
    if (this.#take(close)) return false;
    const at = this.#position;
    if (!this.#take(',')) throw this.#unexpected(`a comma or ${close}`);
    this.#space();
    if (this.#text.charAt(this.#position) === close) {
      const { line, column } = this.#place(at);
      this.warnings.push({ path: `line ${line}, column ${column}`, message: 'a trailing comma; other tools refuse it' });
    }
    return true;
  }

  #string(): string {
    let result = '';
    this.#position++;
    for (;;) {
      const start = this.#position;
      while (this.#isPlain(this.#position)) this.#position++;
      result += this.#text.slice(start, this.#position);
      const next = this.#text.charAt(this.#position);
      if (next === '"') {
        this.#position++;
        return result;
      }
      if (next !== '\\') {
        throw this.#wrong(
          next === '' ? 'a string is not closed' : 'a line break or control character in a string (write it as \\n, \\t …)',
        );
      }
      const escape = this.#text.charAt(this.#position + 1);
      const simple = Object.hasOwn(escapes, escape) ? escapes[escape] : undefined;
      const code = /^u([0-9a-fA-F]{4})/.exec(this.#text.slice(this.#position + 1, this.#position + 6))?.[1];
      if (simple === undefined && code === undefined) throw this.#wrong('a backslash that begins no escape (write a backslash as \\\\)');
      result += simple ?? String.fromCharCode(Number.parseInt(code ?? '', 16));
      this.#position += simple === undefined ? 6 : 2;
    }
  }

  /** Neither a quote, a backslash nor a control character, which must be escaped. */
  #isPlain(position: number): boolean {
    const code = this.#text.charCodeAt(position);
    return code >= 0x20 && code !== 0x22 && code !== 0x5c;
  }

  #space(): void {
    const space = /[ \t\r\n]*/y;
    space.lastIndex = this.#position;
    space.exec(this.#text);
    this.#position = space.lastIndex;
  }

  #take(character: string): boolean {
    if (this.#text.charAt(this.#position) !== character) return false;
    this.#position++;
    return true;
  }

  #place(position: number): { line: number; column: number } {
    const before = this.#text.slice(0, position).split(/\r\n|\r|\n/);
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  }

  #unexpected(expected: string): Error {
    const found = this.#text.charAt(this.#position);
    return this.#wrong(`${found === '' ? 'the text ends' : `there is ${JSON.stringify(found)}`} where ${expected} is expected`);
  }

  #wrong(reason: string): Error {
    return contractErrors.JSON_SYNTAX.create({ what: this.#what, reason, ...this.#place(this.#position) });
  }
}
