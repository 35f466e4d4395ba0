import { Secret } from '@dmg/base';
import { type ConnectorContext, connectorErrors, textOf } from '@dmg/connector-api';
import type { CopyEnd, JsonObject } from '@dmg/model';

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

/** How to reach a database. */
export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: Secret;
  readonly sslMode: SslMode;
  /** Time in which a session must be made, where the linked service names one. */
  readonly connectLimitMs: number | undefined;
  /** Time that a statement may take, where the linked service names one. */
  readonly statementLimitMs: number | undefined;
}

/** Properties of a linked service, under one name each, as text. */
interface Given {
  host?: string | undefined;
  port?: string | undefined;
  database?: string | undefined;
  user?: string | undefined;
  password?: string | undefined;
  sslMode?: string | undefined;
  trust?: string | undefined;
  connectSeconds?: string | undefined;
  commandSeconds?: string | undefined;
  encryptionMethod?: string | undefined;
  validate?: string | undefined;
}

/**
 * The spellings of Npgsql, and of the ODBC driver that Data Factory used before (`EncryptionMethod`, `ValidateServerCertificate`);
 * compared without case, blanks and underscores.
 */
const keysOfString: Readonly<Record<string, keyof Given>> = {
  host: 'host', server: 'host', datasource: 'host', hostname: 'host',
  port: 'port',
  database: 'database', db: 'database', initialcatalog: 'database',
  username: 'user', userid: 'user', user: 'user', uid: 'user',
  password: 'password', pwd: 'password', psw: 'password',
  sslmode: 'sslMode', trustservercertificate: 'trust',
  timeout: 'connectSeconds', connectiontimeout: 'connectSeconds', connecttimeout: 'connectSeconds',
  commandtimeout: 'commandSeconds',
  encryptionmethod: 'encryptionMethod', validateservercertificate: 'validate',
};

/** Reads the linked service of `end`. Throws `BAD_SETTING`, without any secret in it. */
export function connectionSettingsOf(end: CopyEnd, context: Pick<ConnectorContext, 'secrets'>): ConnectionSettings {
  const secret = context.secrets.get('connectionString');
  const fromString = secret === undefined ? {} : givenOfString(secret);
  const fromProperties = givenOfProperties(end.connection);
  const password = fromString.password ?? context.secrets.get('password');
  const merged: Given = { ...fromProperties, ...fromString };
  return {
    host: required('server', merged.host),
    port: portOf(merged.port),
    database: required('database', merged.database),
    user: required('username', merged.user),
    password: new Secret(password ?? ''),
    sslMode: sslModeOf(merged),
    connectLimitMs: limitOf('connectionTimeout', merged.connectSeconds),
    statementLimitMs: limitOf('commandTimeout', merged.commandSeconds),
  };
}

function givenOfProperties(connection: JsonObject): Given {
  const text = (name: string): string | undefined => {
    const value = connection[name];
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return textOf(connection, name);
  };
  return {
    host: text('server'), port: text('port'), database: text('database'), user: text('username'), sslMode: text('sslMode'),
    trust: text('trustServerCertificate'), connectSeconds: text('connectionTimeout') ?? text('timeout'),
    commandSeconds: text('commandTimeout'),
  };
}

function givenOfString(connectionString: string): Given {
  const given: Given = {};
  for (const [key, value] of parseConnectionString(connectionString)) {
    const name = keysOfString[key.toLowerCase().replaceAll(/[\s_]/g, '')];
    if (name !== undefined && value !== '') given[name] = value;
  }
  return given;
}

/**
 * Parts of a connection string by the rules of ADO.NET: `key=value;…`; a value may stand between single or double quotes, which are
 * doubled in it; `==` in a key is an equals sign. Throws `BAD_SETTING` that says where, not what.
 */
export function parseConnectionString(text: string): [key: string, value: string][] {
  const parts: [string, string][] = [];
  const part = /[\s;]*((?:[^=;]|==)+?)\s*=(?!=)\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^;"'][^;]*|))\s*(?:;|$)/gsy;
  const empty = /[\s;]*$/sy;
  for (let at = 0; at < text.length; at = part.lastIndex) {
    empty.lastIndex = at;
    if (empty.test(text)) break;
    part.lastIndex = at;
    const match = part.exec(text);
    if (match === null) {
      throw badSetting(
        'connectionString', `its part ${parts.length + 1} is not of the form key=value`,
        'Write key=value;key=value; put a value that holds a semicolon or begins with a quote between double quotes.',
      );
    }
    const [, key = '', double, single, plain = ''] = match;
    const value = double?.replaceAll('""', '"') ?? single?.replaceAll("''", "'") ?? plain.trim();
    parts.push([key.replaceAll('==', '=').trim(), value]);
  }
  return parts;
}

function sslModeOf(given: Given): SslMode {
  const mode = namedSslMode(given);
  if (isTrue(given.trust) && (mode === 'verify-ca' || mode === 'verify-full')) {
    throw badSetting(
      'sslMode', `${mode} asks for a verified certificate and trustServerCertificate for an unverified one`,
      'Set trustServerCertificate to false, or sslMode to require.',
    );
  }
  return mode;
}

function namedSslMode(given: Given): SslMode {
  const word = given.sslMode?.toLowerCase().replaceAll(/[\s_-]/g, '');
  if (word !== undefined) {
    const mode = /^[0-5]$/.test(word) ? sslModes[Number(word)] : sslModes.find((name) => name.replace('-', '') === word);
    if (mode === undefined) throw badSetting('sslMode', 'it is none of the known modes', `Use one of ${sslModes.join(', ')}, or 0 to 5.`);
    return mode;
  }
  // DataDirect: 0 none, 1 SSL, 6 RequestSSL; certificates are validated unless it is said otherwise.
  if (given.encryptionMethod === undefined) return 'prefer';
  if (given.encryptionMethod === '0') return 'disable';
  if (given.encryptionMethod === '6') return 'prefer';
  return given.validate === '0' ? 'require' : 'verify-full';
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && ['true', '1', 'yes'].includes(text.toLowerCase());
}

function required(name: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw badSetting(name, 'it is missing', `Give ${name} in the linked service, or in its connection string.`);
}

function portOf(text: string | undefined): number {
  if (text === undefined) return 5432;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw badSetting('port', 'it is not a number from 1 to 65535', 'Give the port of the server; usually 5432.');
  }
  return port;
}

/** Seconds, in milliseconds; 0 means: none named. */
function limitOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '0') return undefined;
  if (!/^\d{1,6}$/.test(text)) throw badSetting(name, 'it is not a whole number of seconds', 'Give seconds, from 1 to 999999, or 0.');
  return Number(text) * 1000;
}

function badSetting(name: string, reason: string, remedy: string): Error {
  return connectorErrors.BAD_SETTING.create({ name, reason, remedy });
}
