import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import {
  findBoundaryViolations,
  findManifestViolations,
  type ImportEdge,
  npmNameOf,
  readImportGraph,
  readResolvedModules,
} from './boundaries.ts';
import { isTestFile, listFiles, type Manifest, readPackages, type SourcePackage } from './source-tree.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

function fixture(name: string, manifest: Manifest = {}): SourcePackage {
  const folder = name.startsWith('connector-') ? `packages/connectors/${name.slice('connector-'.length)}` : `packages/${name}`;
  return { name, folder, manifest };
}

const packages = [
  'base',
  'model',
  'core',
  'contracts',
  'connector-api',
  'connector-file',
  'connector-azure-blob',
  'connector-testkit',
  'engine',
  'redis',
  'worker',
  'telemetry',
  'node',
  'control-plane',
  'cli',
  'tooling',
].map((name) => fixture(name));

function violations(from: string, specifier: string, to?: string): string[] {
  return findBoundaryViolations([to === undefined ? { from, specifier } : { from, specifier, to }], packages);
}

const forbidden: readonly [reason: RegExp, from: string, specifier: string, to?: string][] = [
  [/base is above|model is above base/, 'packages/base/src/ids.ts', '@dmg/model', 'packages/model/src/index.ts'],
  [/engine and redis are siblings/, 'packages/engine/src/copy.ts', '@dmg/redis', 'packages/redis/src/index.ts'],
  [/core and contracts are siblings/, 'packages/core/src/x.ts', '@dmg/contracts', 'packages/contracts/src/index.ts'],
  [/are siblings/, 'packages/engine/src/copy.ts', '@dmg/connector-file', 'packages/connectors/file/src/index.ts'],
  [/are siblings/, 'packages/connectors/file/src/x.ts', '@dmg/connector-azure-blob', 'packages/connectors/azure-blob/src/index.ts'],
  [/only roots import telemetry/, 'packages/worker/src/x.ts', '@dmg/telemetry', 'packages/telemetry/src/index.ts'],
  [/started as a process/, 'packages/cli/src/x.ts', '@dmg/node', 'packages/node/src/index.ts'],
  [/its spec only/, 'packages/control-plane/src/x.ts', '@dmg/connector-file', 'packages/connectors/file/src/index.ts'],
  [/testkit/, 'packages/engine/src/x.ts', '@dmg/connector-testkit', 'packages/connectors/testkit/src/index.ts'],
  [/made for tests/, 'packages/worker/src/x.ts', '@dmg/core/testing', 'packages/core/src/testing/index.ts'],
  [/made for tests/, 'packages/worker/src/x.ts', './slots.test.ts', 'packages/worker/src/slots.test.ts'],
  [/does not import tests/, 'packages/worker/src/x.ts', '../../../test/harness/seed.ts', 'test/harness/seed.ts'],
  [/by name/, 'packages/worker/src/x.ts', '../../base/src/ids.ts', 'packages/base/src/ids.ts'],
  [/by relative path/, 'packages/base/src/x.ts', '@dmg/base', 'packages/base/src/index.ts'],
  [/cannot be found/, 'packages/worker/src/x.ts', './gone.ts'],
  [/only connector-azure-blob may/, 'packages/connectors/file/src/x.ts', '@azure/storage-blob'],
  [/only redis may/, 'packages/node/src/x.ts', 'ioredis'],
  [/only telemetry may/, 'packages/node/src/x.ts', 'pino'],
  [/only security may/, 'packages/control-plane/src/x.ts', 'jose'],
  [/only contracts and control-plane may/, 'packages/core/src/x.ts', 'zod'],
];

for (const [reason, from, specifier, to] of forbidden) {
  test(`forbidden: ${from} imports ${specifier}`, () => assert.match(violations(from, specifier, to).join(), reason));
}

test('allowed: down, by name; a spec; anything for tests and tooling', () => {
  const allowed: readonly [from: string, specifier: string, to?: string][] = [
    ['packages/node/src/x.ts', '@dmg/connector-file', 'packages/connectors/file/src/index.ts'],
    ['packages/node/src/x.ts', '@dmg/telemetry', 'packages/telemetry/src/index.ts'],
    ['packages/contracts/src/x.ts', '@dmg/connector-file/spec', 'packages/connectors/file/src/spec.ts'],
    ['packages/engine/src/x.test.ts', '@dmg/connector-testkit', 'packages/connectors/testkit/src/index.ts'],
    ['packages/engine/src/x.test.ts', '../../../test/harness/seed.ts', 'test/harness/seed.ts'],
    ['packages/tooling/src/x.ts', '../../../test/harness/seed.ts', 'test/harness/seed.ts'],
    ['packages/connectors/azure-blob/src/x.ts', '@azure/storage-blob'],
    ['test/e2e/x.ts', 'ioredis'],
    ['packages/base/src/x.ts', 'node:fs'],
  ];
  for (const [from, specifier, to] of allowed) assert.deepEqual(violations(from, specifier, to), []);
});

test('a package.json that says less or more than its files use is found', () => {
  const worker = fixture('worker', {
    dependencies: { '@dmg/base': '1', unused: '1' }, devDependencies: { 'unused-in-tests': '1', '@types/ws': '1', '@types/gone': '1' },
  });
  const edges: ImportEdge[] = [
    { from: 'packages/worker/src/x.ts', specifier: '@dmg/base' },
    { from: 'packages/worker/src/x.ts', specifier: 'ws/lib/stream' },
    { from: 'packages/worker/src/x.test.ts', specifier: 'fast-check' },
    { from: 'packages/worker/src/x.test.ts', specifier: 'nock' },
  ];
  assert.deepEqual(findManifestViolations(edges, [worker], ['fast-check']), [
    'packages/worker/package.json: dependencies lack ws',
    'packages/worker/package.json: dependencies name unused, which no product file uses',
    'packages/worker/package.json: devDependencies lack nock',
    'packages/worker/package.json: devDependencies name unused-in-tests, which no test uses',
    'packages/worker/package.json: devDependencies name @types/gone, which no test uses',
  ]);
  assert.equal(npmNameOf('@azure/storage-blob/x'), '@azure/storage-blob');
});

test('imports, types alone and cycles are read from files', async (t) => {
  const folder = await tempDir(t);
  const files = {
    'packages/a/src/one.ts': `import { two } from './two.ts'; import type { T } from 'some-types'; export const one: T = two;`,
    'packages/a/src/two.ts': `import { one } from './one.ts'; export const two = one; export const lazy = () => import('lazy');`,
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  const graph = await readImportGraph(folder, ['packages']);
  assert.deepEqual(graph.modules, Object.keys(files));
  assert.deepEqual(graph.edges.map(({ specifier }) => specifier).sort(), ['./one.ts', './two.ts', 'lazy', 'some-types']);
  assert.ok(graph.cycles.length > 0);
});

test('the repository keeps to its boundaries', async (t) => {
  const files = listFiles(root);
  const sources = files.filter((path) => /^(?:packages|test)\/.*\.ts$/.test(path));
  const graph = await readImportGraph(root, ['packages', 'test']);
  const ours = readPackages(root, files);

  await t.test('every source file was read', () => {
    const read = new Set(graph.modules);
    assert.deepEqual(
      sources.filter((path) => !read.has(path)),
      [],
    );
    assert.ok(
      graph.modules.length >= sources.length && graph.edges.length > sources.length,
      `${graph.modules.length} modules, ${graph.edges.length} imports`,
    );
    // One of each kind, so that no rule passes because its imports were not seen.
    for (const specifier of ['node:fs', 'fast-check', 'dependency-cruiser', '@dmg/base']) {
      assert.ok(
        graph.edges.some((edge) => edge.specifier === specifier),
        `no import of ${specifier} was seen`,
      );
    }
  });
  await t.test('imports go down only, and each driver has one home', () => assert.deepEqual(findBoundaryViolations(graph.edges, ours), []));
  await t.test('no imports go round in a circle', () => assert.deepEqual(graph.cycles, []));
  await t.test('each package.json declares what its files use', () => {
    const { devDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
    // Tests may start any root; they need not declare it.
    const resolved = readResolvedModules(root, sources).filter(
      ({ from, specifier }) => !isTestFile(from) || !specifier.startsWith('@dmg/'),
    );
    const edges = [...graph.edges, ...resolved];
    assert.deepEqual(findManifestViolations(edges, ours, Object.keys(devDependencies)), []);
  });
});
