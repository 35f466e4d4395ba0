import type { Source } from '@dmg/connector-api';
import type { CopyActivity } from '@dmg/model';
import { codecsOf } from './codecs.ts';
import { ZipSource } from './zip-source.ts';

/** The source of a copy: its files, or the files in its archives where these are unpacked. */
export function readingArchives(activity: CopyActivity, files: Source): Source {
  const { source } = codecsOf(activity);
  return source?.type === 'zipDeflate' ? new ZipSource(files, source) : files;
}
