import type { JsonObject, JsonValue } from '@dmg/model';
import { checkExpression, evaluateDeep, isExpression, type Scope } from './expression.ts';
import { type Findings, shown } from './findings.ts';
import { hint } from './suggestion.ts';

/** What a property turned out to be. `deferred`: an expression, whose value is known at run time only. */
export type Taken<T> = { readonly state: 'absent' | 'bad' | 'deferred' } | { readonly state: 'given'; readonly value: T };

export interface StringRules {
  readonly required?: boolean;
  /** Allowed values, compared without case; the result has this spelling. */
  readonly values?: readonly string[];
  /** A whole number is taken for its text. */
  readonly integers?: boolean;
}

export interface NumberRules {
  readonly required?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
}

const absent = { state: 'absent' } as const;
const bad = { state: 'bad' } as const;

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, for messages; never the value itself, which may be a secret. */
export function kindOf(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Value of a property of a JSON object, its name compared without case and surrounding spaces. */
export function propertyOf(object: JsonObject, name: string): JsonValue | undefined {
  for (const [key, value] of Object.entries(object)) if (key.trim().toLowerCase() === name.toLowerCase()) return value;
  return undefined;
}

/**
 * Reads the properties of one JSON object: names without case and spaces, types strictly. It reports what is wrong, and at the
 * end (`finish`) what nobody asked for. With a scope, expressions are allowed: they are checked and left for run time. null means absent.
 */
export class ObjectReader {
  /** The object as the user wrote it. */
  readonly json: JsonObject;
  readonly path: string;
  readonly findings: Findings;
  readonly scope: Scope | undefined;
  readonly #properties = new Map<string, { key: string; value: JsonValue }>();
  readonly #asked = new Set<string>();

  constructor(object: JsonObject, path: string, findings: Findings, scope?: Scope) {
    this.json = object;
    this.path = path;
    this.findings = findings;
    this.scope = scope;
    for (const [key, value] of Object.entries(object)) {
      const folded = key.trim().toLowerCase();
      if (this.#properties.has(folded)) findings.problem(this.at(key.trim()), 'is given twice (names are compared without case)');
      else this.#properties.set(folded, { key, value });
    }
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${shown(name)}`;
  }

  /** The value as it stands; undefined when absent or null. */
  raw(name: string): JsonValue | undefined {
    this.#asked.add(name);
    return this.#properties.get(name.toLowerCase())?.value ?? undefined;
  }

  string(name: string, rules: StringRules = {}): Taken<string> {
    const { integers = false } = rules;
    const taken = this.#take(name, rules.required === true, integers ? 'a string or a whole number' : 'a string', (value) =>
      typeof value === 'string' ? value : integers && typeof value === 'number' && Number.isSafeInteger(value) ? `${value}` : undefined,
    );
    if (taken.state !== 'given' || rules.values === undefined) return taken;
    const found = rules.values.find((value) => value.toLowerCase() === taken.value.trim().toLowerCase());
    if (found !== undefined) return { state: 'given', value: found };
    this.findings.problem(
      this.at(name), `is "${shown(taken.value)}"; allowed are ${rules.values.join(', ')}${hint(taken.value, rules.values)}`,
    );
    return bad;
  }

  boolean(name: string): Taken<boolean> {
    return this.#take(name, false, 'true or false', (value) => {
      if (typeof value === 'boolean') return value;
      // What came out of an expression may be text.
      if (this.scope === undefined && typeof value === 'string' && /^(true|false)$/i.test(value)) return value.toLowerCase() === 'true';
      return undefined;
    });
  }

  integer(name: string, rules: NumberRules = {}): Taken<number> {
    const taken = this.#take(name, rules.required === true, 'an integer', (value) => {
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
      if (this.scope === undefined && typeof value === 'string' && /^-?\d{1,15}$/.test(value)) return Number(value);
      return undefined;
    });
    if (taken.state !== 'given') return taken;
    const { minimum = -Infinity, maximum = Infinity } = rules;
    if (taken.value >= minimum && taken.value <= maximum) return taken;
    const limits = Number.isFinite(maximum) ? `${minimum} to ${maximum}` : `${minimum} or more`;
    this.findings.problem(this.at(name), `is ${taken.value}; allowed is ${limits}`);
    return bad;
  }

  /** A reader of an object property; undefined when it is absent, deferred or not an object (which is reported). */
  object(name: string, required = false): ObjectReader | undefined {
    const taken = this.#take(name, required, 'an object', (value) => (isObject(value) ? value : undefined));
    return taken.state === 'given' ? new ObjectReader(taken.value, this.at(name), this.findings, this.scope) : undefined;
  }

  /** Readers of the objects of an array property; elements of another kind are reported and left out. */
  objects(name: string): ObjectReader[] {
    const readers: ObjectReader[] = [];
    for (const [index, value] of this.array(name).entries()) {
      const path = `${this.at(name)}[${index}]`;
      if (isObject(value)) readers.push(new ObjectReader(value, path, this.findings, this.scope));
      else this.findings.problem(path, `must be an object, not ${kindOf(value)}`);
    }
    return readers;
  }

  array(name: string): readonly JsonValue[] {
    const taken = this.#take(name, false, 'an array', (value) => (Array.isArray(value) ? (value as readonly JsonValue[]) : undefined));
    return taken.state === 'given' ? taken.value : [];
  }

  /** The object's `type`, one of `types`; undefined when it is missing or unknown (which is reported). */
  type(types: readonly string[]): string | undefined {
    const value = this.raw('type');
    const path = this.at('type');
    if (value === undefined) {
      this.findings.problem(path, `is missing; allowed ${types.length === 1 ? 'is' : 'are'} ${types.join(', ')}`);
    } else if (typeof value !== 'string') {
      this.findings.problem(path, `must be a string, not ${kindOf(value)}; allowed are ${types.join(', ')}`);
    } else {
      const found = types.find((type) => type.toLowerCase() === value.trim().toLowerCase());
      if (found !== undefined) return found;
      this.findings.problem(path, `is "${shown(value)}", which is not supported; allowed are ${types.join(', ')}${hint(value, types)}`);
    }
    return undefined;
  }

  /** Checks all expressions within a property, whatever its type is. */
  checkExpressions(name: string): void {
    const value = this.raw(name);
    if (value === undefined || this.scope === undefined) return;
    evaluateDeep(value, this.scope, this.at(name), (path, message) => this.findings.problem(path, message));
  }

  /** Marks properties as known that need no look: descriptions, folders and the like. */
  allow(...names: readonly string[]): void {
    for (const name of names) this.#asked.add(name);
  }

  /** Known properties without effect here: a warning where they are given. */
  ignore(names: readonly string[], why: string): void {
    for (const name of names) if (this.raw(name) !== undefined) this.findings.warn(this.at(name), `has no effect: ${why}`);
  }

  /** Known properties that are not built: refused unless empty or switched off. */
  refuse(names: readonly string[], why: string): void {
    for (const name of names) {
      const value = this.raw(name);
      if (value !== undefined && !isOff(value)) this.findings.problem(this.at(name), `is not supported: ${why}`);
    }
  }

  /** Warns of properties that nothing has asked for. */
  finish(): void {
    const known = [...this.#asked];
    const folded = new Set(known.map((name) => name.toLowerCase()));
    for (const [name, { key }] of this.#properties) {
      if (!folded.has(name)) this.findings.warn(this.at(key.trim()), `is not known and has no effect${hint(key, known)}`);
    }
  }

  #take<T>(name: string, required: boolean, wanted: string, read: (value: JsonValue) => T | undefined): Taken<T> {
    const value = this.raw(name);
    if (value === undefined) {
      if (!required) return absent;
      this.findings.problem(this.at(name), `is missing; it must be ${wanted}`);
      return bad;
    }
    if (this.scope !== undefined && isExpression(value)) {
      const problem = checkExpression(value, this.scope);
      if (problem === undefined) return { state: 'deferred' };
      this.findings.problem(this.at(name), problem.message);
      return bad;
    }
    const result = read(value);
    if (result !== undefined) return { state: 'given', value: result };
    this.findings.problem(this.at(name), `must be ${wanted}, not ${kindOf(value)}`);
    return bad;
  }
}

/** Nothing that would change a copy: false, 0, empty, or an object of such. */
export function isOff(value: JsonValue): boolean {
  if (value === null || value === false || value === '' || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.values(value).every((item) => isOff(item));
}

/** The value, or the default when it is absent, deferred or bad. */
export function valueOr<T>(taken: Taken<T>, otherwise: T): T {
  return taken.state === 'given' ? taken.value : otherwise;
}
