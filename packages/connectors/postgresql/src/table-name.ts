import { connectorErrors, textOf } from '@dmg/connector-api';
import type { JsonObject } from '@dmg/model';

/** A table as the catalogue spells it. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

const defaultSchema = 'public';

/** NAMEDATALEN - 1: the server would cut a longer name and might so find another table. */
const nameBytesMax = 63;

/** The table of a location: `schema` and `table`, or `tableName` (`schema.table`). Undefined when it names none. */
export function tableOf(location: JsonObject): TableName | undefined {
  const table = textOf(location, 'table');
  const schema = textOf(location, 'schema');
  if (table !== undefined) return checked({ schema: schema ?? defaultSchema, table }, 'table');
  const tableName = textOf(location, 'tableName');
  if (tableName === undefined) return undefined;
  const parts = splitTableName(tableName);
  const [first, second] = parts ?? [];
  if (first === undefined || parts === undefined || parts.length > 2) {
    throw connectorErrors.BAD_SETTING.create({
      name: 'tableName', reason: `${tableName} is not of the form schema.table`,
      remedy: 'Write schema.table; put a part between double quotes when it holds a dot or a quote, and double the quotes in it.',
    });
  }
  return checked(second === undefined ? { schema: schema ?? defaultSchema, table: first } : { schema: first, table: second }, 'tableName');
}

/**
 * The parts of `a.b` or `"a"."b"`, as spelled: unquoted parts are not folded to lower case, because Data Factory's names are
 * case-sensitive. Undefined when it cannot be understood.
 */
export function splitTableName(text: string): string[] | undefined {
  const parts: string[] = [];
  let rest = text.trim();
  for (;;) {
    const match = /^(?:"((?:[^"]|"")+)"|([^".][^.]*))\s*(?:(\.)\s*|$)/s.exec(rest);
    if (match === null) return undefined;
    parts.push(match[1] === undefined ? (match[2] ?? '').trimEnd() : match[1].replaceAll('""', '"'));
    rest = rest.slice(match[0].length);
    if (match[3] === undefined) return parts;
  }
}

/** The table in one text that `splitTableName` reads back: the path of targets and sources, and what messages say. */
export function formatTableName(name: TableName): string {
  return `${formatPart(name.schema)}.${formatPart(name.table)}`;
}

function formatPart(part: string): string {
  return /[".]|^\s|\s$/.test(part) ? quoteIdentifier(part) : part;
}

/** For SQL. */
export function quoteTableName(name: TableName): string {
  return `${quoteIdentifier(name.schema)}.${quoteIdentifier(name.table)}`;
}

/** A name as SQL takes it exactly, whatever is in it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A text constant, for commands that take no bound values (COPY, DDL). Safe with `standard_conforming_strings` on and off, as
 * libpq's PQescapeLiteral is.
 */
export function quoteLiteral(value: string): string {
  if (value.includes('\0')) {
    throw connectorErrors.BAD_SETTING.create({
      name: 'value', reason: 'it holds a zero character, which PostgreSQL has no text for', remedy: 'Remove the character.',
    });
  }
  const quoted = value.replaceAll("'", "''");
  return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

function checked(name: TableName, setting: string): TableName {
  for (const part of [name.schema, name.table]) {
    const bytes = Buffer.byteLength(part);
    if (bytes <= nameBytesMax && !part.includes('\0')) continue;
    const tooLong = `${part} has ${bytes} bytes, more than the ${nameBytesMax} of a name`;
    const reason = part.includes('\0') ? 'it holds a zero character' : tooLong;
    throw connectorErrors.BAD_SETTING.create({ name: setting, reason, remedy: 'Give the name as the catalogue spells it.' });
  }
  return name;
}
