import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hasCode, isDmgError } from '@dmg/base';
import type { CopyEnd, JsonObject } from '@dmg/model';
import fc from 'fast-check';
import { connectionSettingsOf, parseConnectionString } from './connection-settings.ts';
import { formatTableName, quoteIdentifier, quoteLiteral, splitTableName, tableOf } from './table-name.ts';
import { startPostgres } from './testing/postgres-server.ts';

const server = await startPostgres({ after });

/** Any text that PostgreSQL has: no zero character, no lone surrogate; many of the characters that have a meaning. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('"', "'", '\\', '.', ';', '=', ' ', '\n', '$', 'a', 'É', '😀', '-', '/', '*', '?', ':') }),
).map((value) => value.replaceAll('\0', ''));
const name = text.filter((value) => value !== '' && Buffer.byteLength(value) <= 63);

test('a table name is read back as it was written', () => {
  fc.assert(fc.property(name, name, (schema, table) => {
    assert.deepEqual(splitTableName(formatTableName({ schema, table })), [schema, table]);
    assert.deepEqual(tableOf({ tableName: formatTableName({ schema, table }) }), { schema, table });
    assert.deepEqual(tableOf({ schema, table }), { schema, table });
  }));
});

test('table names are taken in the spellings that Data Factory has', () => {
  const spellings: [text: string, parts: string[] | undefined][] = [
    ['orders', ['orders']], ['sales.Orders', ['sales', 'Orders']], ['"sales"."Or""ders"', ['sales', 'Or"ders']], [' a . b ', ['a', 'b']],
    ['sales."My.Table"', ['sales', 'My.Table']], ['My Table', ['My Table']], ['a.b.c', ['a', 'b', 'c']],
    ['', undefined], ['.', undefined], ['a.', undefined], ['.a', undefined], ['"a', undefined], ['""', undefined], ['"a"b', undefined],
  ];
  for (const [spelling, parts] of spellings) assert.deepEqual(splitTableName(spelling), parts, spelling);
  for (const tableName of ['a.b.c', '"', 'x'.repeat(64), `${'é'.repeat(32)}.t`]) {
    assert.throws(() => tableOf({ tableName }), (error) => hasCode(error, 'DMG_CONNECTOR_BAD_SETTING'), tableName);
  }
});

test('what is quoted means itself to the server', async () => {
  await fc.assert(fc.asyncProperty(text, name, fc.constantFrom('on', 'off'), async (value, column, conforming) => {
    const rows = await server.query(`SET standard_conforming_strings = ${conforming}; SET escape_string_warning = off;
      SELECT ${quoteLiteral(value)}::text AS ${quoteIdentifier(column)}`);
    assert.deepEqual(rows, [{ [column]: value }]);
  }), { numRuns: 200 });
  assert.throws(() => quoteLiteral('a\0b'), (error) => hasCode(error, 'DMG_CONNECTOR_BAD_SETTING'));
});

const key = fc.string({ unit: fc.constantFrom('a', 'B', '_', ' ', '1', '=') }).map((value) => value.trim()).filter((value) => value !== '');
const quoted = (value: string, quote: string): string => `${quote}${value.replaceAll(quote, quote + quote)}${quote}`;

test('a connection string is read by the rules of ADO.NET', () => {
  const part = fc.tuple(key, text, fc.constantFrom('"', "'"), fc.constantFrom('', ' ', '  '));
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), fc.constantFrom(';', ' ; ', ';;'), (parts, joint) => {
    const written = parts.map(([name_, value, quote, space]) => `${name_.replaceAll('=', '==')}${space}=${space}${quoted(value, quote)}`);
    assert.deepEqual(parseConnectionString(written.join(joint)), parts.map(([name_, value]) => [name_, value]));
  }));
  assert.deepEqual(
    parseConnectionString('Host=h;Password=a=b==c d\'e"f;;Port= 1 ;Empty=;'),
    [['Host', 'h'], ['Password', 'a=b==c d\'e"f'], ['Port', '1'], ['Empty', '']],
  );
});

test('a connection string that cannot be read is refused without its content', () => {
  fc.assert(fc.property(text.filter((value) => value.length > 3), (value) => {
    try {
      settings({}, { connectionString: `secret${value}` });
    } catch (error) {
      assert.ok(isDmgError(error) && error.code === 'DMG_CONNECTOR_BAD_SETTING', String(error));
      assert.ok(!JSON.stringify(error.toFault()).includes(`secret${value}`));
    }
  }));
});

function settings(connection: JsonObject, secrets: Record<string, string>) {
  const end: CopyEnd = { connector: 'postgresql', connection, location: {}, settings: {}, format: { type: 'Table' } };
  const { password, ...rest } = connectionSettingsOf(end, { secrets: new Map(Object.entries(secrets)) });
  return { ...rest, password: password.reveal() };
}

test('all spellings of a linked service lead to the same settings', () => {
  const same = {
    host: 'db', port: 5433, database: 'Sales', user: 'ann', password: 'p;w', sslMode: 'require',
    connectLimitMs: 7000, statementLimitMs: undefined,
  };
  const strings = [
    'Host=db;Port=5433;Database=Sales;UID=ann;Password="p;w";SSL Mode=Require;Timeout=7',
    'server=db;PORT=5433;DB=Sales;User Id=ann;Pwd=\'p;w\';SslMode=3;Connection Timeout=7;Command Timeout=0;Pooling=true',
    'host=db;port=5433;database=Sales;username=ann;psw="p;w";EncryptionMethod=1;ValidateServerCertificate=0;timeout=7',
  ];
  for (const connectionString of strings) assert.deepEqual(settings({}, { connectionString }), same, connectionString);
  const properties = {
    server: 'db', port: 5433, database: 'Sales', username: 'ann', sslMode: 3, connectionTimeout: 7, trustServerCertificate: true,
  };
  assert.deepEqual(settings(properties, { password: 'p;w' }), same);
  assert.deepEqual(settings({}, { connectionString: 'Host=h;Database=d;UID=u', password: 'beside' }).password, 'beside');
  assert.deepEqual(settings({}, { connectionString: 'Host=h;Database=d;UID=u' }).sslMode, 'prefer');
  const refused: JsonObject[] = [
    { database: 'd', username: 'u' }, { server: 'h', username: 'u' }, { server: 'h', database: 'd' },
    { server: 'h', database: 'd', username: 'u', port: 70_000 }, { server: 'h', database: 'd', username: 'u', sslMode: 'sometimes' },
    { server: 'h', database: 'd', username: 'u', sslMode: 5, trustServerCertificate: true },
    { server: 'h', database: 'd', username: 'u', commandTimeout: -1 },
  ];
  for (const connection of refused) {
    assert.throws(() => settings(connection, {}), (error) => hasCode(error, 'DMG_CONNECTOR_BAD_SETTING'), JSON.stringify(connection));
  }
});
