import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A package of ours, as its `package.json` tells. */
export interface SourcePackage {
  /** Without `@dmg/`. */
  readonly name: string;
  /** Relative to the repository, as `packages/connectors/file`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

export interface Manifest {
  readonly name?: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly description?: string;
  readonly exports?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Paths of all files that are tracked, or new and not ignored. */
export function listFiles(root: string): string[] {
  const output = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  // A tracked file may have been deleted and not yet committed.
  return [...new Set(output.split('\0'))].filter((path) => path !== '' && existsSync(join(root, path))).sort();
}

export function readPackages(root: string, files: readonly string[]): SourcePackage[] {
  return files
    .filter((path) => /^packages\/(?:connectors\/)?[^/]+\/package\.json$/.test(path))
    .map((path) => {
      const manifest = JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest;
      return { name: (manifest.name ?? '').replace('@dmg/', ''), folder: dirname(path), manifest };
    });
}

export function packageOf(packages: readonly SourcePackage[], path: string): SourcePackage | undefined {
  return packages.find(({ folder }) => path.startsWith(`${folder}/`));
}

/** Files which serve tests only: tests, contract suites, twins and what else stands in a folder `testing`. */
export function isTestFile(path: string): boolean {
  return /(?:\.(?:test|contract|sim|bench)\.ts$)|(?:\/(?:testing|bench|testdata)\/)/.test(path) || path.startsWith('test/');
}
