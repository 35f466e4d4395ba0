import type { JsonObject, JsonValue } from '@dmg/model';
import { shown } from './findings.ts';
import { hint } from './suggestion.ts';

/** The subset of Data Factory's expression language that works here; for error texts. */
export const supportedExpressions =
  'supported are @pipeline().parameters.name, @pipeline().RunId, @pipeline().Pipeline, @pipeline().DataFactory, '
  + '@dataset().name (in datasets), @concat(…), texts in single quotes, numbers, true, false, null, '
  + 'and any of these as @{…} inside a text';

/** What an expression may name. */
export interface Scope {
  /** `pipeline` in activities, `dataset` in datasets. */
  readonly kind: 'pipeline' | 'dataset';
  readonly parameters: Readonly<Record<string, JsonValue>>;
  readonly facts: Readonly<Record<string, string>>;
}

export class ExpressionProblem {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

const depthMax = 40;

/**
 * True for what Data Factory evaluates: a string that begins with one `@`, or holds `@{`, or an object of type Expression.
 * `@@` at the beginning stands for `@`; a single `@` alone is a text.
 */
export function isExpression(value: JsonValue): value is string | JsonObject {
  if (typeof value === 'string') return (value.startsWith('@') && value.length > 1) || value.includes('@{');
  return expressionText(value) !== undefined;
}

/** The text of `{ type: 'Expression', value }`; undefined for all else. */
export function expressionText(value: JsonValue): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries<JsonValue>(value).map(([key, item]) => [key.trim().toLowerCase(), item] as const);
  const type = entries.find(([key]) => key === 'type')?.[1];
  const text = entries.find(([key]) => key === 'value')?.[1];
  const known = entries.every(([key]) => key === 'type' || key === 'value');
  return known && typeof type === 'string' && type.trim().toLowerCase() === 'expression' && typeof text === 'string' ? text : undefined;
}

/** Evaluates every expression in a JSON value; problems are told with their path, and the value there becomes null. */
export function evaluateDeep(value: JsonValue, scope: Scope, path: string, tell: (path: string, message: string) => void): JsonValue {
  if (isExpression(value)) {
    const result = evaluateText(typeof value === 'string' ? value : (expressionText(value) ?? ''), scope);
    if (!(result instanceof ExpressionProblem)) return result;
    tell(path, result.message);
    return null;
  }
  if (Array.isArray(value)) return value.map((item: JsonValue, index) => evaluateDeep(item, scope, `${path}[${index}]`, tell));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries<JsonValue>(value).map(([key, item]) => [key, evaluateDeep(item, scope, `${path}.${shown(key.trim())}`, tell)]),
  );
}

/** Checks an expression without values: its syntax, and that the parameters it names exist. */
export function checkExpression(value: string | JsonObject, scope: Scope): ExpressionProblem | undefined {
  const result = evaluateText(typeof value === 'string' ? value : (expressionText(value) ?? ''), scope);
  return result instanceof ExpressionProblem ? result : undefined;
}

/** Evaluates one text: `@expression`, a text with `@{expression}` parts, or a plain text with `@@` for `@`. */
export function evaluateText(text: string, scope: Scope): JsonValue | ExpressionProblem {
  try {
    if (text.startsWith('@@')) return text.slice(1).replaceAll('@@{', '@{');
    if (text.startsWith('@') && text.length > 1 && !text.startsWith('@{')) return new ExpressionReader(text, 1, scope).whole();
    return interpolate(text, scope);
  } catch (error) {
    if (error instanceof Stop) return new ExpressionProblem(error.message);
    throw error;
  }
}

function interpolate(text: string, scope: Scope): string {
  let result = '';
  let position = 0;
  for (;;) {
    const at = text.indexOf('@{', position);
    if (at < 0) return result + text.slice(position);
    if (text.charAt(at - 1) === '@' && at > position) {
      result += `${text.slice(position, at - 1)}@{`;
      position = at + 2;
      continue;
    }
    const reader = new ExpressionReader(text, at + 2, scope);
    result += text.slice(position, at) + textOf(reader.upTo('}'));
    position = reader.position;
  }
}

function textOf(value: JsonValue): string {
  if (typeof value === 'string') return value;
  return value === null ? '' : JSON.stringify(value);
}

/** Leaves the reader; never leaves this file. */
class Stop extends Error {}

class ExpressionReader {
  position: number;
  readonly #text: string;
  readonly #scope: Scope;
  #depth = 0;

  constructor(text: string, position: number, scope: Scope) {
    this.#text = text;
    this.position = position;
    this.#scope = scope;
  }

  whole(): JsonValue {
    const value = this.#expression();
    this.#space();
    if (this.position < this.#text.length) throw this.#unknown();
    return value;
  }

  upTo(close: string): JsonValue {
    const value = this.#expression();
    this.#space();
    if (this.#text.charAt(this.position) !== close) throw this.#unknown();
    this.position++;
    return value;
  }

  #expression(): JsonValue {
    if (++this.#depth > depthMax) throw new Stop(`holds an expression nested deeper than ${depthMax} levels`);
    this.#space();
    const value = this.#text.charAt(this.position) === "'" ? this.#quoted() : this.#word();
    this.#depth--;
    return value;
  }

  #quoted(): string {
    const match = this.#match(/'((?:[^']|'')*)'/y);
    if (match === undefined) throw new Stop('holds an expression in which a single quote is not closed');
    return (match[1] ?? '').replaceAll("''", "'");
  }

  #word(): JsonValue {
    const number = this.#match(/-?\d+(?:\.\d+)?(?![\w.])/y);
    if (number !== undefined) return Number(number[0]);
    const start = this.position;
    const word = this.#match(/[A-Za-z_]\w*/y)?.[0] ?? '';
    const name = word.toLowerCase();
    if (name === 'true' || name === 'false') return name === 'true';
    if (name === 'null') return null;
    this.#space();
    if (this.#text.charAt(this.position) !== '(' || !['concat', 'pipeline', 'dataset'].includes(name)) {
      this.position = start;
      throw this.#unknown();
    }
    this.position++;
    if (name === 'concat') return this.#concat();
    this.#space();
    if (this.#text.charAt(this.position) !== ')') throw this.#unknown();
    this.position++;
    return name === 'pipeline' ? this.#pipeline() : this.#dataset();
  }

  #concat(): string {
    let result = '';
    for (let count = 0; ; count++) {
      this.#space();
      if (count === 0 && this.#text.charAt(this.position) === ')') break;
      result += textOf(this.#expression());
      this.#space();
      const next = this.#text.charAt(this.position);
      if (next === ')') break;
      if (next !== ',') throw this.#unknown();
      this.position++;
    }
    this.position++;
    return result;
  }

  #pipeline(): JsonValue {
    if (this.#scope.kind !== 'pipeline') {
      throw new Stop(
        'names @pipeline() in a dataset, which knows only @dataset(); give the dataset a parameter',
      );
    }
    const member = this.#member();
    if (member.toLowerCase() === 'parameters') return this.#parameter('pipeline');
    const fact = Object.entries(this.#scope.facts).find(([name]) => name.toLowerCase() === member.toLowerCase());
    if (fact === undefined) {
      throw new Stop(
        `holds an expression that cannot be evaluated here: @pipeline().${shown(member)}; ${supportedExpressions}`,
      );
    }
    return fact[1];
  }

  #dataset(): JsonValue {
    if (this.#scope.kind !== 'dataset') throw new Stop('names @dataset() outside a dataset');
    return this.#parameter('dataset');
  }

  #parameter(owner: 'pipeline' | 'dataset'): JsonValue {
    const name = this.#member();
    const { parameters } = this.#scope;
    if (Object.hasOwn(parameters, name)) return parameters[name] ?? null;
    const known = Object.keys(parameters);
    const found = known.find((other) => other.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return parameters[found] ?? null;
    throw new Stop(`names the parameter ${shown(name)}, which the ${owner} does not define${hint(name, known)}`);
  }

  /** `.name` or `['name']`. */
  #member(): string {
    this.#space();
    const dotted = this.#match(/\??\.\s*([A-Za-z_]\w*)/y);
    if (dotted !== undefined) return dotted[1] ?? '';
    const bracketed = this.#match(/\[\s*'((?:[^']|'')*)'\s*\]/y);
    if (bracketed !== undefined) return (bracketed[1] ?? '').replaceAll("''", "'");
    throw this.#unknown();
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.position;
    const match = pattern.exec(this.#text) ?? undefined;
    if (match !== undefined) this.position = pattern.lastIndex;
    return match;
  }

  #space(): void {
    this.#match(/\s*/y);
  }

  #unknown(): Stop {
    const rest = shown(this.#text.slice(this.position), 40);
    const where = rest === '' ? 'it ends too early' : `at "${rest}"`;
    return new Stop(`holds an expression that cannot be evaluated here (${where}); ${supportedExpressions}`);
  }
}
