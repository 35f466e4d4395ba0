import type { Compression } from '@dmg/model';
import type { CopyCodecs } from './codecs.ts';

const extensions: Record<Compression['type'], readonly [string, ...string[]]> = {
  gzip: ['.gz', '.gzip'], deflate: ['.deflate'], bzip2: ['.bz2', '.bzip2'], zipDeflate: ['.zip'],
};

/** Name of what a compressed file holds: without the extension of its compression. A file of an archive has its own name. */
export function contentName(path: string, { source }: CopyCodecs): string {
  if (source === undefined || source.type === 'zipDeflate') return path;
  const extension = extensions[source.type].find((known) => path.toLowerCase().endsWith(known));
  const name = extension === undefined ? path : path.slice(0, -extension.length);
  // A file that is called nothing but its extension keeps it.
  return name === '' || name.endsWith('/') ? path : name;
}

/** Name of the compressed file that holds `name`. */
export function compressedName(name: string, { sink }: CopyCodecs): string {
  return sink === undefined ? name : `${name}${extensions[sink.type][0]}`;
}

/** Name of the file in an archive, when the archive is called `path`. */
export function archivedName(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name.length > 4 && name.toLowerCase().endsWith('.zip') ? name.slice(0, -4) : name;
}
