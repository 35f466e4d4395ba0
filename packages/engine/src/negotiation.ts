import { copiesBytes } from '@dmg/formats';
import type { CopyActivity, Representation } from '@dmg/model';
import { engineErrors } from './errors.ts';
import { copyBehaviorOf } from './copy-behavior.ts';

/**
 * What source and sink exchange: the cheapest representation that the formats and the mapping allow. Binary on both sides, or the
 * same text format with nothing to map, is copied byte for byte; other text is decoded and encoded. Binary against text is refused.
 */
export function negotiate(activity: CopyActivity): Representation {
  const source = activity.source.format;
  const sink = activity.sink.format;
  if (source.type === 'Binary' && sink.type === 'Binary') return 'bytes';
  if (source.type === 'Binary' || sink.type === 'Binary') {
    throw engineErrors.FORMATS_MIXED.create({ source: source.type, sink: sink.type });
  }
  // What a table's streams are exchanged as is decided when its source is open: see `exchangeOf`.
  if (source.type === 'Table' || sink.type === 'Table') return 'rows';
  // Merged text needs rows: only the first header may stay, and a file need not end with a row delimiter.
  if (copyBehaviorOf(activity) === 'MergeFiles') return 'rows';
  // Rows that are to be skipped have to be looked at.
  if (activity.skipIncompatibleRows === true) return 'rows';
  if ((activity.additionalColumns?.length ?? 0) > 0) return 'rows';
  const { translator } = activity;
  return copiesBytes({ source, sink, ...(translator === undefined ? {} : { translator }) }) ? 'bytes' : 'rows';
}
