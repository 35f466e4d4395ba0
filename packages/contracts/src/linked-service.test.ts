import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseLinkedService } from './linked-service.ts';
import { extractSecrets, redactSecrets } from './secrets.ts';
import { documents, refuses, specs, warningsOf, withValue } from './testing/fixtures.ts';

const parse = (
  json: Parameters<typeof parseLinkedService>[1]
): ReturnType<typeof parseLinkedService> => parseLinkedService('ls', json, specs);

describe('linked services', () => {
  test('properties in the spelling of the spec; secrets as references', () => {
    assert.deepEqual(parse(documents.store), {
      value: {
        name: 'ls', type: 'AzureBlobStorage', connector: 'blob', integrationRuntime: 'gw',
        connection: { connectionString: { secretRef: { linkedService: 'ls', property: 'connectionString' } } }, maskedSecrets: [],
      },
      warnings: [],
    });
  });

  test('names without case and spaces', () => {
    const json = {
      ' Properties': {
        TYPE: 'fileserver ', ' typeproperties ': { ' HOST': '/x' },
        ConnectVia: { ReferenceName: 'gw', Type: 'integrationruntimereference' },
      },
    };
    const { value, warnings } = parse(json);
    assert.deepEqual([value.type, value.connection, value.integrationRuntime, warnings], ['FileServer', { host: '/x' }, 'gw', []]);
  });

  test('unknown properties give a warning with the near one', () => {
    const { warnings } = parse(
      withValue(withValue(documents.store, 'properties.typeProperties.sasUrl', 'x'), 'properties.descripton', 'd'),
    );
    assert.deepEqual(warningsOf(warnings), [
      'properties.descripton is not known and has no effect; did you mean description?',
      'properties.typeProperties.sasUrl is not known and has no effect; did you mean sasUri?',
    ]);
  });

  test('ignored properties give a warning, refused ones an error', () => {
    const { value, warnings } = parse(withValue(documents.files, 'properties.typeProperties.password', 'pw'));
    assert.deepEqual(value.connection, { host: '/data' });
    assert.deepEqual(warningsOf(warnings), ['properties.typeProperties.password has no effect: files are read as the node']);
    refuses(
      () => parse(withValue(documents.store, 'properties.typeProperties.serviceEndpoint', 'https://x')), 'INVALID_DEFINITION',
      'typeProperties.serviceEndpoint is not supported: use a connection string',
    );
  });

  test('all problems come at once, with path and what is allowed', () => {
    refuses(
      () => parseLinkedService(
        'a/b', { properties: { type: 'FileServr', typeProperties: {}, connectVia: { referenceName: 5, type: 'Gateway' } } }, specs,
      ), 'INVALID_DEFINITION',
      'name holds "/"',
      'properties.type is "FileServr", which is not supported; allowed are FileServer, AzureBlobStorage, Warehouse; '
      + 'did you mean FileServer?',
      'properties.connectVia.referenceName must be a string, not a number', 'properties.connectVia.type is "Gateway"',
    );
    refuses(
      () => parse({ properties: { type: 'FileServer', typeProperties: { hots: '/x' } } }), 'INVALID_DEFINITION',
      'typeProperties.host is missing', 'did you mean host?',
    );
    refuses(
      () => parse({ properties: { type: 'FileServer', typeProperties: { host: '' } } }), 'INVALID_DEFINITION',
      'typeProperties.host is empty',
    );
    refuses(
      () => parse({ properties: { type: 'FileServer', typeProperties: { host: '/a', HOST: '/b' } } }), 'INVALID_DEFINITION',
      'typeProperties.HOST is given twice',
    );
    refuses(() => parse({ type: 'FileServer' }), 'INVALID_DEFINITION', 'properties is missing');
    refuses(() => parse(null), 'INVALID_DEFINITION', 'must be an object, not null');
    refuses(() => parse({ properties: { type: 5 } }), 'INVALID_DEFINITION', 'properties.type must be a string, not a number');
    refuses(() => parse({ properties: { typeProperties: {} } }), 'INVALID_DEFINITION', 'properties.type is missing');
    refuses(
      () => parse(withValue(documents.files, 'properties.parameters', { a: { type: 'String' } })), 'INVALID_DEFINITION',
      'properties.parameters is not supported',
    );
  });

  test('names', () => {
    for (const name of ['', '-a', 'a.b', 'a%b', ' a', 'x'.repeat(261), 'a\nb']) {
      refuses(
        () => parseLinkedService(name, documents.files, specs), 'INVALID_DEFINITION', 'name ',
      );
    }
    for (const name of ['a b-c', '_x', 'Größe 1', '5']) parseLinkedService(name, documents.files, specs);
  });
});

describe('secrets', () => {
  const withSecret = (secret: Parameters<typeof withValue>[2]): ReturnType<typeof withValue> => withValue(
    documents.store, 'properties.typeProperties.connectionString', secret,
  );

  test('forms of a secret', () => {
    assert.deepEqual(parse(withSecret('AccountKey=x')).value.connection, parse(documents.store).value.connection);
    assert.deepEqual(
      parse(withSecret({ encryptedCredential: 'jwe' })).value.connection, { connectionString: { encryptedCredential: 'jwe' } },
    );
    const beside = withValue(withSecret(undefined), 'properties.typeProperties.encryptedCredential', 'jwe');
    assert.deepEqual(parse(beside).value.connection, { connectionString: { encryptedCredential: 'jwe' } });
    assert.deepEqual(extractSecrets(beside, specs).size, 0);
    refuses(
      () => parse(
        withSecret({ type: 'AzureKeyVaultSecret', secretName: 's', store: { referenceName: 'v', type: 'LinkedServiceReference' } }),
      ),
      'INVALID_DEFINITION', 'AzureKeyVaultSecret', 'SecureString',
    );
    refuses(
      () => parse(withSecret({ type: 'SecureString', value: 5 })), 'INVALID_DEFINITION',
      'connectionString must be a string, { "type": "SecureString"',
    );
    refuses(() => parse(withSecret(['x'])), 'INVALID_DEFINITION', 'connectionString must be');
    assert.match(warningsOf(parse(withSecret(undefined)).warnings).join(), /holds no credential/);
  });

  test('are extracted for sealing, by name of the spec', () => {
    const json = withValue(withSecret({ TYPE: 'securestring', ' Value ': 'one' }), 'properties.typeProperties.SASURI', 'two');
    const secrets = extractSecrets(json, specs);
    assert.deepEqual([...secrets].map(([name, secret]) => [name, secret.reveal()]), [['connectionString', 'one'], ['sasUri', 'two']]);
    assert.equal(extractSecrets(withValue(documents.files, 'properties.typeProperties.password', 'pw'), specs).size, 0);
  });

  test('are masked in what is returned, and what is returned may come back', () => {
    const masked = redactSecrets(withSecret({ type: 'SecureString', value: 'canary' }), specs);
    assert.deepEqual(masked, withSecret({ type: 'SecureString', value: '**********' }));
    assert.deepEqual(parse(masked).value.maskedSecrets, ['connectionString']);
    assert.equal(extractSecrets(masked, specs).size, 0);
    assert.deepEqual(redactSecrets(masked, specs), masked);
  });

  const texts: readonly [secret: string, shown: string][] = [
    [
      'DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=canary==;EndpointSuffix=core.windows.net',
      'DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=**********;EndpointSuffix=core.windows.net',
    ],
    [
      'BlobEndpoint=http://127.0.0.1:1/acc?sig=canary;SharedAccessSignature=sv=1&sig=canary',
      'BlobEndpoint=http://127.0.0.1:1/acc?**********;SharedAccessSignature=**********',
    ],
    [
      'https://acc.blob.core.windows.net/c?sv=1&sig=canary', 'https://acc.blob.core.windows.net/c?**********',
    ], ['https://user:canary@host/c', 'https://host/c'],
    ['canary', '**********'], [
      'a=1;Password="canary;AccountName=canary"', '**********',
    ], ['?sv=1&sig=canary', '**********'], ['AccountName=acc;canary', 'AccountName=acc;**********'],
  ];
  for (const [secret, shown] of texts) {
    test(`plain text: ${shown}`, () => {
      assert.deepEqual(redactSecrets(withSecret(secret), specs), withSecret(shown));
      assert.deepEqual(redactSecrets(redactSecrets(withSecret(secret), specs), specs), withSecret(shown));
    });
  }
});
