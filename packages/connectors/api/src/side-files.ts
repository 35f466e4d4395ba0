/**
 * Files that a copy writes about itself, in a store that need not be its sink: skipped rows, session logs. Nobody sees a file before it
 * is published, which whoever ends the job does, not who wrote it. Paths are relative to the folder that was opened. All methods may be
 * called again after an unknown outcome.
 */
export interface SideFiles {
  /** Begins a file. What was begun under the path before, and was not published, no longer counts once this one has ended. */
  create(path: string, signal: AbortSignal): Promise<SideFile>;
  /** Makes a file that has ended visible, whole. False: no such file has ended here, or it was published and taken away. */
  publish(path: string, signal: AbortSignal): Promise<boolean>;
  /** Keeps a text for other attempts of the job, unseen by people, unless one is kept under this name. */
  keep(name: string, text: string, signal: AbortSignal): Promise<void>;
  kept(name: string, signal: AbortSignal): Promise<string | undefined>;
  /** Removes what was kept, and what was begun and not published, of the whole job: as far as it is there and the store tells. */
  clear(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface SideFile {
  /** One call after the other. `bytes` may be reused once the promise resolves. */
  append(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** All of it is durable when this resolves, and still unseen. */
  end(signal: AbortSignal): Promise<void>;
  /** Gives the file up. Never throws. */
  discard(): Promise<void>;
}
