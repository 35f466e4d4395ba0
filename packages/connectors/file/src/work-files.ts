export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'other';
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
}

/**
 * What the publishing protocol needs of a file system; each call is one atomic step of it or has no outside effect before it is
 * complete. A port so that the protocol can be run on a model, step by step, in any order. Paths are absolute.
 */
export interface WorkFiles {
  /** Makes a folder durably, with its parents when asked. False: its parent is gone. An existing folder is fine. */
  makeFolder(path: string, options: { parents: boolean }): Promise<boolean>;
  /** Writes a new file and syncs it. False: its folder is gone. The caller chooses a name that is in no use. */
  writeNew(path: string, bytes: Uint8Array): Promise<boolean>;
  /** Gives a file a second name, unless the name is taken. `gone`: the file or one of the folders is not there. */
  link(from: string, to: string): Promise<'linked' | 'exists' | 'gone'>;
  /**
   * Moves a file over a file, or a folder to a free name. `gone`: `from` or the folder of `to` is not there. `occupied`: a folder
   * was to be moved and the name is taken.
   */
  rename(from: string, to: string): Promise<'renamed' | 'gone' | 'occupied'>;
  /** Undefined: not there. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Without following a symbolic link at the end of the path. Undefined: not there. */
  stat(path: string): Promise<FileFacts | undefined>;
  list(path: string): Promise<string[] | undefined>;
  /** Removes a file or a folder with everything in it; what is not there is fine. */
  remove(path: string): Promise<void>;
  /** Makes the names in a folder durable; a folder that is gone is fine. */
  syncFolder(path: string): Promise<void>;
  /** Writes the given files one after the other into a new one and syncs it; returns its size. Undefined: one of them is gone. */
  concat(from: readonly string[], to: string): Promise<number | undefined>;
}
