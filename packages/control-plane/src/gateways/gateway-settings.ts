import type { JsonObject, JsonValue } from '@dmg/model';
import { controlPlaneErrors } from '../errors.ts';

/** Registered nodes of a gateway at most, unless its resource says otherwise (DESIGN-RULES 19). */
export const nodesMaxDefault = 4;
const nodesMaxMaximum = 8;

/** `properties.typeProperties.nodesMax` of an integration runtime: a whole number from 1 to 8. Stock clients do not send it. */
export function nodesMaxOf(resource: JsonObject): number {
  const given = part(part(part(resource, 'properties'), 'typeProperties'), 'nodesMax');
  if (given === undefined || given === null) return nodesMaxDefault;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 1 || given > nodesMaxMaximum) {
    throw controlPlaneErrors.BODY_REFUSED.create({
      path: 'properties.typeProperties.nodesMax', reason: `is not a whole number from 1 to ${nodesMaxMaximum}`,
    });
  }
  return given;
}

function part(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  // Older writers of this JSON differ in case.
  return Object.entries(value).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}
