import { globSync } from 'node:fs';
import { sep } from 'node:path';

export interface TestFiles {
  /** Two at a time. The checks of the repository come first, since they answer soonest what is wrong. */
  readonly concurrent: readonly string[];
  /** One at a time: they strike the product and judge how soon it recovers. */
  readonly serial: readonly string[];
}

const serialFolder = 'test/fault/';
const leftOut = ['test/bench/', 'test/real/'];

/** Finds all test files under `root`; with `filters`, those whose path contains one of them. Paths are relative to `root`. */
export function findTestFiles(root: string, filters: readonly string[]): TestFiles {
  const found = globSync(['packages/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root, exclude: ['**/node_modules', '**/node_modules/**'] })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => !leftOut.some((folder) => path.startsWith(folder)) && !path.includes('/fixtures/'))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const isSerial = (path: string): boolean => path.startsWith(serialFolder);
  return { concurrent: found.filter((path) => !isSerial(path)), serial: found.filter(isSerial) };
}

function rank(path: string): number {
  return path.startsWith('packages/tooling/') ? 0 : 1;
}
