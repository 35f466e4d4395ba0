import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { firstLine } from '@dmg/base';
import { type Definition, definitionKinds, readDefinition } from '../definitions.ts';
import type { Context } from '../context.ts';
import { ensureFactory, factoryPath } from '../data-factory.ts';
import { cliErrors } from '../errors.ts';
import { type Output, table } from '../output.ts';

/**
 * `dmg apply -f PATH…`: Data Factory JSON from files or folders, in the order in which definitions refer to each other. Everything
 * is read and recognised before anything is sent.
 */
export async function apply(paths: readonly string[], context: Context, output: Output): Promise<void> {
  const files = (await Promise.all(paths.map(jsonFiles))).flat();
  const definitions = await Promise.all(files.map(async (file) => ({ file, ...readDefinition(file, await readText(file)) })));
  definitions.sort((a, b) => definitionKinds.indexOf(a.kind) - definitionKinds.indexOf(b.kind));
  await ensureFactory(context);
  const applied: { kind: string; name: string; file: string; warnings: readonly string[] }[] = [];
  for (const definition of definitions) {
    const warnings = await put(context, definition);
    applied.push({ kind: definition.kind, name: definition.name, file: definition.file, warnings });
    for (const warning of warnings) output.note(`warning: ${definition.file}: ${warning}`);
  }
  output.result({ applied }, () => table(['KIND', 'NAME', 'FILE'], applied.map(({ kind, name, file }) => [kind, name, file])));
}

async function put(context: Context, definition: Definition): Promise<readonly string[]> {
  const path = factoryPath(context, `/${definition.kind}/${encodeURIComponent(definition.name)}`);
  const answer = await context.client.call(`apply the ${definition.kind.slice(0, -1)} ${definition.name}`, {
    method: 'PUT', path, body: { properties: definition.properties },
  });
  const warnings = (answer as { warnings?: unknown } | undefined)?.warnings;
  return Array.isArray(warnings) ? warnings.map((warning) => (typeof warning === 'string' ? warning : JSON.stringify(warning))) : [];
}

async function jsonFiles(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const isDefinition = (name: string): boolean => extname(name).toLowerCase() === '.json' && !basename(name).startsWith('.');
    const names = (await readdir(path, { recursive: true })).filter(isDefinition);
    if (names.length === 0) throw cliErrors.BAD_DEFINITION.create({ file: path, reason: 'the folder holds no .json file' });
    return names.sort().map((name) => join(path, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw cliErrors.BAD_DEFINITION.create({ file: path, reason: 'it does not exist' }, { cause: error });
    }
    throw error;
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw cliErrors.BAD_DEFINITION.create({ file, reason: firstLine(error) }, { cause: error });
  }
}
