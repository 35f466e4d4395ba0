import { mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { firstLine } from '@dmg/base';
import type { JsonObject, RegisterResponse } from '@dmg/model';
import { createKeptFileOnce, readKeptFile, writeKeptFile } from '@dmg/security/secret-file';
import { nodeErrors } from './errors.ts';

/** What a node must remember of its registration. Kept 0600: it holds the node's token. */
export interface Registration extends RegisterResponse {
  readonly endpoint: string;
  readonly caPem: string;
  /** Of the gateway key that it registered with. */
  readonly keyHash: string;
}

/** The folder in which a node keeps what must survive a restart. Every file is written whole or not at all. */
export class NodeState {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** For the node itself: makes the folder and sees that it can be written. Throws `STATE_UNUSABLE` or security's `FILE_UNUSABLE`. */
  static async open(folder: string): Promise<NodeState> {
    try {
      await mkdir(join(folder, 'reports'), { recursive: true, mode: 0o700 });
      await mkdir(join(folder, 'run'), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw nodeErrors.STATE_UNUSABLE.create({ folder, reason: firstLine(error) }, { cause: error });
    }
    await writeKeptFile(join(folder, '.writable'), '', 0o600);
    return new NodeState(folder);
  }

  /** For a process that only reads what the node keeps: makes nothing and checks nothing. */
  static at(folder: string): NodeState {
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
    await writeKeptFile(join(this.folder, 'registration.json'), JSON.stringify(registration), 0o600);
  }

  /** Private key of the node's certificate, PKCS#8 PEM; `make` is asked for one when there is none yet. */
  async ensureIdentityKey(make: () => Promise<string>): Promise<string> {
    const path = join(this.folder, 'node-key.pem');
    return (await readKeptFile(path, { secret: true })) ?? createKeptFileOnce(path, await make(), 0o600);
  }

  /** The signed desired state that was applied last: who is a member is known without a control plane. */
  async readDesiredState(): Promise<string | undefined> {
    return (await this.#readJson<{ jws: string }>('desired-state.json'))?.jws;
  }

  async writeDesiredState(jws: string): Promise<void> {
    await writeKeptFile(join(this.folder, 'desired-state.json'), JSON.stringify({ jws }), 0o600);
  }

  readCredentialKey(): Promise<JsonObject | undefined> {
    return this.#readJson<JsonObject>('credential-key.json');
  }

  async writeCredentialKey(privateJwk: JsonObject): Promise<void> {
    await writeKeptFile(this.credentialKeyFile, JSON.stringify(privateJwk), 0o600);
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
    await writeKeptFile(join(this.folder, 'reports', name), JSON.stringify(report), 0o600);
  }

  async dropReport(name: string): Promise<void> {
    try {
      await unlink(join(this.folder, 'reports', name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  async #readJson<T>(name: string): Promise<T | undefined> {
    let text: string;
    try {
      text = await readFile(join(this.folder, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#unusable(`${name} cannot be read (${firstLine(error)})`, error);
    }
    try {
      return JSON.parse(text) as T;
    } catch {
      // The parser's error quotes what it read, which may be a token or a key.
      throw this.#unusable(`${name} is damaged: it is not JSON`);
    }
  }

  #unusable(reason: string, cause?: unknown): Error {
    return nodeErrors.STATE_UNUSABLE.create({ folder: this.folder, reason }, cause === undefined ? {} : { cause });
  }
}
