import type { JsonObject, JsonValue } from '@dmg/model';
import { controlPlaneErrors } from '../errors.ts';

/** Reading request bodies. Names of properties are compared without case, as the product does in practice (adf-facts §8.1). */

export function requireObject(body: unknown, path = 'body'): JsonObject {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as JsonObject;
  throw controlPlaneErrors.BODY_REFUSED.create({ path, reason: 'is not a JSON object' });
}

export function property(object: JsonObject, name: string): JsonValue | undefined {
  if (Object.hasOwn(object, name)) return object[name];
  return Object.entries(object).find(([key]) => key.trim().toLowerCase() === name.toLowerCase())?.[1];
}

/** The document of a definition as it is kept: without what the server itself says about it (id, etag, type). */
export function keptDocument(body: unknown): JsonObject {
  const document = requireObject(body);
  requireObject(property(document, 'properties'), 'properties');
  return Object.fromEntries(
    Object.entries(document).filter(([name]) => !['id', 'etag', 'type', 'name', 'warnings'].includes(name.trim().toLowerCase())),
  );
}

const resourceName = {
  pattern: /^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$/, minimum: 3, maximum: 63, allowed: '3 to 63 letters, digits and single dashes between them',
};
const definitionName = {
  pattern: /^[A-Za-z0-9_][^<>*#.%&:\\+?/]*$/,
  minimum: 1,
  maximum: 260,
  allowed: 'up to 260 characters, the first a letter, digit or underscore, none of < > * # . % & : \\ + ? /',
};

/** Data Factory's naming rules. */
export function requireName(name: string, what: string, kind: 'resource' | 'definition'): string {
  const rule = kind === 'resource' ? resourceName : definitionName;
  const fits = name.length >= rule.minimum && name.length <= rule.maximum && rule.pattern.test(name);
  if (fits) return name;
  throw controlPlaneErrors.NAME_REFUSED.create({
    name: JSON.stringify(name.slice(0, 80)), what, reason: 'it does not follow the naming rules', allowed: rule.allowed,
  });
}
