import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import protobuf from 'protobufjs';
import { protoLoaderOptions } from './proto-loader-options.ts';

const run = promisify(execFile);
/** The contract's main file, relative to the folder `proto`. */
const mainFile = 'dmg/cluster/v1/cluster.proto';
const header = '// Generated from proto/ by `npm run gen`. Do not edit.\n';
const generationLimitMs = 60_000;

/** A generated file: its path in the repository and what stands in it. */
export interface GeneratedWireFile {
  readonly path: string;
  readonly content: string;
}

/**
 * Everything under `packages/protocol/src/generated`, made anew from `proto/` in the repository at `root`: the types of all messages and
 * the descriptor from which they are loaded at run time. Nothing of the repository is written.
 */
export async function generateWire(root: string): Promise<GeneratedWireFile[]> {
  const folder = 'packages/protocol/src/generated';
  const types = await generateTypes(root);
  const descriptor = `${JSON.stringify(loadDescriptor(root), undefined, 1)}\n`;
  return [...types, { path: 'descriptor.json', content: descriptor }].map(({ path, content }) => ({ path: `${folder}/${path}`, content }));
}

async function generateTypes(root: string): Promise<GeneratedWireFile[]> {
  const tool = join(dirname(fileURLToPath(import.meta.resolve('@grpc/proto-loader'))), '../bin/proto-loader-gen-types.js');
  const out = await mkdtemp(join(tmpdir(), 'dmg-wire-'));
  try {
    const flags = [...optionFlags(), '--includeComments', '--grpcLib', '@grpc/grpc-js', '--importFileExtension', '.ts'];
    // A relative folder: the tool writes the paths of its sources into what it makes.
    await run(process.execPath, [tool, ...flags, '-O', out, '-I', 'proto', '--', mainFile], { cwd: root, timeout: generationLimitMs });
    const paths = (await readdir(out, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => relative(out, join(entry.parentPath, entry.name)))
      .sort();
    return await Promise.all(paths.map(async (path) => {
      const text = await readFile(join(out, path), 'utf8');
      return { path: path.replaceAll(sep, '/'), content: `${header}${text.trimEnd()}\n` };
    }));
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

function optionFlags(): string[] {
  const flags: string[] = [];
  for (const [name, value] of Object.entries(protoLoaderOptions)) {
    if (value === true) flags.push(`--${name}`);
    else if (value === String) flags.push(`--${name}`, 'String');
  }
  return flags;
}

/** Read one after another: files that are loaded at the same time stand in the order in which the disk gave them. */
function loadDescriptor(root: string): protobuf.INamespace {
  const wire = new protobuf.Root();
  wire.resolvePath = (_origin, target) => join(root, 'proto', target);
  wire.loadSync(mainFile);
  return wire.toJSON({ keepComments: false });
}
