import { defineErrors, type DmgError, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';

export const postgresqlErrors = defineErrors('POSTGRESQL', {
  DATABASE_MISSING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot open {store}: there is no such database.',
    fix: 'Check the database of the linked service; names are case-sensitive.',
  },
  TABLE_MISSING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use {path}: there is no such table, view or schema in {store}.',
    fix: 'Check schema and table of the dataset, which are case-sensitive; a sink can make the table with tableOption autoCreate.',
  },
  COLUMN_MISSING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use {path}: {reason}.',
    fix: 'Check the mapping and the query against the columns of the table; names are case-sensitive.',
  },
  TLS_REFUSED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot open {store}: {reason}.',
    fix: 'Set sslMode of the linked service to what the server offers, or make this node trust its certificate.',
  },
  BAD_ROW: {
    category: 'config', retry: 'never', scope: 'row',
    message: 'Cannot write a row to {path}: {reason} ({place}, SQLSTATE {sqlState}).',
    fix: 'Correct the value at the source, or the type, length or constraint of the column in the table.',
  },
  BAD_VALUE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {path}: {reason} (SQLSTATE {sqlState}).',
    fix: 'Correct the value or the expression in the query that the message names.',
  },
  BAD_SQL: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot run SQL for {path}: {reason} (SQLSTATE {sqlState}).',
    fix: 'Correct the query or script of the activity; try it with psql and the same user.',
  },
  SCRIPT_FAILED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot run the pre-copy script for {path}: {reason} (SQLSTATE {sqlState}).',
    fix: 'Correct the script; it runs in one transaction, so it can hold no COMMIT, VACUUM and the like. Nothing of it has taken effect.',
  },
  ROWS_DIFFER: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write to {path}: the server stored {stored} of {sent} rows of a chunk.',
    fix: 'Look for a trigger of the table that leaves rows out or for one that adds some, and disable it for the copy.',
  },
  MOVED_DIFFER: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot finish the copy to {path}: the server moved {stored} of {sent} staged rows into the table.',
    fix: 'Look for a trigger or rule of the table that leaves rows out, and disable it for the copy. The table is as it was.',
  },
  ROWS_LOST: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot finish the copy to {path}: the table is unlogged, and the server has emptied it after a crash.',
    fix: 'Run the pipeline again. ALTER TABLE … SET LOGGED keeps what is copied; with writeMode staged a crash costs the copy no row.',
  },
  STAGE_LOST: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot finish the copy to {path}: its staging table {stage} is gone.',
    fix: 'Somebody has removed it. Leave tables named dmg_stage_… alone while a copy runs, then run the pipeline again.',
  },
  KEY_NOT_UNIQUE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot upsert into {path}: it has no unique index on the key ({keys}).',
    fix: 'Run CREATE UNIQUE INDEX ON {table} ({keys}); or name the columns of another unique index in upsertSettings.keys.',
  },
  KEY_TWICE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot upsert into {path}: the source has more than one row with the same key ({keys}).',
    fix: 'Copy one row of each key, by a query as SELECT DISTINCT ON ({keys}) … ORDER BY {keys}, … , or name more key columns. The table '
      + 'is as it was.',
  },
  RIGHTS_MISSING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write to {path}: the user {user} lacks rights there.',
    fix: 'Let the owner run: {grants}',
  },
  CHUNKS_DIFFER: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot write to {path}: chunk {chunk} does not begin or end where its neighbours do.',
    fix: 'This is a defect of the gateway, or the source was replaced. Report it with the activity id; then run the pipeline again.',
  },
  BUSY: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot use {path}: {reason} (SQLSTATE {sqlState}).',
    fix: 'Nothing needs to be done if it passes: it is tried again. Else look for sessions that hold locks, in pg_stat_activity.',
  },
  CANCELLED: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot use {path}: the server ended the statement ({reason}).',
    fix: 'Check who cancels statements at the server, and its statement_timeout for this user.',
  },
  FAILED: {
    category: 'system', retry: 'backoff', scope: 'attempt',
    message: 'Cannot use {path}: {store} answered {reason} (SQLSTATE {sqlState}).',
    fix: 'Look the SQLSTATE up in the documentation of PostgreSQL, and into the log of the server.',
  },
});

/** Where an error happened, in words for the user. */
export interface Place {
  /** The table, or `the query`. */
  readonly path: string;
  /** Host, port and database, without any credential. */
  readonly store: string;
  /** `write`: wrong values are those of a row on its way in. */
  readonly doing?: 'read' | 'write';
}

/** Facts of an error of the server or the driver. */
export interface ServerFault {
  /** Five characters; empty when the server did not send the error. */
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string;
  readonly where: string;
  /** Code of the operating system or of TLS; empty when the server sent the error. */
  readonly code: string;
}

interface ErrorShape {
  code?: unknown;
  severity?: unknown;
  message?: unknown;
  detail?: unknown;
  where?: unknown;
}

export function serverFault(error: unknown): ServerFault {
  const shape: ErrorShape = typeof error === 'object' && error !== null ? error : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const code = text(shape.code);
  const fromServer = typeof shape.severity === 'string' && /^[0-9A-Z]{5}$/.test(code);
  return {
    sqlState: fromServer ? code : '', code: fromServer ? '' : code, message: text(shape.message), detail: text(shape.detail),
    where: text(shape.where),
  };
}

/** SQLSTATE of an error of the server; empty for any other error. */
export function sqlStateOf(error: unknown): string {
  return serverFault(error).sqlState;
}

/**
 * Maps an error of the server or of the driver. Values of rows are left out: the server's message is cut where it quotes one, and its
 * DETAIL is not taken. The driver's own error is not kept as a cause, since it holds both.
 */
export function fromPostgresError(error: unknown, place: Place): DmgError {
  if (isDmgError(error)) return error;
  const fault = serverFault(error);
  return fault.sqlState === '' ? fromDriverError(fault, place) : fromServerError(fault, place);
}

const networkCodes = new Set([
  'ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE', 'ECONNABORTED',
  'ENOTCONN', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_WRITE_AFTER_END',
]);

function fromDriverError(fault: ServerFault, { path, store }: Place): DmgError {
  const { code, message } = fault;
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code) || code.startsWith('HOSTNAME_MISMATCH')) {
    return postgresqlErrors.TLS_REFUSED.create({ store, reason: `its certificate was not accepted (${code})` });
  }
  if (message.includes('does not support SSL')) {
    return postgresqlErrors.TLS_REFUSED.create({ store, reason: 'the server does not encrypt connections' });
  }
  if (message.startsWith('SASL')) {
    // The driver's own checks of a login by SCRAM: no password was given, or the server could not prove that it knows it.
    return connectorErrors.ACCESS_DENIED.create({ path, store, reason: 'the login by password could not be completed' });
  }
  if (networkCodes.has(code)) return connectorErrors.UNREACHABLE.create({ store, reason: code });
  if (/connection (terminated|ended)|not queryable|timeout expired|closed|error establishing/i.test(message)) {
    return connectorErrors.UNREACHABLE.create({ store, reason: 'the connection was closed' });
  }
  return connectorErrors.UNREACHABLE.create({ store, reason: code === '' ? 'the connection failed' : code }, { detail: message });
}

const denied: Readonly<Record<string, string>> = {
  '28P01': 'wrong user or password',
  '28000': 'the server does not let this user in',
  '42501': 'permission denied',
};

type ServerErrorMap = (fault: ServerFault, place: Place, reason: string) => DmgError;

const failed: ServerErrorMap = ({ sqlState }, { path, store }, reason) => postgresqlErrors.FAILED.create({ path, store, reason, sqlState });
const badSql: ServerErrorMap = ({ sqlState }, { path }, reason) => postgresqlErrors.BAD_SQL.create({ path, reason, sqlState });
const busy: ServerErrorMap = ({ sqlState }, { path }, reason) => postgresqlErrors.BUSY.create({ path, reason, sqlState });
const unreachable: ServerErrorMap = (_fault, { store }, reason) => connectorErrors.UNREACHABLE.create({ store, reason });
const badValue: ServerErrorMap = (fault, { path, doing }, reason) => {
  const { sqlState } = fault;
  if (doing !== 'write') return postgresqlErrors.BAD_VALUE.create({ path, reason, sqlState });
  const line = lineOfRow(fault.where);
  return postgresqlErrors.BAD_ROW.create({
    path, reason, place: placeOfRow(fault.where), sqlState, ...(line === undefined ? {} : { line }),
  });
};

/** By SQLSTATE, else by its class (the first two characters). https://www.postgresql.org/docs/current/errcodes-appendix.html */
const byState: Readonly<Record<string, ServerErrorMap>> = {
  '3D000': (_fault, { store }) => postgresqlErrors.DATABASE_MISSING.create({ store }),
  '42P01': (_fault, { path, store }) => postgresqlErrors.TABLE_MISSING.create({ path, store }),
  '3F000': (_fault, { path, store }) => postgresqlErrors.TABLE_MISSING.create({ path, store }),
  '42703': (_fault, { path }, reason) => postgresqlErrors.COLUMN_MISSING.create({ path, reason }),
  '25006': (fault, place, reason) => (place.doing === 'write' ? connectorErrors.TARGET_BLOCKED.create({
    path: place.path, reason, remedy: 'Name the primary server in the linked service: a standby takes no rows.',
  }) : badSql(fault, place, reason)),
  '57014': (_fault, { path }, reason) => postgresqlErrors.CANCELLED.create({ path, reason }),
  '53100': (_fault, { path, store }) => connectorErrors.NO_SPACE.create({ path, store }),
  '53300': busy, '55P03': busy, '55006': busy, '25P03': unreachable, '25P04': unreachable,
  '08': unreachable, '53': unreachable, '57': unreachable, '58': failed, XX: failed,
  '40': busy, '22': badValue, '23': badValue, '42': badSql, '0A': badSql, '2B': badSql, '34': badSql, P0: badSql,
  '25': badSql, '54': badSql, '3B': badSql, '0L': badSql, '55': badSql,
};

function fromServerError(fault: ServerFault, place: Place): DmgError {
  const { sqlState } = fault;
  const { path, store } = place;
  const refusal = denied[sqlState];
  if (refusal !== undefined) return connectorErrors.ACCESS_DENIED.create({ path, store, reason: `${refusal}, SQLSTATE ${sqlState}` });
  const map = byState[sqlState] ?? byState[sqlState.slice(0, 2)] ?? failed;
  return map(fault, place, withoutValues(fault.message));
}

/** `invalid input syntax for type integer: "x"` quotes a value of a row; names of types, columns and constraints stay. */
export function withoutValues(message: string): string {
  // In other languages than English values and names stand in quotes of other kinds.
  return message.split('\n', 1)[0]?.replace(/: ".*$/s, '').replace(/^value ".*" is out of range/s, 'a value is out of range')
    .replace(/[»«„“].*[»«“”]/s, '…') ?? '';
}

/** Row of the chunk, from 1: in the text format of COPY every row is one line. */
function lineOfRow(where: string): number | undefined {
  const match = /COPY .*?, line (\d+)/.exec(where);
  return match === null ? undefined : Number(match[1]);
}

/** `COPY t, line 3, column a: "x"` without the value. */
function placeOfRow(where: string): string {
  const match = /COPY .*?, line (\d+)(?:, column ([^:\n]*))?/.exec(where);
  if (match === null) return 'the row is not known';
  return match[2] === undefined ? `line ${match[1]} of the chunk` : `line ${match[1]} of the chunk, column ${match[2]}`;
}
