import type { FileFacts, WorkFiles } from '../work-files.ts';

interface ModelFile {
  readonly inode: bigint;
  bytes: Uint8Array;
}
type ModelFolder = Map<string, Node>;
type Node = ModelFile | ModelFolder;

/**
 * A file system in memory with the semantics that the protocol relies on: hard links, exclusive creation, rename over files and free
 * names, everything below a renamed folder unreachable by its old path. Calls that are several system calls are several steps here.
 */
export class ModelFileSystem {
  readonly #root: ModelFolder = new Map();
  #inodes = 0n;
  /** Called when a file has come to a path by a rename. */
  onRename: (to: string) => void = () => undefined;

  mkdir(path: string): 'made' | 'exists' | 'gone' {
    const { folder, name } = this.#parent(path);
    if (folder === undefined) return 'gone';
    if (folder.has(name)) return 'exists';
    folder.set(name, new Map());
    return 'made';
  }

  /** Creates an empty file; undefined when its folder is gone. The file can be written to whatever becomes of its name. */
  create(path: string): ModelFile | undefined {
    const { folder, name } = this.#parent(path);
    if (folder === undefined) return undefined;
    if (folder.has(name)) throw new Error(`EEXIST ${path}`);
    const file = { inode: ++this.#inodes, bytes: new Uint8Array() };
    folder.set(name, file);
    return file;
  }

  link(from: string, to: string): 'linked' | 'exists' | 'gone' {
    const node = this.node(from);
    const { folder, name } = this.#parent(to);
    if (node === undefined || folder === undefined) return 'gone';
    if (node instanceof Map) throw new Error(`EPERM ${from}`);
    if (folder.has(name)) return 'exists';
    folder.set(name, node);
    return 'linked';
  }

  rename(from: string, to: string): 'renamed' | 'gone' | 'occupied' {
    const source = this.#parent(from);
    const node = source.folder?.get(source.name);
    const target = this.#parent(to);
    if (node === undefined || target.folder === undefined) return 'gone';
    const standing = target.folder.get(target.name);
    if (node instanceof Map) {
      if (standing !== undefined && !(standing instanceof Map && standing.size === 0)) return 'occupied';
    } else if (standing instanceof Map) throw new Error(`EISDIR ${to}`);
    source.folder?.delete(source.name);
    target.folder.set(target.name, node);
    if (!(node instanceof Map)) this.onRename(to);
    return 'renamed';
  }

  node(path: string): Node | undefined {
    const { folder, name } = this.#parent(path);
    return folder?.get(name);
  }

  /** Removes a file or an empty folder. */
  unlink(path: string): boolean {
    const { folder, name } = this.#parent(path);
    const node = folder?.get(name);
    if (folder === undefined || node === undefined || (node instanceof Map && node.size > 0)) return false;
    return folder.delete(name);
  }

  /** Every path outside `except`, with its content: what a user sees. */
  visible(except: string, folder: ModelFolder = this.#root, at: string = ''): string[] {
    return [...folder].flatMap(([name, node]) => {
      const path = `${at}/${name}`;
      if (path === except) return [];
      if (node instanceof Map) return [`${path}/`, ...this.visible(except, node, path)];
      return [`${path}=${Buffer.from(node.bytes).toString()}`];
    });
  }

  #parent(path: string): { folder: ModelFolder | undefined; name: string } {
    const parts = path.split('/').filter((part) => part !== '');
    const name = parts.pop() ?? '';
    let folder: ModelFolder | undefined = this.#root;
    for (const part of parts) {
      const next: Node | undefined = folder?.get(part);
      folder = next instanceof Map ? next : undefined;
    }
    return { folder, name };
  }
}

/** One process's view of the model: `gate` is awaited before each step, so that a scheduler decides when it happens. */
export class GatedFiles implements WorkFiles {
  readonly #system: ModelFileSystem;
  readonly #gate: () => Promise<void>;

  constructor(system: ModelFileSystem, gate: () => Promise<void>) {
    this.#system = system;
    this.#gate = gate;
  }

  async makeFolder(path: string, options: { parents: boolean }): Promise<boolean> {
    const parts = path.split('/').filter((part) => part !== '');
    for (let count = options.parents ? 1 : parts.length; count <= parts.length; count++) {
      await this.#gate();
      if (this.#system.mkdir(`/${parts.slice(0, count).join('/')}`) === 'gone') return false;
    }
    return true;
  }

  async writeNew(path: string, bytes: Uint8Array): Promise<boolean> {
    await this.#gate();
    const file = this.#system.create(path);
    if (file === undefined) return false;
    await this.#gate();
    file.bytes = bytes.slice(0, Math.ceil(bytes.length / 2));
    await this.#gate();
    file.bytes = bytes;
    return true;
  }

  async link(from: string, to: string): Promise<'linked' | 'exists' | 'gone'> {
    await this.#gate();
    return this.#system.link(from, to);
  }

  async rename(from: string, to: string): Promise<'renamed' | 'gone' | 'occupied'> {
    await this.#gate();
    return this.#system.rename(from, to);
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    await this.#gate();
    const node = this.#system.node(path);
    return node === undefined || node instanceof Map ? undefined : node.bytes;
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    await this.#gate();
    const node = this.#system.node(path);
    if (node === undefined) return undefined;
    if (node instanceof Map) return { kind: 'folder', sizeBytes: 0, mtimeNs: 0n, inode: 0n };
    return { kind: 'file', sizeBytes: node.bytes.length, mtimeNs: 0n, inode: node.inode };
  }

  async list(path: string): Promise<string[] | undefined> {
    await this.#gate();
    const node = this.#system.node(path);
    return node instanceof Map ? [...node.keys()] : undefined;
  }

  async remove(path: string): Promise<void> {
    for (const name of (await this.list(path)) ?? []) await this.remove(`${path}/${name}`);
    await this.#gate();
    this.#system.unlink(path);
  }

  async syncFolder(): Promise<void> {
    await this.#gate();
  }

  async concat(from: readonly string[], to: string): Promise<number | undefined> {
    await this.#gate();
    const file = this.#system.create(to);
    if (file === undefined) return undefined;
    for (const path of from) {
      const bytes = await this.read(path);
      if (bytes === undefined) return undefined;
      await this.#gate();
      file.bytes = Buffer.concat([file.bytes, bytes]);
    }
    return file.bytes.length;
  }
}
