import type { ConnectorSpec, JsonObject, JsonValue, ObjectSpec, PropertySpec } from '@dmg/model';
import { isObject, isOff, kindOf, type ObjectReader } from './object-reader.ts';
import { isMasked } from './secret-text.ts';
import type { SecretRef } from './types.ts';

/** Which of a connector's objects is meant. */
export type SpecPart = 'linkedServices' | 'locations' | 'readSettings' | 'writeSettings' | TablePart;
/** Objects of stores that have tables. */
export type TablePart = 'datasets' | 'sources' | 'sinks';

export interface SpecMatch {
  readonly connector: ConnectorSpec;
  readonly object: ObjectSpec;
}

export function specObjects(spec: ConnectorSpec, part: SpecPart): readonly ObjectSpec[] {
  return part === 'datasets' || part === 'sources' || part === 'sinks' ? (spec.tables?.[part] ?? []) : spec[part];
}

export function specTypes(specs: readonly ConnectorSpec[], part: SpecPart): string[] {
  return specs.flatMap((spec) => specObjects(spec, part).map((object) => object.type));
}

export function findSpec(specs: readonly ConnectorSpec[], part: SpecPart, type: string): SpecMatch | undefined {
  const folded = type.trim().toLowerCase();
  for (const connector of specs) {
    const object = specObjects(connector, part).find((candidate) => candidate.type.toLowerCase() === folded);
    if (object !== undefined) return { connector, object };
  }
  return undefined;
}

/** Reads `type` and finds its spec; an unknown type is reported. */
export function readSpecType(reader: ObjectReader, specs: readonly ConnectorSpec[], part: SpecPart): SpecMatch | undefined {
  const type = reader.type(specTypes(specs, part));
  return type === undefined ? undefined : findSpec(specs, part, type);
}

/** Secret properties that the connector uses. */
export function usableSecrets(spec: ObjectSpec): PropertySpec[] {
  return spec.properties.filter(
    (property) => property.type === 'secret' && property.ignored === undefined && property.refused === undefined,
  );
}

/** Where secrets are read: the linked service's name, and which secrets turned out to be masks. */
export interface SecretContext {
  readonly linkedService: string;
  readonly masked: string[];
}

/** Reads an object's properties by its spec into the spec's spelling, with defaults. Empty texts count as absent. */
export function readSpecProperties(reader: ObjectReader, spec: ObjectSpec, secrets?: SecretContext): JsonObject {
  const { oneOf } = spec;
  if (oneOf !== undefined && ![...oneOf, 'encryptedCredential'].some((name) => isGiven(reader, name))) {
    reader.findings.problem(reader.path, `gives none of ${oneOf.join(', ')}; it needs one of them`);
  }
  return readProperties(reader, spec.properties, secrets);
}

function readProperties(reader: ObjectReader, properties: readonly PropertySpec[], secrets: SecretContext | undefined): JsonObject {
  const result: Record<string, JsonValue> = {};
  for (const property of properties) {
    const value = readProperty(reader, property, secrets);
    if (value !== undefined) result[property.name] = value;
    for (const other of isGiven(reader, property.name) ? (property.excludes ?? []) : []) {
      if (isGiven(reader, other)) reader.findings.problem(reader.at(other), `cannot stand beside ${property.name}; give one of the two`);
    }
  }
  return result;
}

function isGiven(reader: ObjectReader, name: string): boolean {
  const raw = reader.raw(name);
  return raw !== undefined && raw !== '';
}

function readProperty(reader: ObjectReader, property: PropertySpec, secrets: SecretContext | undefined): JsonValue | undefined {
  const raw = reader.raw(property.name);
  if (isRefusedValue(reader, property, raw)) return undefined;
  if (raw !== undefined && property.ignored !== undefined) {
    reader.findings.warn(reader.at(property.name), `has no effect: ${property.ignored}`);
  }
  const value = property.type === 'secret' ? readSecret(reader, property, secrets) : readPlain(reader, property);
  if (property.ignored !== undefined) return undefined;
  if (property.refused !== undefined) {
    const isDefault = raw === undefined || isOff(raw) || value === property.default;
    if (!isDefault && value !== undefined) reader.findings.problem(reader.at(property.name), `is not supported: ${property.refused}`);
    return undefined;
  }
  return value ?? property.default;
}

function isRefusedValue(reader: ObjectReader, property: PropertySpec, raw: JsonValue | undefined): boolean {
  if (typeof raw !== 'string') return false;
  const folded = raw.trim().toLowerCase();
  const refused = Object.entries(property.refusedValues ?? {}).find(([value]) => value.toLowerCase() === folded);
  if (refused === undefined) return false;
  reader.findings.problem(reader.at(property.name), `is ${refused[0]}, which is not supported: ${refused[1]}`);
  return true;
}

function readPlain(reader: ObjectReader, property: PropertySpec): JsonValue | undefined {
  const { name, required = false } = property;
  switch (property.type) {
    case 'boolean': {
      const taken = reader.boolean(name);
      return taken.state === 'given' ? taken.value : undefined;
    }
    case 'integer': {
      const { minimum, maximum } = property;
      const rules = { required, ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) };
      const taken = reader.integer(name, rules);
      return taken.state === 'given' ? taken.value : undefined;
    }
    case 'stringMap': return readStringMap(reader, name);
    case 'any': return reader.raw(name);
    case 'object': {
      const object = reader.object(name);
      if (object === undefined) return undefined;
      const values = readProperties(object, property.properties ?? [], undefined);
      object.finish();
      return Object.keys(values).length === 0 ? undefined : values;
    }
    default: {
      const empty = reader.raw(name) === '';
      if (empty && required) reader.findings.problem(reader.at(name), 'is empty; it must be a string');
      if (empty) return undefined;
      const values = property.values === undefined ? {} : { values: property.values };
      const taken = reader.string(name, { required, integers: property.type === 'text', ...values });
      return taken.state === 'given' ? taken.value : undefined;
    }
  }
}

function readStringMap(reader: ObjectReader, name: string): JsonValue | undefined {
  const raw = reader.raw(name);
  if (reader.object(name) === undefined || !isObject(raw)) return undefined;
  for (const [key, value] of Object.entries(raw)) {
    if (typeof value !== 'string') reader.findings.problem(`${reader.at(name)}.${key.trim()}`, `must be a string, not ${kindOf(value)}`);
  }
  return raw;
}

const secretForms = 'a string, { "type": "SecureString", "value": … } or an encryptedCredential';

/** A secret becomes a `SecretRef`; a sealed one stays as it is. */
function readSecret(reader: ObjectReader, property: PropertySpec, secrets: SecretContext | undefined): JsonValue | undefined {
  const raw = reader.raw(property.name);
  const path = reader.at(property.name);
  if (raw === undefined || raw === '') {
    if (property.required === true) reader.findings.problem(path, `is missing; it must be ${secretForms}`);
    return undefined;
  }
  const text = secretText(raw);
  if (text.kind === 'vault') {
    reader.findings.problem(
      path, 'is an AzureKeyVaultSecret, which is not supported; give the secret itself as a SecureString, or encrypt it for the gateway',
    );
  } else if (text.kind === 'sealed') {
    return { encryptedCredential: text.text };
  } else if (text.kind === 'wrong') {
    reader.findings.problem(path, `must be ${secretForms}, not ${kindOf(raw)} of another form`);
  } else if (secrets !== undefined) {
    if (property.ignored === undefined && isMasked(text.text)) secrets.masked.push(property.name);
    const ref: SecretRef = { secretRef: { linkedService: secrets.linkedService, property: property.name } };
    return { secretRef: { ...ref.secretRef } };
  }
  return undefined;
}

/** What a secret's JSON holds. */
export function secretText(raw: JsonValue): { kind: 'plain' | 'sealed' | 'vault' | 'wrong'; text: string } {
  if (typeof raw === 'string') return { kind: 'plain', text: raw };
  if (!isObject(raw)) return { kind: 'wrong', text: '' };
  const fields = new Map(Object.entries(raw).map(([key, value]) => [key.trim().toLowerCase(), value]));
  const type = fields.get('type');
  const folded = typeof type === 'string' ? type.trim().toLowerCase() : '';
  if (folded === 'azurekeyvaultsecret') return { kind: 'vault', text: '' };
  const sealed = fields.get('encryptedcredential');
  if (typeof sealed === 'string' && sealed !== '') return { kind: 'sealed', text: sealed };
  const value = fields.get('value');
  if (folded === 'securestring' && typeof value === 'string') return { kind: 'plain', text: value };
  return { kind: 'wrong', text: '' };
}
