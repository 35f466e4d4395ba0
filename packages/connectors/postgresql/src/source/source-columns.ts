import type { TableColumn } from '@dmg/model';
import type { ResultColumn, Session } from '../client.ts';
import { toInterimType } from './interim-types.ts';

/** A column of the table or query, as the server describes its result. */
export interface SourceColumn {
  readonly name: string;
  /** With modifiers: `numeric(15,2)`. */
  readonly type: string;
  /** Name in `pg_catalog`; empty for types of other schemas. */
  readonly typeName: string;
  /** For a cast, without modifiers: `pg_catalog.int4`. */
  readonly castType: string;
}

type SourceType = Omit<SourceColumn, 'name'>;

const typesQuery = `
SELECT d.oid::text AS oid, d.modifier::text AS modifier, pg_catalog.format_type(d.oid, d.modifier) AS type,
  CASE WHEN n.nspname = 'pg_catalog' THEN t.typname::text ELSE '' END AS name,
  pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS "cast"
FROM unnest($1::oid[], $2::int4[]) AS d(oid, modifier)
JOIN pg_catalog.pg_type t ON t.oid = d.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace`;

/** Reads columns, and remembers the types it has met. */
export class ColumnReader {
  readonly #types = new Map<string, SourceType>();
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Columns of the rows that `select` gives, as they are now, whatever the snapshot of the transaction: the server locks the tables
   * and describes them before it looks at rows. The lock is held to the end of the transaction.
   */
  async read(session: Session, select: string, signal: AbortSignal): Promise<SourceColumn[]> {
    const call = { what: 'describe', path: this.#path, signal };
    const fields = await session.describe(call, `SELECT * FROM (\n${select}\n) AS dmg_source LIMIT 0`);
    const unknown = fields.filter((field) => !this.#types.has(keyOf(field)));
    if (unknown.length > 0) {
      const oids = `{${unknown.map((field) => field.dataTypeID).join(',')}}`;
      const modifiers = `{${unknown.map((field) => field.dataTypeModifier).join(',')}}`;
      for (const row of await session.query(call, typesQuery, [oids, modifiers])) {
        const { oid, modifier, type, name, cast } = row;
        this.#types.set(`${oid}:${modifier}`, { type: type ?? '', typeName: name ?? '', castType: cast ?? '' });
      }
    }
    return fields.map((field) => {
      const type = this.#types.get(keyOf(field));
      if (type === undefined) throw new Error('the server describes a column of a type that it does not have');
      return { name: field.name, ...type };
    });
  }
}

function keyOf(field: ResultColumn): string {
  return `${field.dataTypeID}:${field.dataTypeModifier}`;
}

/** `notNull`: names of columns that cannot be null. */
export function toTableColumn(column: SourceColumn, notNull: ReadonlySet<string>): TableColumn {
  return {
    name: column.name, type: toInterimType(column.typeName), nativeType: column.type, nullable: !notNull.has(column.name),
  };
}
