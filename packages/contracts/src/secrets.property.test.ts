import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { isDmgError } from '@dmg/base';
import type { JsonValue } from '@dmg/model';
import { extractSecrets, parseDataset, parseLinkedService, parsePipeline, redactSecrets } from './index.ts';
import { binaryCopy, documents, pipelineOf, resolve, specs, textCopy } from './testing/fixtures.ts';

const canary = 'CanaryKey4711+/==';

/** The same document with its property names in another case and with spaces around them. */
function sloppy(value: JsonValue, change: (name: string) => string): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => sloppy(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [change(key), sloppy(item, change)]));
}

const changes = fc.array(fc.constantFrom('upper', 'lower', 'pad', 'same'), { minLength: 1, maxLength: 5 }).map((list) => {
  let at = 0;
  return (name: string): string => {
    const how = list[at++ % list.length];
    return how === 'upper' ? name.toUpperCase() : how === 'lower' ? name.toLowerCase() : how === 'pad' ? ` ${name} ` : name;
  };
});

test('names in any case and with spaces parse to the same', () => {
  fc.assert(fc.property(changes, (change) => {
    for (const json of [documents.files, documents.store]) {
      assert.deepEqual(parseLinkedService('x', sloppy(json, change), specs), parseLinkedService('x', json, specs));
    }
    const plain = { json: null };
    const binary = { ...parseDataset('x', documents.anyIn, specs).value, ...plain };
    assert.deepEqual({ ...parseDataset('x', sloppy(documents.anyIn, change), specs).value, ...plain }, binary);
    const pipeline = pipelineOf(binaryCopy);
    const other = Object.fromEntries(Object.entries(documents).map(([name, json]) => [name, sloppy(json, change)]));
    // Parameter names are the user's own and appear in expressions; the binary copy has none.
    assert.deepEqual(resolve(sloppy(pipeline, change), { documents: other }), resolve(pipeline));
  }), { numRuns: 50 });
});

test('any JSON ends in a value or a DmgError, at once', () => {
  const words = fc.constantFrom(
    'properties', 'type', 'typeProperties', 'connectVia', 'referenceName', 'FileServer', 'AzureBlobStorage', 'connectionString', 'host',
    'location', 'linkedServiceName', 'parameters',
    'activities', 'Copy', 'source', 'sink', 'BinarySource', 'translator', 'mappings', 'Expression', 'value', '@pipeline()', '@{',
    '__proto__', 'constructor', 'dependsOn', 'policy', 'timeout', 'Binary', 'DelimitedText',
  );
  const { json } = fc.letrec<{ json: JsonValue }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      words, fc.integer(), fc.boolean(), fc.constant(null), fc.string(),
      fc.array(tie('json'), { maxLength: 3 }), fc.dictionary(words, tie('json'), { maxKeys: 6 }),
    ),
  }));
  const mutated = fc.tuple(
    fc.constantFrom<JsonValue>(...Object.values(documents), pipelineOf(textCopy), pipelineOf(binaryCopy)), fc.nat(60), json,
  ).map(([document, place, value]) => {
    let at = 0;
    const walk = (current: JsonValue): JsonValue => {
      if (at++ === place) return value;
      if (Array.isArray(current)) return current.map((item: JsonValue) => walk(item));
      return typeof current === 'object' && current !== null ? Object.fromEntries(
        Object.entries(current).map(([key, item]) => [key, walk(item)]),
      ) : current;
    };
    return walk(document);
  });
  fc.assert(fc.property(fc.oneof(json, mutated), (document) => {
    const steps = [
      () => parseLinkedService('x', document, specs), () => parseDataset('x', document, specs), () => parsePipeline('x', document, specs),
      () => redactSecrets(document, specs), () => extractSecrets(document, specs),
      () => resolve(document), () => resolve(
        pipelineOf(textCopy, { day: { type: 'String' } }), { documents: { csvIn: document }, parameters: { day: 'd' } },
      ),
    ];
    for (const step of steps) {
      try {
        step();
      } catch (error) {
        assert.ok(isDmgError(error), error instanceof Error ? (error.stack ?? '') : String(error));
      }
    }
  }), { numRuns: 500 });
  let deep: JsonValue = 'x';
  for (let depth = 0; depth < 50_000; depth++) deep = depth % 2 === 0 ? [deep] : { properties: deep };
  assert.throws(() => parsePipeline('x', deep, specs), isDmgError);
  assert.deepEqual(redactSecrets(deep, specs), {});
});

test('a secret appears in no error, no warning, no value and no redacted document', () => {
  const forms = fc.constantFrom<JsonValue>(
    canary, { type: 'SecureString', value: canary }, { TYPE: 'securestring', VALUE: canary }, { type: 'SecureStrin', value: canary },
    { value: canary }, [canary],
    {
      type: 'AzureKeyVaultSecret', secretName: 's', value: canary,
    },
    `AccountName=a;AccountKey=${canary}`, `https://h/c?sig=${canary}`, `AccountKey=**********;SharedAccessSignature=${canary}`,
    { type: 'SecureString', value: { deep: canary } },
  );
  const names = fc.constantFrom('connectionString', ' ConnectionString ', 'conectionString', 'sasUri', 'password', 'accountKey', 'sas');
  const parts = fc.record(
    {
      type: fc.constantFrom('AzureBlobStorage', 'FileServer', 'AzureBlobStorag'), name: names, form: forms,
      host: fc.constantFrom<JsonValue>('/x', 5),
    },
  );
  fc.assert(fc.property(parts, ({ type, name, form, host }) => {
    const json = { properties: { type, typeProperties: { host, [name]: form, container: 5 } } };
    const told: unknown[] = [redactSecrets(json, specs), extractSecrets(json, specs)];
    try {
      const parsed = parseLinkedService('x', json, specs);
      told.push(parsed);
    } catch (error) {
      assert.ok(isDmgError(error));
      told.push(error.toFault(), error.stack);
    }
    const text = JSON.stringify(told) + inspect(told, { depth: 20 });
    assert.ok(!text.includes(canary) && !text.includes(canary.slice(0, 9)), text);
  }));
});
