import { connectorErrors, type Source } from '@dmg/connector-api';
import { findZipData, readZipDirectory, type ZipEntry, type ZipFile } from '@dmg/formats';
import type { Compression, SourceObject } from '@dmg/model';

/** Places of entries that are remembered. */
const placesMax = 10_000;

/** What `SourceObject.identity` of a file in an archive holds, so that any attempt can read it without the directory. */
export interface ArchiveEntry extends Omit<ZipEntry, 'name'> {
  readonly archive: SourceObject;
}

/** The archive that a file of `ZipSource` lies in, and where. */
export function archiveEntryOf(object: SourceObject): ArchiveEntry {
  const value: unknown = JSON.parse(object.identity);
  if (!isEntry(value)) throw new TypeError(`${object.path} is no file of an archive`);
  return value;
}

function isEntry(value: unknown): value is ArchiveEntry {
  return typeof value === 'object' && value !== null && 'archive' in value && 'headerPosition' in value;
}

/** The files in zip archives, as if each archive were a folder. Archives are read in ranges: their directory first. */
export class ZipSource implements Source {
  readonly #archives: Source;
  readonly #hasFolders: boolean;
  readonly #places = new Map<string, number>();

  constructor(archives: Source, compression: Compression) {
    this.#archives = archives;
    this.#hasFolders = compression.archiveFolders ?? true;
  }

  get kind(): Source['kind'] {
    return this.#archives.kind;
  }

  async *list(signal: AbortSignal): AsyncIterable<SourceObject> {
    for await (const archive of this.#archives.list(signal)) {
      // A byte makes no archive, but an empty file is often what a writer leaves that had nothing to say.
      if (archive.sizeBytes === 0) continue;
      for (const { name, ...entry } of await readZipDirectory(this.#file(archive, signal))) {
        const identity = JSON.stringify({ archive, ...entry } satisfies ArchiveEntry);
        yield {
          path: this.#pathOf(archive, name), sizeBytes: entry.compressedBytes, identity,
          ...(archive.lastModifiedMs === undefined ? {} : { lastModifiedMs: archive.lastModifiedMs }),
        };
      }
    }
  }

  async read(object: SourceObject, position: number, into: Uint8Array, signal: AbortSignal): Promise<number> {
    const entry = archiveEntryOf(object);
    const start = await this.#placeOf(object, entry, signal);
    const count = Math.min(into.length, Math.max(0, object.sizeBytes - position));
    return count === 0 ? 0 : this.#archives.read(entry.archive, start + position, into.subarray(0, count), signal);
  }

  close(): Promise<void> {
    return this.#archives.close();
  }

  async #placeOf(object: SourceObject, entry: ArchiveEntry, signal: AbortSignal): Promise<number> {
    const known = this.#places.get(object.identity);
    if (known !== undefined) return known;
    const place = await findZipData(this.#file(entry.archive, signal), entry);
    if (this.#places.size >= placesMax) this.#places.clear();
    this.#places.set(object.identity, place);
    return place;
  }

  #file(archive: SourceObject, signal: AbortSignal): ZipFile {
    return {
      fileName: archive.path,
      sizeBytes: archive.sizeBytes,
      read: async (position, bytes) => {
        const into = new Uint8Array(bytes);
        const count = bytes === 0 ? 0 : await this.#archives.read(archive, position, into, signal);
        if (count !== bytes) throw connectorErrors.SOURCE_CHANGED.create({ path: archive.path });
        return into;
      },
    };
  }

  #pathOf(archive: SourceObject, name: string): string {
    if (this.#hasFolders) return `${archive.path}/${name}`;
    return `${archive.path.slice(0, archive.path.lastIndexOf('/') + 1)}${name}`;
  }
}

/** The archive's path, where an object of the plan lies in one: for whoever compares sources with targets. */
export function storedPathOf(object: SourceObject, compression: Compression | undefined): string {
  return compression?.type === 'zipDeflate' ? archiveEntryOf(object).archive.path : object.path;
}
