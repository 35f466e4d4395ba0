import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { firstLine } from '@dmg/base';
import type { JsonObject } from '@dmg/model';
import { nodeErrors } from './errors.ts';

/** What a node must remember of its registration. Kept 0600: it holds the node's token. */
export interface Registration {
  readonly endpoint: string;
  readonly caPem: string;
  readonly gatewayId: string;
  readonly gatewayName: string;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly nodeToken: string;
  readonly queueName: string;
  readonly signingKey: JsonObject;
  readonly concurrentJobsLimit: number;
}

/** The folder in which a node keeps what must survive a restart. Every file is written whole or not at all. */
export class NodeState {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(folder: string): Promise<NodeState> {
    try {
      await mkdir(join(folder, 'reports'), { recursive: true, mode: 0o700 });
      await mkdir(join(folder, 'run'), { recursive: true, mode: 0o700 });
      await writeWhole(join(folder, '.writable'), '');
    } catch (error) {
      throw nodeErrors.STATE_UNUSABLE.create({ folder, reason: firstLine(error) }, { cause: error });
    }
    return new NodeState(folder);
  }

  get runFolder(): string {
    return join(this.folder, 'run');
  }

  get credentialKeyFile(): string {
    return join(this.folder, 'credential-key.json');
  }

  readRegistration(): Promise<Registration | undefined> {
    return this.#readJson<Registration>('registration.json');
  }

  async writeRegistration(registration: Registration): Promise<void> {
    await writeWhole(join(this.folder, 'registration.json'), JSON.stringify(registration));
  }

  readCredentialKey(): Promise<JsonObject | undefined> {
    return this.#readJson<JsonObject>('credential-key.json');
  }

  async writeCredentialKey(privateJwk: JsonObject): Promise<void> {
    await writeWhole(this.credentialKeyFile, JSON.stringify(privateJwk));
  }

  /** Reports that the control plane has not acknowledged, by name. */
  async pendingReports<T>(): Promise<{ name: string; report: T }[]> {
    const names = (await readdir(join(this.folder, 'reports'))).filter((name) => name.endsWith('.json')).sort();
    const pending: { name: string; report: T }[] = [];
    for (const name of names) {
      const report = await this.#readJson<T>(join('reports', name));
      if (report !== undefined) pending.push({ name, report });
    }
    return pending;
  }

  async keepReport(name: string, report: unknown): Promise<void> {
    await writeWhole(join(this.folder, 'reports', name), JSON.stringify(report));
  }

  async dropReport(name: string): Promise<void> {
    await rm(join(this.folder, 'reports', name), { force: true });
  }

  async #readJson<T>(name: string): Promise<T | undefined> {
    try {
      return JSON.parse(await readFile(join(this.folder, name), 'utf8')) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      const reason = `${name} cannot be read (${firstLine(error)})`;
      throw nodeErrors.STATE_UNUSABLE.create({ folder: this.folder, reason }, { cause: error });
    }
  }
}

/** Write beside, sync, rename, sync the folder: after a crash the old or the new file is there, never half of one. */
async function writeWhole(path: string, text: string): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await writeFile(file, text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
