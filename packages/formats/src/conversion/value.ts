import type { InterimType } from '@dmg/model';

/**
 * A value between its two texts. Numbers are digit strings and times are integers (days, and ticks of 100 ns within the day,
 * both far below 2^53), so nothing passes through a double but `Single` and `Double` themselves.
 */
export type Value =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | ExactNumber
  | { readonly kind: 'float'; readonly value: number }
  | DateTimeValue
  | TimeSpanValue
  | { readonly kind: 'guid'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** `digits / 10^scale`. `digits` has no leading zeros beyond the one before the decimal point: `0`, `5` with scale 1 is 0.5. */
export interface ExactNumber {
  readonly kind: 'exact';
  readonly negative: boolean;
  readonly digits: string;
  readonly scale: number;
}

export interface DateTimeValue {
  readonly kind: 'dateTime';
  /** Days since 0001-01-01, on the clock of the offset. */
  readonly day: number;
  /** 100 ns since midnight. */
  readonly tick: number;
  /** Minutes east of UTC; undefined: unknown. */
  readonly offsetMinutes: number | undefined;
}

export interface TimeSpanValue {
  readonly kind: 'timeSpan';
  readonly negative: boolean;
  readonly days: number;
  /** 100 ns beyond the days. */
  readonly tick: number;
}

/** Why a value cannot be converted; becomes `DMG_FORMATS_INVALID_VALUE`. */
export class Problem {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

export type Family = 'String' | 'Boolean' | 'Integer' | 'Float' | 'Decimal' | 'DateTime' | 'TimeSpan' | 'Guid' | 'Bytes';

export const families: Readonly<Record<InterimType, Family>> = {
  String: 'String', Boolean: 'Boolean', Byte: 'Integer', SByte: 'Integer', Int16: 'Integer', UInt16: 'Integer', Int32: 'Integer',
  UInt32: 'Integer', Int64: 'Integer', UInt64: 'Integer', Single: 'Float', Double: 'Float', Decimal: 'Decimal', DateTime: 'DateTime',
  DateTimeOffset: 'DateTime', TimeSpan: 'TimeSpan', Guid: 'Guid', 'Byte[]': 'Bytes',
};

const numberTargets: readonly Family[] = ['Boolean', 'Decimal', 'Float', 'Integer', 'String'];

/** Data Factory's conversion matrix: from the row to any of these. */
export const conversions: Readonly<Record<Family, readonly Family[]>> = {
  Boolean: ['Boolean', 'Decimal', 'Float', 'Integer', 'String'],
  Bytes: ['Bytes', 'String'],
  DateTime: ['DateTime', 'String'],
  Decimal: numberTargets,
  Float: numberTargets,
  Integer: numberTargets,
  Guid: ['Guid', 'String'],
  String: ['Boolean', 'Bytes', 'DateTime', 'Decimal', 'Float', 'Guid', 'Integer', 'String', 'TimeSpan'],
  TimeSpan: ['String', 'TimeSpan'],
};

/** True where the matrix lets values of one type become values of the other. */
export function isConvertible(from: InterimType, to: InterimType): boolean {
  return conversions[families[from]].includes(families[to]);
}
