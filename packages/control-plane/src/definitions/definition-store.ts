import type { Clock, Secret } from '@dmg/base';
import { extractSecrets, type Lookup, parseDataset, parseLinkedService, parsePipeline, redactSecrets, type Warning } from '@dmg/contracts';
import type { ConnectorSpec, JsonObject, JsonValue } from '@dmg/model';
import { type MasterSecret, sealSecret } from '@dmg/security';
import type { Transaction } from 'kysely';
import type { Db } from '../database/open-database.ts';
import type { Database, DefinitionRow, FactoryRow } from '../database/schema.ts';
import { controlPlaneErrors } from '../errors.ts';
import { checkIfMatch, etagOf, type PutConditions } from './factory-store.ts';
import { type SecretPlace, secretKey } from './secret-places.ts';

/** Kinds of definition, spelled as the paths of the REST API spell them. */
export const definitionKinds = ['linkedservices', 'datasets', 'pipelines'] as const;
export type DefinitionKind = (typeof definitionKinds)[number];

const kindWords: Readonly<Record<DefinitionKind, string>> = {
  linkedservices: 'the linked service', datasets: 'the dataset', pipelines: 'the pipeline',
};

/** Linked services, datasets and pipelines of factories: checked, kept as the user wrote them, secrets sealed apart from them. */
export class DefinitionStore {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #master: MasterSecret;
  readonly #specs: readonly ConnectorSpec[];

  constructor(options: { db: Db; clock: Clock; master: MasterSecret; specs: readonly ConnectorSpec[] }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#master = options.master;
    this.#specs = options.specs;
  }

  /** Creates or replaces. Throws what the contracts find wrong; what they only wonder at is answered as warnings. */
  async put(
    factory: FactoryRow,
    kind: DefinitionKind,
    name: string,
    document: JsonObject,
    conditions: PutConditions,
  ): Promise<{ row: DefinitionRow; warnings: readonly Warning[] }> {
    const { warnings, shown, secrets, kept } = this.#read(kind, name, document);
    const row: DefinitionRow = {
      factory_id: factory.id, kind, name, name_key: name.toLowerCase(), resource: JSON.stringify(shown), etag: etagOf(shown),
      updated_at: this.#clock.wallMs(),
    };
    await this.#db.transaction().execute(async (trx) => {
      const existing = await findRow(trx, factory.id, kind, name);
      checkIfMatch(kindWords[kind], name, existing?.etag, conditions);
      await trx
        .insertInto('definitions')
        .values(row)
        .onConflict((conflict) => conflict.columns(['factory_id', 'kind', 'name_key']).doUpdateSet(row))
        .execute();
      if (kind === 'linkedservices') await this.#putSecrets(trx, factory.id, name, secrets, kept);
    });
    return { row, warnings };
  }

  find(factory: FactoryRow, kind: DefinitionKind, name: string): Promise<DefinitionRow | undefined> {
    return findRow(this.#db, factory.id, kind, name);
  }

  /** As `find`, but throws `NOT_FOUND`. */
  async get(factory: FactoryRow, kind: DefinitionKind, name: string): Promise<DefinitionRow> {
    const row = await this.find(factory, kind, name);
    if (row === undefined) throw controlPlaneErrors.NOT_FOUND.create({ what: kindWords[kind], name });
    return row;
  }

  list(factory: FactoryRow, kind: DefinitionKind): Promise<DefinitionRow[]> {
    return this.#db
      .selectFrom('definitions')
      .selectAll()
      .where('factory_id', '=', factory.id)
      .where('kind', '=', kind)
      .orderBy('name_key')
      .execute();
  }

  /** False when it was not there. Runs that were accepted have their own copy of everything and go on. */
  async delete(factory: FactoryRow, kind: DefinitionKind, name: string): Promise<boolean> {
    return this.#db.transaction().execute(async (trx) => {
      const key = name.toLowerCase();
      const result = await trx
        .deleteFrom('definitions')
        .where('factory_id', '=', factory.id)
        .where('kind', '=', kind)
        .where('name_key', '=', key)
        .executeTakeFirst();
      if (kind === 'linkedservices') {
        await trx.deleteFrom('secrets').where('factory_id', '=', factory.id).where('linked_service_key', '=', key).execute();
      }
      return result.numDeletedRows > 0n;
    });
  }

  /** All linked services and datasets of a factory, for resolving a run. */
  async lookup(factory: FactoryRow): Promise<Lookup> {
    const rows = await this.#db
      .selectFrom('definitions')
      .selectAll()
      .where('factory_id', '=', factory.id)
      .where('kind', 'in', ['linkedservices', 'datasets'])
      .execute();
    const byKey = new Map(rows.map((row) => [`${row.kind}\n${row.name_key}`, row]));
    const document = (kind: DefinitionKind, name: string): { name: string; json: JsonValue } | undefined => {
      const row = byKey.get(`${kind}\n${name.toLowerCase()}`);
      return row === undefined ? undefined : { name: row.name, json: JSON.parse(row.resource) as JsonValue };
    };
    return {
      linkedService: (name) => {
        const found = document('linkedservices', name);
        return found === undefined ? undefined : parseLinkedService(found.name, found.json, this.#specs).value;
      },
      dataset: (name) => {
        const found = document('datasets', name);
        return found === undefined ? undefined : parseDataset(found.name, found.json, this.#specs).value;
      },
    };
  }

  /** The sealed texts of these secrets by `secretKey`. Throws `SECRET_MISSING` when one is not stored. */
  async sealedSecrets(factory: FactoryRow, places: readonly SecretPlace[]): Promise<Record<string, string>> {
    const rows = places.length === 0 ? [] : await this.#db.selectFrom('secrets').selectAll().where('factory_id', '=', factory.id).execute();
    const found: Record<string, string> = {};
    for (const place of places) {
      const row = rows.find((each) => each.linked_service_key === place.linkedService.toLowerCase() && each.property === place.property);
      if (row === undefined) throw controlPlaneErrors.SECRET_MISSING.create({ ...place });
      found[secretKey(place)] = row.sealed;
    }
    return found;
  }

  #read(kind: DefinitionKind, name: string, document: JsonObject): Read {
    const none = { secrets: new Map<string, Secret>(), kept: [] };
    switch (kind) {
      case 'linkedservices': {
        const { value, warnings } = parseLinkedService(name, document, this.#specs);
        return {
          warnings,
          shown: redactSecrets(document, this.#specs),
          secrets: extractSecrets(document, this.#specs),
          kept: value.maskedSecrets,
        };
      }
      case 'datasets': return { warnings: parseDataset(name, document, this.#specs).warnings, shown: document, ...none };
      case 'pipelines': return { warnings: parsePipeline(name, document, this.#specs).warnings, shown: document, ...none };
    }
  }

  /** The new secrets sealed, those whose mask came back kept as they are, all others gone. */
  async #putSecrets(
    trx: Transaction<Database>, factoryId: string, linkedService: string, secrets: ReadonlyMap<string, Secret>, kept: readonly string[],
  ): Promise<void> {
    const key = linkedService.toLowerCase();
    const before = await trx
      .selectFrom('secrets')
      .select('property')
      .where('factory_id', '=', factoryId)
      .where('linked_service_key', '=', key)
      .execute();
    for (const property of kept) {
      if (!before.some((row) => row.property === property)) throw controlPlaneErrors.SECRET_MISSING.create({ linkedService, property });
    }
    for (const { property } of before) {
      if (kept.includes(property)) continue;
      await trx
        .deleteFrom('secrets')
        .where('factory_id', '=', factoryId)
        .where('linked_service_key', '=', key)
        .where('property', '=', property)
        .execute();
    }
    for (const [property, secret] of secrets) {
      const sealed = sealSecret(this.#master, secret, { factoryId, linkedService, property });
      await trx.insertInto('secrets').values({ factory_id: factoryId, linked_service_key: key, property, sealed }).execute();
    }
  }
}

interface Read {
  readonly warnings: readonly Warning[];
  /** What is stored and shown: as it came, without secrets. */
  readonly shown: JsonValue;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly kept: readonly string[];
}

function findRow(
  db: Db | Transaction<Database>, factoryId: string, kind: DefinitionKind, name: string,
): Promise<DefinitionRow | undefined> {
  return db
    .selectFrom('definitions')
    .selectAll()
    .where('factory_id', '=', factoryId)
    .where('kind', '=', kind)
    .where('name_key', '=', name.toLowerCase())
    .executeTakeFirst();
}
