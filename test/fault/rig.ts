import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createCipheriv, createHash } from 'node:crypto';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { findProcesses, killIfThere } from '../harness/left-processes.ts';
import { type RunningProcess, startRoot } from '../harness/processes.ts';
import { Rest } from '../harness/rest.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { readUpLine, type UpLine } from '../harness/up-line.ts';
import { waitFor } from '../harness/wait-for.ts';

export type { ActivityRun } from '../harness/rest.ts';

/**
 * One whole gateway for tests that break it: `dmg up` with nodes, which starts again whatever is killed, and a file and a blob
 * store whose sinks are judged here with nothing but the file system and the bare SDK.
 */
export interface Rig {
  readonly folder: string;
  /** Root of the file store. */
  readonly files: string;
  readonly up: RunningProcess;
  readonly line: UpLine;
  readonly rest: Rest;
}

export const victims = ['executor', 'node', 'control-plane', 'service-bus', 'redis', 'azurite'] as const;
export type Victim = (typeof victims)[number];

const container = 'fault';

export interface RigOptions {
  /** Default 1. */
  readonly nodes?: number;
  readonly env?: Record<string, string>;
  /** Takes each line that any of the gateway's programs logs. */
  readonly onLog?: (line: string) => void;
}

export async function startRig(context: CleanupContext, options: RigOptions = {}): Promise<Rig> {
  const folder = await tempDir(context, 'dmg-fault-');
  const files = join(folder, 'files');
  await mkdir(files, { recursive: true });
  const { process: up, ready } = await startRoot(context, 'cli', {
    args: ['up', '--nodes', String(options.nodes ?? 1), '--json', '--state', join(folder, 'state')],
    readyWithinMs: 60_000,
    stopWithinMs: 30_000,
    env: options.env ?? {},
    ...(options.onLog === undefined ? {} : { onErrorLine: options.onLog }),
  });
  const line = readUpLine(ready);
  const rest = new Rest(line);
  onCleanup(context, () => rest.close());
  const rig: Rig = { folder, files, up, line, rest };
  if (options.nodes === 0) {
    // With nodes `dmg up` has made both.
    await rest.call('PUT', '', { location: 'local' });
    await rest.put('integrationRuntimes', 'local', { type: 'SelfHosted' });
  }
  await rest.put('linkedServices', 'files', { type: 'FileServer', typeProperties: { host: files }, connectVia: via });
  await rest.put('linkedServices', 'blob', {
    type: 'AzureBlobStorage', typeProperties: { connectionString: { type: 'SecureString', value: line.blob } }, connectVia: via,
  });
  return rig;
}

const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };

/** A binary copy of folder `from` of the file store to folder `to` of `store`; returns the pipeline's name. */
export async function defineFolderCopy(
  rig: Rig,
  name: string,
  from: string,
  to: { store: 'file' | 'blob'; folder: string },
  policy: object = {},
): Promise<string> {
  const writeSettings = to.store === 'file' ? 'FileServerWriteSettings' : 'AzureBlobStorageWriteSettings';
  await rig.rest.put('datasets', `${name}-in`, {
    type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'files' },
    typeProperties: { location: { type: 'FileServerLocation', folderPath: from } },
  });
  await rig.rest.put('datasets', `${name}-out`, {
    type: 'Binary',
    linkedServiceName: { type: 'LinkedServiceReference', referenceName: to.store === 'file' ? 'files' : 'blob' },
    typeProperties: {
      location: to.store === 'file'
        ? { type: 'FileServerLocation', folderPath: to.folder }
        : { type: 'AzureBlobStorageLocation', container, folderPath: to.folder },
    },
  });
  await rig.rest.put('pipelines', name, {
    activities: [{
      name: 'copy', type: 'Copy', policy,
      inputs: [{ type: 'DatasetReference', referenceName: `${name}-in` }],
      outputs: [{ type: 'DatasetReference', referenceName: `${name}-out` }],
      typeProperties: {
        source: { type: 'BinarySource', storeSettings: { type: 'FileServerReadSettings', recursive: true } },
        sink: { type: 'BinarySink', storeSettings: { type: writeSettings } },
      },
    }],
  });
  return name;
}

/** Files of the given sizes whose bytes neither repeat nor compress. */
export async function makeFiles(rig: Rig, folder: string, sizes: readonly number[], salt: number): Promise<void> {
  await mkdir(join(rig.files, folder), { recursive: true });
  for (const [index, size] of sizes.entries()) {
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, salt & 0xff), Buffer.alloc(16, index & 0xff));
    await writeFile(join(rig.files, folder, `file-${index}.bin`), cipher.update(Buffer.alloc(size)));
  }
}

/** SHA-256 of every file below a folder of the file store, by path; work files are not ours to judge. */
export async function fileHashes(rig: Rig, folder: string): Promise<Record<string, string>> {
  const base = join(rig.files, folder);
  const hashes: Record<string, string> = {};
  const entries = await readdir(base, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((item) => item.isFile())) {
    const path = join(entry.parentPath, entry.name);
    hashes[path.slice(base.length + 1)] = createHash('sha256').update(await readFile(path)).digest('hex');
  }
  return hashes;
}

/** SHA-256 of every blob below a folder, by name relative to it. */
export async function blobHashes(rig: Rig, folder: string): Promise<Record<string, string>> {
  const client = BlobServiceClient.fromConnectionString(rig.line.blob).getContainerClient(container);
  const hashes: Record<string, string> = {};
  for await (const item of client.listBlobsFlat({ prefix: `${folder}/` })) {
    const bytes = await client.getBlobClient(item.name).downloadToBuffer();
    hashes[item.name.slice(folder.length + 1)] = createHash('sha256').update(bytes).digest('hex');
  }
  return hashes;
}

/** Waits until the run has ended, and answers how. */
export async function waitForEnd(rig: Rig, runId: string, withinMs = 120_000): Promise<string> {
  const { status } = await waitFor(`the end of run ${runId}`, async () => {
    const run = await rig.rest.run(runId);
    return ['Succeeded', 'Failed', 'Cancelled'].includes(run.status) ? run : undefined;
  }, { withinMs, everyMs: 100 });
  return status;
}

/** A node as `dmg up` has it now. */
export interface RigNode {
  readonly name: string;
  /** Also the number of its process group. */
  readonly pid: number;
  readonly metrics: string;
  readonly state: string;
}

/** The nodes as they are now: `dmg up` writes them down again whenever it has started one anew. */
export async function nodesOf(rig: Rig): Promise<RigNode[]> {
  return (JSON.parse(await readFile(join(rig.folder, 'state', 'up.json'), 'utf8')) as { nodes: RigNode[] }).nodes;
}

const commandOf: Readonly<Record<'executor' | 'node' | 'control-plane', RegExp>> = {
  executor: /packages\/node\/src\/executor\.ts/,
  node: /packages\/node\/src\/main\.ts/,
  'control-plane': /packages\/control-plane\/src\/main\.ts/,
};

/** Pids of the rig's processes of this kind, as they are now. */
export async function pidsOf(rig: Rig, victim: Victim): Promise<number[]> {
  switch (victim) {
    case 'redis':
      return cloudPid(rig, 'redis');
    case 'azurite':
      return cloudPid(rig, 'azurite');
    case 'service-bus':
      return cloudPid(rig, 'serviceBus');
    default: {
      const processes = await findProcesses({ mark: rig.up.mark });
      return processes.filter(({ command }) => commandOf[victim].test(command)).map(({ pid }) => pid);
    }
  }
}

/** The local cloud keeps the pids of its real programs in its state folder. */
async function cloudPid(rig: Rig, name: 'redis' | 'serviceBus' | 'azurite'): Promise<number[]> {
  const text = await readFile(join(rig.folder, 'state', 'cloud', 'local-cloud.json'), 'utf8');
  const pid = (JSON.parse(text) as { pids: Record<string, number | undefined> }).pids[name];
  return pid === undefined ? [] : [pid];
}

/** `kill -9` of one process of this kind; false when there is none now. */
export async function kill(rig: Rig, victim: Victim, choice: number): Promise<boolean> {
  const pids = await pidsOf(rig, victim);
  const pid = pids[Math.floor(choice * pids.length)];
  return pid !== undefined && killIfThere(pid, 'SIGKILL');
}
