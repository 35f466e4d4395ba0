import { connectorErrors, textOf } from '@dmg/connector-api';
import type { CopyEnd, JsonObject, JsonValue } from '@dmg/model';

/** How the rows of chunks get into the table. */
export type WriteMode =
  /** Into the table itself: whole chunks show as they are committed. */
  | { readonly kind: 'direct' }
  /** Into a table of the job's own, from which the end of the job moves them in one transaction. */
  | {
    readonly kind: 'staged';
    /** Where that table is made; undefined: beside the target. */
    readonly interimSchema: string | undefined;
    /** Rows with the key of one that is there replace it. */
    readonly upsert: UpsertMode | undefined;
  };

export interface UpsertMode {
  /** Columns by which rows are the same; undefined: the primary key. */
  readonly keys: readonly string[] | undefined;
}

/** Reads `writeMode`, `writeMethod`, `writeBehavior`, `upsertSettings` and `interimSchemaName` of a sink. Throws `BAD_SETTING`. */
export function writeModeOf({ settings }: CopyEnd): WriteMode {
  const mode = textOf(settings, 'writeMode')?.toLowerCase();
  if (mode !== undefined && mode !== 'direct' && mode !== 'staged') {
    throw badSetting('writeMode', `${mode} is unknown`, 'Use direct or staged.');
  }
  const method = textOf(settings, 'writeMethod')?.toLowerCase() ?? 'copycommand';
  const behavior = textOf(settings, 'writeBehavior')?.toLowerCase() ?? 'insert';
  const isUpsert = method === 'upsert' || behavior === 'upsert';
  const upsertSettings = objectOf(settings.upsertSettings);
  const keys = keysOf(upsertSettings.keys);
  if (keys !== undefined && !isUpsert) {
    throw badSetting('upsertSettings.keys', 'rows are not upserted', 'Set writeMethod to Upsert, or leave upsertSettings out.');
  }
  const interimSchema = textOf(settings, 'interimSchemaName') ?? textOf(upsertSettings, 'interimSchemaName');
  if (isUpsert) {
    if (mode === 'direct') throw badSetting('writeMode', 'an upsert is always staged', 'Leave writeMode out, or set it to staged.');
    return { kind: 'staged', interimSchema, upsert: { keys } };
  }
  if (mode === 'staged') return { kind: 'staged', interimSchema, upsert: undefined };
  if (interimSchema === undefined) return { kind: 'direct' };
  throw badSetting('interimSchemaName', 'rows are not staged', 'Set writeMode to staged, or leave interimSchemaName out.');
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function keysOf(value: JsonValue | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [value];
  const keys = list.flatMap((key) => (typeof key === 'string' && key !== '' ? [key] : []));
  if (keys.length < list.length || new Set(keys).size < keys.length) {
    throw badSetting('upsertSettings.keys', 'it is not a list of different column names', 'Give the names of the key columns, as ["id"].');
  }
  return keys.length === 0 ? undefined : keys;
}

function badSetting(name: string, reason: string, remedy: string): Error {
  return connectorErrors.BAD_SETTING.create({ name, reason, remedy });
}
