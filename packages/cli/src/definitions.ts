import { basename } from 'node:path';
import { type DmgError, hasCode } from '@dmg/base';
import { parseJsonText } from '@dmg/contracts';
import { cliErrors } from './errors.ts';

/** Kinds of definition, in the order in which they refer to each other; the words are the REST API's path segments. */
export const definitionKinds = ['integrationRuntimes', 'linkedServices', 'datasets', 'pipelines'] as const;
export type DefinitionKind = (typeof definitionKinds)[number];

export interface Definition {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * Recognises a definition by what it holds (the way Data Factory's Git folders store them): `activities` make a pipeline,
 * `linkedServiceName` a dataset, the type `SelfHosted` an integration runtime, any other type a linked service.
 */
export function readDefinition(file: string, text: string): Definition {
  const bad = (reason: string): Error => cliErrors.BAD_DEFINITION.create({ file, reason });
  const parsed = readJson(file, text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw bad('it is not a JSON object');
  const document = new Map(Object.entries(parsed).map(([key, value]) => [key.trim().toLowerCase(), value as unknown]));
  const properties = document.get('properties');
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) throw bad('it has no object `properties`');
  const name = document.get('name');
  const keys = new Map(Object.entries(properties).map(([key, value]) => [key.trim().toLowerCase(), value as unknown]));
  return {
    kind: kindOf(keys, bad),
    name: typeof name === 'string' ? name.trim() : basename(file).replace(/\.json$/i, ''),
    properties: properties as Record<string, unknown>,
  };
}

function readJson(file: string, text: string): unknown {
  try {
    return parseJsonText(text, file).value;
  } catch (error) {
    if (!hasCode(error, 'DMG_CONTRACTS_JSON_SYNTAX')) throw error;
    const { reason, line, column } = (error as DmgError).params;
    throw cliErrors.BAD_DEFINITION.create({ file, reason: `it is not JSON: ${reason} at line ${line}, column ${column}` });
  }
}

function kindOf(keys: ReadonlyMap<string, unknown>, bad: (reason: string) => Error): DefinitionKind {
  if (keys.has('activities')) return 'pipelines';
  if (keys.has('linkedservicename')) return 'datasets';
  const type = keys.get('type');
  if (typeof type !== 'string')
    throw bad('it is none of pipeline, dataset, linked service and integration runtime: `properties.type` is missing');
  return type.toLowerCase() === 'selfhosted' ? 'integrationRuntimes' : 'linkedServices';
}
