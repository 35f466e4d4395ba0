import type { OwnForm } from '@dmg/connector-api';

/** The PostgreSQL server's name for the form, as an option of `COPY`. https://www.postgresql.org/docs/current/sql-copy.html */
export const binaryOptions = 'FORMAT binary';

/**
 * Types whose binary form says the same on every server and needs nothing of its surroundings (no locale, no catalogue), as
 * `format_type` writes them. Others travel as text.
 */
const names = [
  'boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', String.raw`numeric(?:\(\d+,-?\d+\))?`,
  'text', String.raw`character varying(?:\(\d+\))?`, String.raw`character\(\d+\)`, 'bytea', 'uuid', 'json', 'jsonb', 'date',
  String.raw`(?:time|timestamp)(?:\(\d\))? with(?:out)? time zone`,
];
const exact = new RegExp(`^(?:${names.join('|')})$`);

/**
 * `COPY`'s binary format: two thirds of the time of text from server to server. Values go between columns of the same type with the
 * same modifiers only, so that the sink's server has nothing to round or to cut off.
 */
export const binaryForm: OwnForm = {
  name: 'postgresql-binary',
  typeOf: ({ nativeType }) => (nativeType !== undefined && exact.test(nativeType) ? nativeType : undefined),
};
