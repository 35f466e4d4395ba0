import type { JsonObject, JsonValue } from '@dmg/model';
import { type Findings, isTooDeep, shown } from './findings.ts';
import { isObject, kindOf, ObjectReader } from './object-reader.ts';
import type { ParameterDefinition, ParameterType } from './types.ts';

/** Length limit of the names of definitions and activities. */
const nameLengthMax = 260;

/** Data Factory's naming rule. */
export function checkName(name: string, path: string, findings: Findings): void {
  if (name === '') findings.problem(path, 'is empty');
  else if (name.length > nameLengthMax) findings.problem(path, `has ${name.length} characters; allowed are ${nameLengthMax}`);
  else if (!/^[\p{L}\p{N}_]/u.test(name)) findings.problem(path, 'must begin with a letter, a digit or an underscore');
  const forbidden = /[.+?/<>*%&:\\\p{Cc}]/u.exec(name)?.[0];
  if (forbidden !== undefined) {
    findings.problem(
      path, `holds ${JSON.stringify(forbidden)}; forbidden are . + ? / < > * % & : \\ and control characters`,
    );
  }
  if (name !== name.trim()) findings.problem(path, 'begins or ends with a space');
}

/** The document and a reader of its `properties`; undefined when there are none to read (which is reported). */
export function openDefinition(
  name: string, json: JsonValue, findings: Findings,
): { json: JsonObject; properties: ObjectReader } | undefined {
  if (isTooDeep(json, findings)) return undefined;
  checkName(name, 'name', findings);
  if (!isObject(json)) {
    findings.problem('', `the definition must be an object, not ${kindOf(json)}`);
    return undefined;
  }
  const document = new ObjectReader(json, '', findings);
  document.allow('name', 'id', 'type', 'etag');
  const properties = document.object('properties', true);
  document.finish();
  return properties === undefined ? undefined : { json, properties };
}

export interface Reference {
  readonly referenceName: string;
  readonly parameters: ObjectReader | undefined;
}

/** Reads `{ referenceName, type, parameters? }`. */
export function readReference(reader: ObjectReader | undefined, type: string): Reference | undefined {
  if (reader === undefined) return undefined;
  const name = reader.string('referenceName', { required: true });
  if (reader.raw('type') !== undefined) reader.type([type]);
  const parameters = reader.object('parameters');
  reader.allow('name');
  reader.finish();
  return name.state === 'given' ? { referenceName: name.value.trim(), parameters } : undefined;
}

const parameterTypes: readonly ParameterType[] = ['String', 'Int', 'Float', 'Bool', 'Array', 'Object'];

/** Reads `parameters: { name: { type, defaultValue } }` of a dataset or pipeline. */
export function readParameters(reader: ObjectReader): Record<string, ParameterDefinition> {
  const result: [string, ParameterDefinition][] = [];
  const raw = reader.raw('parameters');
  const parameters = reader.object('parameters');
  if (parameters === undefined || !isObject(raw)) return {};
  for (const key of Object.keys(raw)) {
    const name = key.trim();
    const definition = parameters.object(name, true);
    if (definition === undefined) continue;
    const path = definition.at('type');
    const given = definition.raw('type');
    if (typeof given === 'string' && given.trim().toLowerCase() === 'securestring') {
      reader.findings.problem(path, 'is SecureString, which is not supported; put the secret into a linked service');
      continue;
    }
    const type = definition.type(parameterTypes) as ParameterType | undefined;
    const defaultValue = definition.raw('defaultValue');
    definition.finish();
    if (type === undefined) continue;
    if (defaultValue === undefined) {
      result.push([name, { type }]);
      continue;
    }
    const value = parameterValue(defaultValue, type);
    if (value === undefined) reader.findings.problem(definition.at('defaultValue'), `must be of type ${type}, not ${kindOf(defaultValue)}`);
    else result.push([name, { type, defaultValue: value }]);
  }
  return Object.fromEntries(result);
}

/** Brings a value into a parameter's type, numbers and booleans also from and to text; undefined when it is of another type. */
export function parameterValue(value: JsonValue, type: ParameterType): JsonValue | undefined {
  switch (type) {
    case 'String': return typeof value === 'object' ? undefined : String(value);
    case 'Int': return numberOf(value, Number.isSafeInteger);
    case 'Float': return numberOf(value, Number.isFinite);
    case 'Bool':
      if (typeof value === 'string' && /^(true|false)$/i.test(value)) return value.toLowerCase() === 'true';
      return typeof value === 'boolean' ? value : undefined;
    case 'Array': return Array.isArray(value) ? (value as JsonValue) : undefined;
    case 'Object': return isObject(value) ? value : undefined;
  }
}

function numberOf(value: JsonValue, fits: (number: number) => boolean): number | undefined {
  const number = typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && fits(number) ? number : undefined;
}

export interface Binding {
  readonly definitions: Readonly<Record<string, ParameterDefinition>>;
  readonly given: Readonly<Record<string, JsonValue>>;
  /** `pipeline X`, `dataset Y`. */
  readonly owner: string;
  readonly path: string;
}

/** Values of all parameters: what is given, else the defaults. Missing, unknown and ill-typed ones are reported. */
export function bindParameters(binding: Binding, findings: Findings): Record<string, JsonValue> {
  const { definitions, given, owner, path } = binding;
  const names = Object.keys(definitions);
  const values = new Map<string, JsonValue>();
  for (const [key, value] of Object.entries(given)) {
    const name = names.find((candidate) => candidate === key.trim()) ?? names.find(
      (candidate) => candidate.toLowerCase() === key.trim().toLowerCase(),
    );
    const definition = name === undefined ? undefined : definitions[name];
    if (name === undefined || definition === undefined) {
      findings.problem(`${path}.${shown(key)}`, `is not a parameter of ${owner}; it has ${names.length === 0 ? 'none' : names.join(', ')}`);
      continue;
    }
    const converted = value === null ? undefined : parameterValue(value, definition.type);
    if (converted === undefined) findings.problem(`${path}.${name}`, `must be of type ${definition.type}, not ${kindOf(value)}`);
    else values.set(name, converted);
  }
  const named = new Set(Object.keys(given).map((key) => key.trim().toLowerCase()));
  for (const name of names) {
    if (named.has(name.toLowerCase())) continue;
    const value = definitions[name]?.defaultValue;
    if (value === undefined) findings.problem(`${path}.${name}`, `is missing: ${owner} gives this parameter no default`);
    else values.set(name, value);
  }
  return Object.fromEntries(values);
}

/** Stand-ins for parameters whose values are not known yet, so that expressions can be checked. */
export function unboundParameters(definitions: Readonly<Record<string, ParameterDefinition>>): Record<string, JsonValue> {
  return Object.fromEntries(Object.keys(definitions).map((name) => [name, null]));
}
