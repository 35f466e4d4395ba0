import type { ConnectorSpec, JsonObject, JsonValue } from '@dmg/model';
import { openDefinition, readReference } from './definition.ts';
import { Findings } from './findings.ts';
import type { ObjectReader } from './object-reader.ts';
import { readSpecProperties, readSpecType, type SpecMatch, usableSecrets } from './spec-object.ts';
import type { LinkedService, Parsed } from './types.ts';

/** Reads a linked service. Throws one `DMG_CONTRACTS_INVALID_DEFINITION` that names all that is wrong. */
export function parseLinkedService(name: string, json: JsonValue, specs: readonly ConnectorSpec[]): Parsed<LinkedService> {
  const findings = new Findings();
  const definition = openDefinition(name, json, findings);
  const value = definition === undefined ? undefined : readLinkedService(name, definition.properties, specs);
  findings.throwIfFailed('linked service', name);
  if (value === undefined) throw new TypeError('a definition without problems has a value');
  return { value, warnings: findings.warnings };
}

function readLinkedService(name: string, properties: ObjectReader, specs: readonly ConnectorSpec[]): LinkedService | undefined {
  const match = readSpecType(properties, specs, 'linkedServices');
  const gateway = readReference(properties.object('connectVia'), 'IntegrationRuntimeReference');
  properties.allow('description', 'annotations', 'version');
  properties.refuse(['parameters'], 'linked services take no parameters here; give parameters to the dataset');
  const typeProperties = properties.object('typeProperties', true);
  properties.finish();
  if (match === undefined || typeProperties === undefined) return undefined;
  const masked: string[] = [];
  const connection = readSpecProperties(typeProperties, match.object, { linkedService: name, masked });
  const sealed = readSealed(typeProperties, match, connection);
  typeProperties.finish();
  return {
    name,
    type: match.object.type,
    connector: match.connector.name,
    integrationRuntime: gateway?.referenceName,
    connection: { ...connection, ...sealed },
    maskedSecrets: masked,
  };
}

/** `encryptedCredential` beside the other properties stands for the first secret that is not given itself. */
function readSealed(reader: ObjectReader, match: SpecMatch, connection: JsonObject): JsonObject {
  const taken = reader.string('encryptedCredential');
  const usable = usableSecrets(match.object).filter(
    ({ excludes = [] }) => !excludes.some((name) => connection[name] !== undefined),
  );
  const free = usable.find((property) => connection[property.name] === undefined);
  if (taken.state === 'given' && taken.value !== '') {
    if (free !== undefined) return { [free.name]: { encryptedCredential: taken.value } };
    reader.findings.warn(reader.at('encryptedCredential'), 'has no effect: no secret is missing for which it could stand');
  } else if (usable.length > 0 && usable.every((property) => connection[property.name] === undefined)) {
    reader.findings.warn(reader.path, `holds no credential; it may need one of ${usable.map((property) => property.name).join(', ')}`);
  }
  return {};
}
