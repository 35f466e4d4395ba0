import type { TableColumn } from '@dmg/model';

/** What a column of times holds where its type does not say, and what one is made with. */
const microseconds = 6;

/**
 * Digits behind the point that a column of a table holds: of numbers, or of seconds; -1 for dates, which hold no time of day. A server
 * rounds what is finer. Undefined where the column's own type does not say.
 */
export function columnScale({ type, nativeType = '' }: TableColumn): number | undefined {
  const modifiers = /\((\d+)(?:,(-?\d+))?\)/.exec(nativeType);
  switch (type) {
    case 'Decimal':
      if (/^money\b/.test(nativeType)) return 2;
      return modifiers === null ? undefined : Number(modifiers[2] ?? 0);
    case 'DateTime':
      if (/^date\b/.test(nativeType)) return -1;
      return Number(modifiers?.[1] ?? microseconds);
    case 'DateTimeOffset': case 'TimeSpan':
      return Number(modifiers?.[1] ?? microseconds);
    default: return undefined;
  }
}

/** True for a column whose server reads bytes and spans of time in a way of its own. */
export function readsServerText(column: TableColumn | undefined): boolean {
  return column !== undefined && (column.type === 'Byte[]' || column.type === 'TimeSpan' || /^interval\b/.test(column.nativeType ?? ''));
}
