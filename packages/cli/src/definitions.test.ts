import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import { type DefinitionKind, readDefinition } from './definitions.ts';

const kinds: readonly [DefinitionKind, object][] = [
  ['pipelines', { activities: [] }],
  ['datasets', { type: 'Binary', linkedServiceName: { referenceName: 'files', type: 'LinkedServiceReference' } }],
  ['linkedServices', { type: 'FileServer', typeProperties: { host: '/data' } }],
  ['integrationRuntimes', { type: 'SelfHosted' }],
];
for (const [kind, properties] of kinds) {
  test(`${kind} are recognised by what they hold, in any case of the keys`, () => {
    assert.deepEqual(readDefinition('a.json', JSON.stringify({ name: 'one', properties })), { kind, name: 'one', properties });
    const shouted = Object.fromEntries(Object.entries(properties).map(([key, value]) => [key.toUpperCase(), value as unknown]));
    assert.equal(readDefinition('a.json', JSON.stringify({ NAME: ' one ', Properties: shouted })).kind, kind);
  });
}

test('a definition without a name is called after its file', () => {
  assert.equal(readDefinition('/some/folder/Orders.JSON', '{"properties": {"type": "SelfHosted"}}').name, 'Orders');
});

for (const [text, reason] of [
  ['{"name": "x",, }', /it is not JSON: .* at line 1, column 14/],
  ['[]', /it is not a JSON object/],
  ['{"name": "x"}', /no object `properties`/],
  ['{"properties": []}', /no object `properties`/],
  ['{"properties": {"type": 7}}', /it is none of pipeline, dataset, linked service and integration runtime/],
] as const) {
  test(`refused with the file's name: ${text}`, () => {
    assert.throws(() => readDefinition('bad.json', text), (error: unknown) => {
      assert.ok(hasCode(error, 'DMG_CLI_BAD_DEFINITION'));
      assert.match((error as Error).message, /^Cannot apply bad\.json: /);
      assert.match((error as Error).message, reason);
      return true;
    });
  });
}
