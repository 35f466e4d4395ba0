import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isRoot } from './layers.ts';
import { isTestFile, listFiles, readPackages, type SourcePackage } from './source-tree.ts';
import { isAllowed, tidyAllowed } from './tidy-allowed.ts';
import { fileLinesMax, readTidyFile, tidyRules } from './tidy-rules.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const word = (...parts: string[]): string => parts.join('');

/** For each rule what it must find, and what looks like it and is allowed. */
const samples: Readonly<Record<string, { readonly path?: string; readonly bad: readonly string[]; readonly good: readonly string[] }>> = {
  syntax: { bad: ['const = ;'], good: ['const a = 1;'] },
  'Date.now': {
    bad: ['const a = Date.now();', 'run(Date.now);', 'globalThis.Date.now()', 'class C { m() { Date.now(); } }'],
    good: ['// Date.now()', "'Date.now'", 'Date.parse(x)'],
  },
  'performance.now': { bad: ['performance.now()'], good: ['performance.mark("x")'] },
  'new Date()': { bad: ['new Date()', 'new Date'], good: ['new Date(ms)', 'new Dates()'] },
  'Math.random': { bad: ['Math.random()', 'pick(Math.random)', "Math['random']()"], good: ['Math.max(1)'] },
  setTimeout: {
    bad: ['setTimeout(f, 1)', 'globalThis.setTimeout(f, 1)', 'const s = setTimeout;', 'new Promise((r) => setTimeout(r, 9))'],
    good: ['clock.setTimeout(f)', 'clearTimeout(t)'],
  },
  setInterval: { bad: ['setInterval(f, 1)'], good: ['clearInterval(t)'] },
  'node:timers': {
    bad: ["import { setTimeout } from 'node:timers/promises';", "import * as t from 'timers';"],
    good: ["import { x } from './timers.ts';"],
  },
  'sleeping in tests': { path: 'packages/p/src/x.test.ts', bad: ['await sleep(systemClock, 5)'], good: ['await sleep(clock, 5)'] },
  'process.env': {
    bad: ['process.env.HOME', "process.env['X']", "process['env']", 'read(process.env)'],
    good: ['options.env', '// process.env'],
  },
  console: { bad: ['console.log(1)', 'console.error(2)', 'write(console.log)'], good: ['output.log(1)', 'const text = "console.log";'] },
  any: {
    bad: ['const a: any = 1;', 'function f(x: Map<string, any>) {}', 'x as any'],
    good: ['const any = 1;', '// any', 'Promise.any([])'],
  },
  'non-null assertion': { bad: ['a!.b', 'f(x!)'], good: ['!a', 'a !== b'] },
  'as unknown as': { bad: ['x as unknown as string'], good: ['x as unknown', 'x as string'] },
  'export *': { bad: ["export * from './a.ts';", "export * as a from './a.ts';"], good: ["export { a } from './a.ts';"] },
  'default export': { bad: ['export default 1;', 'export default function f() {}'], good: ['export const a = { default: 1 };'] },
  // In pieces, so that a search for what somebody forgot does not find it here.
  '.only': { bad: ['test', 'describe'].map((name) => `${name}.${'only'}('x', () => {});`), good: ['list.only(1)'] },
  'at most 10 methods in an interface': {
    bad: [
      `interface P { ${Array.from({ length: 11 }, (_, index) => `m${index}(): void;`).join(' ')} }`,
      `interface P { ${Array.from({ length: 11 }, (_, index) => `m${index}: () => void;`).join(' ')} }`,
    ],
    good: [`interface P { ${Array.from({ length: 10 }, (_, index) => `m${index}(): void;`).join(' ')} text: string }`],
  },
  'functions of at most 70 lines': {
    bad: [`function f() {${'\n'.repeat(70)}}`, `class C { m() {${'\n'.repeat(71)}} }`, `const f = () => {${'\n'.repeat(70)}};`],
    good: [`function f() {${'\n'.repeat(69)}}`],
  },
  'files of at most 400 lines': { bad: ['\n'.repeat(401)], good: ['\n'.repeat(400)] },
  'lines of at most 140 characters': { bad: [`const a = '${'x'.repeat(140)}';`], good: [`'${'é'.repeat(138)}'`] },
  'unfinished work': { bad: [`// ${word('TO', 'DO')}: later`, `// ${word('FIX', 'ME')}`], good: ['// nothing to do'] },
  'paths of one machine': {
    bad: [`const a = '${word('/ho', 'me/anna/x')}';`, `// see ${word('/wo', 'rk/x')}`],
    good: ["'https://example.org/home/x'", "'../home/x'", "'/var/lib/dmg'"],
  },
  'a disabled check without a reason': {
    bad: [word('// oxlint-', 'disable-next-line no-x'), word('// @ts-', 'expect-error')],
    good: ['// oxlint-disable-next-line no-x -- the driver wants it so'],
  },
  'file names': { path: 'packages/p/src/leaseMachine.ts', bad: ['1;'], good: [] },
};

suite('each rule finds what it bans, and only that', () => {
  for (const rule of tidyRules) {
    test(rule.name, () => {
      const sample = samples[rule.name];
      assert.ok(sample !== undefined && sample.bad.length > 0, 'a rule without a sample is not known to work');
      const path = sample.path ?? 'packages/p/src/x.ts';
      for (const text of sample.bad)
        assert.notDeepEqual(rule.find(readTidyFile(path, text, isTestFile(path))), [], `not found: ${text.slice(0, 100)}`);
      for (const text of sample.good)
        assert.deepEqual(rule.find(readTidyFile(path, text, isTestFile(path))), [], `wrongly found: ${text.slice(0, 100)}`);
    });
  }
  test('lines are counted as people do', () => {
    const [rule] = tidyRules.filter(({ name }) => name === 'any');
    assert.deepEqual(rule?.find(readTidyFile('x.ts', "// é\nconst a = 'ü';\n\n  const b: any = a;\n", false)), [4]);
  });
  test('names for bags are refused, others not', () => {
    const [rule] = tidyRules.filter(({ name }) => name === 'file names');
    const judge = (name: string): number => rule?.find(readTidyFile(`packages/p/src/${name}`, '', false)).length ?? 0;
    for (const name of ['utils.ts', 'string-utils.ts', 'slot-manager.ts', 'test-helper.ts', 'Job.ts', 'job_record.ts'])
      assert.equal(judge(name), 1, name);
    for (const name of ['job-record.ts', 'ledger.contract.ts', 'credits.property.test.ts', 'utilisation.ts'])
      assert.equal(judge(name), 0, name);
  });
});

const textFile =
  /\.(?:ts|js|mjs|cjs|json|jsonc|md|sh|lua|proto|ya?ml|txt|html|css|sql|service|conf)$|(?:^|\/)(?:run|Dockerfile|LICENSE|\.[a-z]+)$/;
const notOurs = /^(?:package-lock\.json$|LICENSE$)|\/(?:generated|testdata|fixtures)\//;

suite('the repository is tidy', () => {
  const paths = listFiles(root);
  const files = paths
    .filter((path) => textFile.test(path) && !notOurs.test(path) && statSync(join(root, path)).size < 1_000_000)
    .map((path) => readTidyFile(path, readFileSync(join(root, path), 'utf8'), isTestFile(path)));

  test('its files were read', () => assert.ok(files.length > 100, `${files.length} files`));
  for (const rule of tidyRules) {
    test(rule.name, () => {
      const found = files
        .filter(({ path }) => !isAllowed(rule.name, path))
        .flatMap((file) => rule.find(file).map((line) => `${file.path}:${line}`));
      assert.deepEqual(found, [], `${rule.name} is not wanted here. Instead: ${rule.instead}`);
    });
  }
  test('each exception is used', () => {
    const used = (exception: (typeof tidyAllowed)[number]): boolean =>
      tidyRules.some((rule) => exception.rule.test(rule.name) && files.some((file) => exception.paths.test(file.path)));
    const mayComeLater = /codec|\.config/;
    assert.deepEqual(
      tidyAllowed.filter((exception) => !used(exception) && !mayComeLater.test(exception.paths.source)),
      [],
    );
  });
  test('no file is larger than 1 MB', () => {
    assert.deepEqual(
      paths.filter((path) => statSync(join(root, path)).size > 1_000_000),
      [],
    );
  });
  for (const each of readPackages(root, paths)) {
    test(`the skeleton of ${each.folder}`, () => assert.deepEqual(skeletonComplaints(each, new Set(paths)), []));
  }
});

function skeletonComplaints({ name, folder, manifest }: SourcePackage, paths: ReadonlySet<string>): string[] {
  const complaints: string[] = [];
  const want = (isRight: boolean, complaint: string): void => void (isRight || complaints.push(complaint));
  const expected = folder.startsWith('packages/connectors/') ? `connector-${folder.split('/').at(-1)}` : folder.split('/').at(-1);
  want(manifest.name === `@dmg/${expected}`, `its name is @dmg/${expected}`);
  want(manifest.private === true, 'it is private');
  want(manifest.type === 'module', 'its type is module');
  want((manifest.description ?? '').length >= 10, 'it has a description');
  const targets = exportTargets(manifest.exports);
  want(targets.length > 0, 'it has exports');
  for (const target of targets) want(paths.has(join(folder, target)), `its export ${target} exists`);
  want(paths.has(`${folder}/src/index.ts`) || (isRoot(name) && paths.has(`${folder}/src/main.ts`)), 'it has src/index.ts');
  if (isRoot(name)) want(paths.has(`${folder}/src/main.ts`), 'a root has src/main.ts');
  const index = `${folder}/src/index.ts`;
  if (paths.has(index)) want(readFileSync(join(root, index), 'utf8').split('\n').length <= fileLinesMax, 'its index is short');
  return complaints;
}

function exportTargets(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(exportTargets) : [];
}
