import type { Random } from '@dmg/base';
import { below, each, type FuzzedType, fuzzedType, pick, repeated, type TypeCell } from './type-cells.ts';

function digits(random: Random, count: number): string {
  return String(1 + below(random, 9)) + repeated(count - 1, () => String(below(random, 10)));
}

function wholeBetween(random: Random, low: bigint, high: bigint): bigint {
  const wide = BigInt(`0x${Buffer.from(random.bytes(10)).toString('hex')}`);
  return low + (wide % (high - low + 1n));
}

function wholeType(name: string, low: bigint, high: bigint): FuzzedType {
  const room = high - low < 200n ? 2n : 100n;
  return fuzzedType(name, {
    min: (_random, index) => String(low + (BigInt(index) % room)),
    max: (_random, index) => String(high - (BigInt(index) % room)),
    zero: each('0', '-0', '+0', '000'),
    ...(low < 0n ? { negative: (random: Random) => String(wholeBetween(random, low, -1n)) } : {}),
    step: low < 0n ? each('1', '-1', '2', '-2', '10', '-10') : each('1', '2', '10'),
    longest: (random) => String(wholeBetween(random, high / 2n, high)),
    blanks: each(' 1', '1 ', '\t12 ', ' 7\n'),
    any: (random) => String(wholeBetween(random, low, high)),
  });
}

const numericCells: FuzzedType['cells'] = {
  // The most digits that the type has.
  min: (random, index) => `-${index === 0 ? '9'.repeat(131_072) : digits(random, 1000)}`,
  max: (random, index) => (index === 0 ? '9'.repeat(131_072) : digits(random, 1000)),
  zero: each('0', '0.0', '-0.00', '0.0000000000000000000000000000000000000000', '0e10'),
  negative: (random) => `-${digits(random, 20)}.${digits(random, 20)}`,
  step: (random, index) => each(
    `0.${'0'.repeat(16_382)}1`, '0.1', '0.10', '0.100', '1.1', '1.10', '9007199254740993', '0.30000000000000004', '-0.1', '1e-20',
  )(random, index),
  longest: (random, index) => (index % 25 === 0
    ? `${digits(random, 100_000)}.${digits(random, 16_000)}` : `${digits(random, 60)}.${digits(random, 60)}`),
  words: each('NaN', 'Infinity', '-Infinity', 'nan', '-inf'),
  blanks: each(' 1.50 ', '\t2', '3 '),
  any: (random) => `${pick(random, ['', '-'])}${digits(random, 1 + below(random, 30))}.${digits(random, 1 + below(random, 30))}`,
};

function scaled(name: string, max: string, step: readonly string[], any: TypeCell): FuzzedType {
  return fuzzedType(name, {
    min: each(`-${max}`), max: each(max), zero: each('0', '-0'), negative: (random, index) => `-${any(random, index) ?? ''}`,
    step: each(...step), longest: each(max, `-${max}`), words: each('NaN'), any,
  });
}

function single(random: Random): string {
  for (;;) {
    const [value = 0] = new Float32Array(random.bytes(4).slice().buffer);
    if (Number.isFinite(value)) return String(value);
  }
}

function double(random: Random): string {
  for (;;) {
    const [value = 0] = new Float64Array(random.bytes(8).slice().buffer);
    if (Number.isFinite(value)) return String(value);
  }
}

/** A number with all bits at random, as text that reads back as the same number. */
export const anyDouble = double;

const floatWords = each('NaN', 'Infinity', '-Infinity', '+Infinity', 'nan', 'inf');

const moneyAmount = (random: Random): string => `${digits(random, 1 + below(random, 15))}.${below(random, 10)}${below(random, 10)}`;

export const numberTypes: readonly FuzzedType[] = [
  wholeType('smallint', -32_768n, 32_767n),
  wholeType('integer', -2_147_483_648n, 2_147_483_647n),
  wholeType('bigint', -(2n ** 63n), 2n ** 63n - 1n),
  wholeType('oid', 0n, 4_294_967_295n),
  fuzzedType('numeric', numericCells),
  scaled('numeric(38,0)', '9'.repeat(38), ['1', '-1'], (random) => digits(random, 1 + below(random, 38))),
  scaled('numeric(20,6)', `${'9'.repeat(14)}.999999`, ['0.000001', '-0.000001', '0.1', '0.100000'], (random) => (
    `${digits(random, 1 + below(random, 14))}.${digits(random, 6)}`)),
  scaled('numeric(5,-2)', '9999900', ['100', '-100'], (random) => `${digits(random, 4)}00`),
  scaled('numeric(3,5)', '0.00999', ['0.00001', '-0.00001'], (random) => `0.00${digits(random, 3)}`),
  fuzzedType('real', {
    min: each('-3.4028235e38', '-3.4028233e38'), max: each('3.4028235e38', '3.4028233e38', '16777216', '16777217'),
    zero: each('0', '-0', '0.0'), negative: (random) => `-${single(random).replace('-', '')}`,
    step: each('1e-45', '1.1754944e-38', '1.0000001', '0.1', '0.3', '-1e-45', '0.99999994'),
    longest: each('-1.17549435e-38', '1.00000012', '8388608.5', '0.333333343'), words: floatWords, any: single,
  }),
  fuzzedType('double precision', {
    min: each('-1.7976931348623157e308'), max: each('1.7976931348623157e308', '9007199254740993', '9007199254740992'),
    zero: each('0', '-0'), negative: (random) => `-${double(random).replace('-', '')}`,
    step: each('5e-324', '2.2250738585072014e-308', '1.0000000000000002', '0.1', '0.30000000000000004', '-5e-324', '0.9999999999999999'),
    longest: each('-2.2250738585072014e-308', '1.7976931348623155e+308', '0.333333333333333314829616256247'), words: floatWords,
      any: double,
  }),
  fuzzedType('money', {
    min: each('-92233720368547758.08', '-92233720368547758.07'), max: each('92233720368547758.07', '92233720368547758.06'),
    zero: each('0', '-0.00'), negative: (random) => `-${moneyAmount(random)}`, step: each('0.01', '-0.01', '0.10'),
    longest: each('-92,233,720,368,547,758.08', '$92233720368547758.07'), any: moneyAmount,
  }),
  fuzzedType('boolean',
    { min: each('false'), max: each('true'), words: each('t', 'f', 'yes', 'off', '1', '0'), any: each('true', 'false') }),
];
