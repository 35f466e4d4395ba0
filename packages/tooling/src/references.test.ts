import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { baseErrors, type ErrorDefinition } from '@dmg/base';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import {
  findDrift,
  findErrorComplaints,
  findMetricComplaints,
  formatErrors,
  formatMetrics,
  generateAll,
  readAllErrors,
  readAllMetrics,
  readErrors,
  readMetrics,
} from './references.ts';
import { listFiles } from './source-tree.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const files = listFiles(root);

test('generated files are what their sources say', async (t) => {
  for (const file of await generateAll(root, files)) {
    await t.test(file.path, () => {
      const drift = findDrift(root, file);
      assert.ok(drift === undefined, drift);
    });
  }
});

test('drift is seen both ways: a code that is not in the page, a page that names a code no more', async (t) => {
  const folder = await tempDir(t);
  const content = formatErrors(readErrors({ baseErrors }, 'x'));
  await writeFile(join(folder, 'ERRORS.md'), content);
  assert.equal(findDrift(folder, { path: 'ERRORS.md', content }), undefined);
  const { UNEXPECTED: _retired, ...rest } = baseErrors;
  const fewer = formatErrors(readErrors({ rest }, 'x'));
  assert.match(findDrift(folder, { path: 'ERRORS.md', content: fewer }) ?? '', /Run: npm run gen\n[^]*\n- ## DMG_BASE_UNEXPECTED/);
  await writeFile(join(folder, 'ERRORS.md'), fewer);
  assert.match(findDrift(folder, { path: 'ERRORS.md', content }) ?? '', /\n\+ ## DMG_BASE_UNEXPECTED/);
  assert.match(findDrift(folder, { path: 'ABSENT.md', content }) ?? '', /ABSENT\.md is not what/);
  assert.match(findDrift(folder, { path: 'ERRORS.md', content: undefined }) ?? '', /\n- /);
});

test('every error has a code of its own, a message of the right form, and says what to do', async () => {
  const errors = await readAllErrors(root, files);
  assert.ok(errors.length > 10 && errors.some(({ code }) => code === 'DMG_BASE_DEADLINE'), `${errors.length} errors were read`);
  assert.deepEqual(findErrorComplaints(errors), []);
});

test('every metric has a name of its own and of the right form', async () => {
  assert.deepEqual(findMetricComplaints(await readAllMetrics(root, files)), []);
});

test('what is wrong with a catalogue is found', () => {
  const good: ErrorDefinition = {
    category: 'config',
    retry: 'never',
    scope: 'job',
    message: 'Cannot read {file}: it is absent.',
    fix: 'Make it.',
  };
  const judge = (code: string, definition: Partial<ErrorDefinition>): string[] =>
    findErrorComplaints([{ code, definition: { ...good, ...definition }, source: 'a' }]);
  assert.deepEqual(judge('DMG_A_B', {}), []);
  assert.equal(judge('DMG_lower', {}).length, 1);
  assert.equal(judge('DMG_A_B', { message: 'File not found' }).length, 1);
  assert.equal(judge('DMG_A_B', { fix: ' ' }).length, 1);
  const twice = { code: 'DMG_A_B', definition: good };
  assert.deepEqual(
    findErrorComplaints([
      { ...twice, source: 'a' },
      { ...twice, source: 'b' },
    ]),
    ['DMG_A_B is declared in a and in b'],
  );

  const jobs = { name: 'dmg_dispatch_jobs_total', kind: 'counter', help: 'Jobs.', labels: ['outcome'] } as const;
  const found = readMetrics(
    { jobs, all: { jobs, slots: { name: 'dmg_worker_slots', kind: 'gauge', help: 'Slots | places.' } }, unit: 'ms' },
    'm',
  );
  assert.deepEqual(
    found.map(({ name }) => name),
    [jobs.name, jobs.name, 'dmg_worker_slots'],
  );
  assert.deepEqual(findMetricComplaints(found), []);
  assert.match(
    formatMetrics(found),
    /\| `dmg_dispatch_jobs_total` \| counter \| `outcome` \| Jobs\. \|\n\| `dmg_worker_slots` \| gauge \| – \| Slots \\\| places\. \|\n$/,
  );
  assert.equal(findMetricComplaints([{ ...jobs, name: 'dmg_dispatch_jobs', source: 'a' }]).length, 1);
  assert.equal(
    findMetricComplaints([
      { ...jobs, source: 'a' },
      { ...jobs, source: 'b' },
    ]).length,
    1,
  );
});
