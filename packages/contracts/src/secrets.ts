import { Secret } from '@dmg/base';
import type { ConnectorSpec, JsonValue, PropertySpec } from '@dmg/model';
import { Findings, isTooDeep } from './findings.ts';
import { isObject, propertyOf } from './object-reader.ts';
import { isMasked, looksSecret, maskText, secretMask, soundsSecret } from './secret-text.ts';
import { findSpec, secretText, usableSecrets } from './spec-object.ts';
import { nearest } from './suggestion.ts';

/**
 * A linked service's document as it may be returned and stored: SecureString values become `**********`, connection strings and URIs
 * keep only their harmless parts, and text that looks like a secret is masked wherever it stands. All else stays as the user wrote it.
 * Sealed credentials stay: they are ciphertext. Masking twice is the same as once.
 */
export function redactSecrets(json: JsonValue, specs: readonly ConnectorSpec[]): JsonValue {
  if (isTooDeep(json, new Findings())) return {};
  const properties = specs.flatMap((spec) => spec.linkedServices).flatMap((object) => object.properties);
  const nameOf = (property: PropertySpec): string => property.name.toLowerCase();
  const secretNames = properties.filter((property) => property.type === 'secret').map(nameOf);
  const openNames = new Set(properties.filter((property) => property.type !== 'secret').map(nameOf));
  // A misspelt secret is a secret.
  const isSecret = (name: string): boolean => !openNames.has(name) && (soundsSecret(name) || nearest(name, secretNames) !== undefined);
  return redact(json, '', isSecret);
}

function redact(value: JsonValue, name: string, isSecret: (name: string) => boolean): JsonValue {
  const folded = name.trim().toLowerCase();
  if (typeof value === 'string') {
    if (folded === 'encryptedcredential') return value;
    return isSecret(folded) || looksSecret(value) ? maskText(value) : value;
  }
  if (Array.isArray(value)) return value.map((item: JsonValue) => redact(item, name, isSecret));
  if (!isObject(value)) return typeof value === 'number' && isSecret(folded) ? secretMask : value;
  const type = propertyOf(value, 'type');
  const kind = typeof type === 'string' ? type.trim().toLowerCase() : '';
  const inSecret = isSecret(folded);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const own = key.trim().toLowerCase();
      if (own === 'type' || own === 'encryptedcredential') return [key, item];
      if (kind === 'securestring' && own === 'value') return [key, secretMask];
      // Within a secret property nothing is shown but the words that say what it is.
      return [key, redact(item, inSecret ? name : key, isSecret)];
    }),
  );
}

/**
 * Secrets of a linked service in clear, by the property names of its spec, for sealing. Masks, sealed credentials and secrets that the
 * connector does not use are left out. Call it on what `parseLinkedService` has accepted.
 */
export function extractSecrets(json: JsonValue, specs: readonly ConnectorSpec[]): ReadonlyMap<string, Secret> {
  const found = new Map<string, Secret>();
  const properties = isObject(json) ? propertyOf(json, 'properties') : undefined;
  if (!isObject(properties)) return found;
  const type = propertyOf(properties, 'type');
  const typeProperties = propertyOf(properties, 'typeProperties');
  const match = typeof type === 'string' ? findSpec(specs, 'linkedServices', type) : undefined;
  if (match === undefined || !isObject(typeProperties)) return found;
  for (const property of usableSecrets(match.object)) {
    const raw: JsonValue | undefined = propertyOf(typeProperties, property.name);
    const secret = raw === undefined || raw === null ? undefined : secretText(raw);
    if (secret?.kind === 'plain' && secret.text !== '' && !isMasked(secret.text)) found.set(property.name, new Secret(secret.text));
  }
  return found;
}
