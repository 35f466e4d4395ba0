import { protocolErrors } from '../errors.ts';

/** Reading and writing single fields: the only place where numbers of the wire and numbers of JavaScript meet. */

const uint32Max = 0xffff_ffff;

/** What is thrown for a field that came with something wrong in it. */
export function bad(field: string, problem: string): Error {
  return protocolErrors.BAD_FIELD.create({ field, problem });
}

/** A text with something in it. */
export function readText(field: string, value: string): string {
  if (value === '') throw bad(field, 'empty');
  return value;
}

/** 128 bits in hex: tokens of epochs. */
export function readHex128(field: string, value: string): string {
  if (!/^[0-9a-f]{32}$/.test(value)) throw bad(field, 'not 32 hex digits');
  return value;
}

/** A message that has to be there. */
export function readMessage<T>(field: string, value: T | null | undefined): T {
  if (value === null || value === undefined) throw bad(field, 'missing');
  return value;
}

/** A number of the wire's type uint32, within bounds. */
export function readCount(field: string, value: number, from = 0): number {
  if (!Number.isInteger(value) || value < from) throw bad(field, `less than ${from}`);
  return value;
}

/** A 64-bit integer that a JavaScript number holds exactly. Comes as text, since a number would have lost digits already. */
export function readInt64(field: string, value: string, from = 0): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw bad(field, 'larger than 2^53 - 1');
  if (number < from) throw bad(field, `less than ${from}`);
  return number;
}

/** A duration or a measure that need not be whole. */
export function readMeasure(field: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw bad(field, 'not a number of at least 0');
  return value;
}

/** A number for a field of type uint32; the encoder would cut off what does not fit without a word. */
export function writeCount(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > uint32Max) throw unsendable(field, `${value}, not a whole number below 2^32`);
  return value;
}

/** A number for a field of type int64. Times with a fraction of a millisecond are rounded. */
export function writeInt64(field: string, value: number): string {
  const whole = Math.round(value);
  if (!Number.isSafeInteger(whole)) throw unsendable(field, `${value}, beyond 2^53`);
  return whole.toFixed(0);
}

/** What is thrown for a value that the wire cannot carry. */
export function unsendable(field: string, problem: string): Error {
  return protocolErrors.UNSENDABLE.create({ field, problem });
}

/**
 * A pair of tables between the words of the domain and those of the wire. `UNSPECIFIED` is in neither: it is never sent, and refused
 * when it comes, as is a number that this release has no word for.
 */
export function enumCodec<Domain extends string, Wire extends string>(
  field: string, words: Readonly<Record<Domain, Wire>>,
): { encode(value: Domain): Wire; decode(value: string | number): Domain } {
  const back = new Map(Object.entries(words).map(([domain, wire]) => [wire as string | number, domain as Domain]));
  return {
    encode(value) {
      const wire = Object.hasOwn(words, value) ? words[value] : undefined;
      if (wire === undefined) throw unsendable(field, `${value}, which the wire has no word for`);
      return wire;
    },
    decode(value) {
      const domain = back.get(value);
      if (domain === undefined) throw bad(field, typeof value === 'number' ? `${value}, which is not known` : 'unspecified');
      return domain;
    },
  };
}
