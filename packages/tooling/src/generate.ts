import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDrift, generateAll } from './references.ts';
import { listFiles } from './source-tree.ts';

/** `npm run gen`: writes every generated file that is not what its sources say. */
const root = fileURLToPath(new URL('../../..', import.meta.url));

for (const file of await generateAll(root, listFiles(root))) {
  if (file.content === undefined || findDrift(root, file) === undefined) continue;
  mkdirSync(dirname(join(root, file.path)), { recursive: true });
  writeFileSync(join(root, file.path), file.content);
  process.stdout.write(`wrote ${file.path}\n`);
}
