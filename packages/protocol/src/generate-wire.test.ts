import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { generateWire } from './generate-wire.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = 'packages/protocol/src/generated';

test('what is generated is what the contract says', async () => {
  const generated = await generateWire(root);
  assert.ok(generated.length > 40, `${generated.length} files`);
  for (const { path, content } of generated) {
    assert.equal(readFileSync(join(root, path), 'utf8'), content, `${path} is not what proto/ says. Run: npm run gen`);
  }
  const present = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const expected = generated.map(({ path }) => join(root, path));
  assert.deepEqual(present.sort(), expected.sort(), 'a file there is generated no more');
  for (const { path, content } of generated) {
    if (path.endsWith('.ts')) assert.match(content, /^\/\/ Generated/);
    // A machine's own paths have no place in a repository.
    assert.ok(!content.includes(root), path);
  }
});

test('the contract has a comment on every field; enums begin with UNSPECIFIED and carry their own name', async () => {
  const wire = new protobuf.Root();
  wire.resolvePath = (_origin, target) => join(root, 'proto', target);
  await wire.load('dmg/cluster/v1/cluster.proto', { alternateCommentMode: true });
  const complaints: string[] = [];
  let fields = 0;
  const visit = (each: protobuf.ReflectionObject): void => {
    if (each instanceof protobuf.Type) {
      for (const field of each.fieldsArray) {
        fields++;
        // The members of a choice are messages, which say themselves what they are.
        const isChoice = field.partOf !== null && field.partOf !== undefined && !field.partOf.name.startsWith('_');
        if (field.comment === null && !isChoice) complaints.push(`${field.fullName} has no comment`);
      }
    }
    if (each instanceof protobuf.Enum) {
      const prefix = each.name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
      if (each.valuesById[0] !== `${prefix}_UNSPECIFIED`) complaints.push(`${each.fullName}: zero is not ${prefix}_UNSPECIFIED`);
      for (const value of Object.keys(each.values)) if (!value.startsWith(`${prefix}_`)) complaints.push(`${each.fullName}: ${value}`);
    }
    if (each instanceof protobuf.Namespace) for (const nested of each.nestedArray) visit(nested);
  };
  visit(wire);
  assert.ok(fields > 100, `${fields} fields`);
  assert.deepEqual(complaints, []);
});
