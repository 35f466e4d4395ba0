import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import { forRootsOnly, homes, isConnector, isRoot, layerOf, specReaders, testPackages } from './layers.ts';
import { isTestFile, packageOf, type SourcePackage } from './source-tree.ts';

/** One import as it stands in a file. */
export interface ImportEdge {
  /** The importing file, relative to the repository. */
  readonly from: string;
  /** As written: `./clock.ts`, `@dmg/base`, `node:fs`, `pino`. */
  readonly specifier: string;
  /** The imported file where it is one of ours. */
  readonly to?: string;
}

export interface ImportGraph {
  readonly modules: readonly string[];
  readonly edges: readonly ImportEdge[];
  /** Each a list of files, the first again at the end. */
  readonly cycles: readonly (readonly string[])[];
}

/** Reads all imports of the TypeScript files under `folders`. */
export async function readImportGraph(root: string, folders: readonly string[]): Promise<ImportGraph> {
  const result = await cruise([...folders], {
    baseDir: root,
    // TypeScript 7 has no API: without this parser (@swc/core) no module is read, and no rule is broken.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    // Folders whose name begins with a dot hold no source.
    exclude: { path: '/[.][^./][^/]*/' },
    validate: true,
    ruleSet: { forbidden: [{ name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } }] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js'],
    },
  });
  if (typeof result.output === 'string') throw new Error('dependency-cruiser gave a report instead of modules');
  const modules = result.output.modules.filter(({ source }) => source.endsWith('.ts') && !source.includes('node_modules/'));
  const edges = modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ module, resolved, couldNotResolve, coreModule }): ImportEdge => {
      if (coreModule) return { from: source, specifier: module.startsWith('node:') ? module : `node:${module}` };
      const isOurs = !couldNotResolve && /^(?:packages|test)\//.test(resolved);
      return isOurs ? { from: source, specifier: module, to: resolved } : { from: source, specifier: module };
    }),
  );
  const cycles = modules.flatMap(({ dependencies }) =>
    dependencies.filter(({ circular }) => circular).map(({ cycle }) => (cycle ?? []).map(({ name }) => name)),
  );
  return { modules: modules.map(({ source }) => source), edges, cycles };
}

/** Every import that the picture of the packages does not allow, as a sentence each. */
export function findBoundaryViolations(edges: readonly ImportEdge[], packages: readonly SourcePackage[]): string[] {
  return edges.flatMap((edge) => {
    const complaint = judge(edge, packages);
    return complaint === undefined ? [] : [`${edge.from} imports ${edge.specifier}: ${complaint}`];
  });
}

function judge(edge: ImportEdge, packages: readonly SourcePackage[]): string | undefined {
  const importer = packageOf(packages, edge.from);
  if (importer === undefined || testPackages.includes(importer.name)) return undefined;
  const isRelative = edge.specifier.startsWith('.');
  if (!isRelative && !edge.specifier.startsWith('@dmg/')) return judgeNpm(edge, importer);
  if (edge.to === undefined) return 'it cannot be found.';
  const forTests = isTestFile(edge.from);
  if (edge.to.startsWith('test/')) return forTests ? undefined : 'product code does not import tests.';
  const imported = packageOf(packages, edge.to);
  if (imported === undefined) return 'it belongs to no package.';
  if (!forTests && isTestFile(edge.to)) return 'product code does not import what is made for tests.';
  if (imported === importer) return isRelative || forTests ? undefined : 'a package imports its own files by relative path.';
  if (isRelative) return `packages import each other by name (@dmg/${imported.name}), not by path.`;
  if (testPackages.includes(imported.name)) return forTests ? undefined : 'product code does not import tooling or the testkit.';
  return judgeLayers(importer.name, imported.name, edge);
}

function judgeLayers(importer: string, imported: string, edge: ImportEdge): string | undefined {
  const [from, to] = [layerOf(importer), layerOf(imported)];
  if (from === undefined || to === undefined)
    return `${from === undefined ? importer : imported} has no place in packages/tooling/src/layers.ts.`;
  if (isConnector(imported) && specReaders.includes(importer)) {
    return edge.specifier === `@dmg/${imported}/spec` ? undefined : `${importer} sees of a connector its spec only.`;
  }
  if (forRootsOnly.includes(imported) && !isRoot(importer)) return `only roots import ${imported}; take a port instead.`;
  if (isRoot(imported)) return 'a root is started as a process, by the path its package exports, and not imported.';
  if (to === from) return `${importer} and ${imported} are siblings.`;
  return to > from ? `imports go down only, and ${imported} is above ${importer}.` : undefined;
}

function judgeNpm(edge: ImportEdge, importer: SourcePackage): string | undefined {
  const name = npmNameOf(edge.specifier);
  const home = name === undefined ? undefined : homes.find(({ npm }) => npm.test(name));
  if (home === undefined || home.packages.includes(importer.name)) return undefined;
  return `only ${home.packages.join(' and ')} may.`;
}

/** `@azure/storage-blob/x` → `@azure/storage-blob`; undefined for Node's own modules and for files. */
export function npmNameOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:') || specifier.startsWith('/')) return undefined;
  const [first, second] = specifier.split('/');
  return specifier.startsWith('@') ? `${first}/${second}` : first;
}

const resolveCall = /\b(?:import\.meta|require|createRequire\([^()]*\))\.resolve\(\s*'([^'./][^']*)'/g;

/** Modules that a file finds by `resolve` (a root to start, the main file of an npm package) and does not import. */
export function readResolvedModules(root: string, files: readonly string[]): ImportEdge[] {
  return files.flatMap((from) =>
    [...readFileSync(join(root, from), 'utf8').matchAll(resolveCall)].map(([, specifier]) => ({ from, specifier: specifier ?? '' })),
  );
}

/**
 * Compares what each `package.json` declares with what the package's files use: product files `dependencies`, tests besides
 * `devDependencies` or the root's.
 */
export function findManifestViolations(
  edges: readonly ImportEdge[],
  packages: readonly SourcePackage[],
  rootDevelopment: readonly string[],
): string[] {
  return packages.flatMap((each) => {
    const own = edges.filter(({ from }) => packageOf(packages, from) === each);
    const used = (forTests: boolean): Set<string> => {
      const names = own.filter(({ from }) => isTestFile(from) === forTests).map(({ specifier }) => npmNameOf(specifier));
      return new Set(names.filter((name) => name !== undefined && name !== `@dmg/${each.name}`) as string[]);
    };
    const declared = new Set(Object.keys(each.manifest.dependencies ?? {}));
    const development = new Set(Object.keys(each.manifest.devDependencies ?? {}));
    const isTestPackage = testPackages.includes(each.name);
    const known = (name: string): boolean => declared.has(name) || development.has(name) || rootDevelopment.includes(name);
    const [product, tests] = [used(false), used(true)];
    // Types by themselves are useful where the package is used that they are of.
    const typed = new Set([...product, ...tests].map((name) => `@types/${name}`));
    const isUseful = (name: string): boolean => tests.has(name) || typed.has(name);
    return [
      ...[...product].filter((name) => (isTestPackage ? !known(name) : !declared.has(name))).map((name) => `dependencies lack ${name}`),
      ...[...declared].filter((name) => !product.has(name)).map((name) => `dependencies name ${name}, which no product file uses`),
      ...[...tests].filter((name) => !known(name)).map((name) => `devDependencies lack ${name}`),
      ...[...development].filter((name) => !isUseful(name)).map((name) => `devDependencies name ${name}, which no test uses`),
    ].map((complaint) => `${each.folder}/package.json: ${complaint}`);
  });
}
