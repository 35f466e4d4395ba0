import type { JsonObject, JsonValue } from '@dmg/model';

/** Where a secret comes from: a property of a linked service. */
export interface SecretPlace {
  readonly linkedService: string;
  readonly property: string;
}

/** The key under which a run keeps its copy of a sealed secret. */
export function secretKey(place: SecretPlace): string {
  return `${place.linkedService.toLowerCase()}\n${place.property}`;
}

/** The place that a `{ secretRef: … }` names; undefined for every other value. */
export function secretPlaceOf(value: JsonValue): SecretPlace | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const reference = (value as JsonObject)['secretRef'];
  if (typeof reference !== 'object' || reference === null || Array.isArray(reference)) return undefined;
  const { linkedService, property } = reference as JsonObject;
  return typeof linkedService === 'string' && typeof property === 'string' ? { linkedService, property } : undefined;
}

/** All places that a document refers to, each once. */
export function secretPlacesIn(value: JsonValue): SecretPlace[] {
  const found = new Map<string, SecretPlace>();
  collect(value, found);
  return [...found.values()];
}

function collect(value: JsonValue, found: Map<string, SecretPlace>): void {
  const place = secretPlaceOf(value);
  if (place !== undefined) found.set(secretKey(place), place);
  else if (typeof value === 'object' && value !== null) for (const each of Object.values(value) as JsonValue[]) collect(each, found);
}
