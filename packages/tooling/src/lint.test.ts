import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { lint, typeCheck } from './lint.ts';
import { listFiles } from './source-tree.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('the types are right', async () => {
  assert.deepEqual(await typeCheck(root), []);
});

test('the lint finds nothing, in all files', async () => {
  const { findings, filesRead } = await lint(root, root);
  assert.deepEqual(findings, []);
  const sources = listFiles(root).filter((path) => /\.(?:ts|js|mjs)$/.test(path) && !path.includes('/generated/'));
  assert.ok(filesRead >= sources.length * 0.95, `${filesRead} of ${sources.length} files were read`);
});

test('the lint knows types: a planted mistake of each kind is found', async (t) => {
  const folder = await tempDir(t);
  await writeFile(
    join(folder, 'tsconfig.json'),
    '{"compilerOptions":{"strict":true,"module":"nodenext","target":"es2024","noEmit":true,"lib":["es2024"]}}',
  );
  await writeFile(
    join(folder, 'other.ts'),
    `import { bad } from './planted.ts'; export type T = string; export const other = (): void => bad('a');`,
  );
  await writeFile(
    join(folder, 'planted.ts'),
    `import { other } from './other.ts';
     import { T } from './other.ts';
     async function work(): Promise<void> { await 7; other(); }
     export function bad(kind: 'a' | 'b', x?: { y: T }): void {
       work();
       [1].forEach(async () => { await work(); });
       switch (kind) { case 'a': break; }
       const z: any = x!.y;
       JSON.parse('1').member;
       if (z == 1) throw 'text';
     }`,
  );
  const { findings } = await lint(root, folder);
  const rules = [
    'no-floating-promises',
    'no-misused-promises',
    'await-thenable',
    'switch-exhaustiveness-check',
    'no-explicit-any',
    'no-non-null-assertion',
    'consistent-type-imports',
    'no-cycle',
    'no-unsafe-member-access',
    'only-throw-error',
    'eqeqeq',
  ];
  for (const rule of rules)
    assert.ok(
      findings.some((finding) => finding.endsWith(`(${rule})]`)),
      `${rule} was not found in\n${findings.join('\n')}`,
    );
});
