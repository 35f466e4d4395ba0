import type { Random } from '@dmg/base';
import { below, each, type FuzzedType, fuzzedType, pick } from './type-cells.ts';

const two = (value: number): string => String(value).padStart(2, '0');

function anyDate(random: Random, yearMax = 9999): string {
  return `${String(1 + below(random, yearMax)).padStart(4, '0')}-${two(1 + below(random, 12))}-${two(1 + below(random, 28))}`;
}

function anyTime(random: Random, fractionDigits = 6): string {
  const fraction = String(below(random, 1_000_000)).padStart(6, '0').slice(0, below(random, fractionDigits + 1));
  const clock = `${two(below(random, 24))}:${two(below(random, 60))}:${two(below(random, 60))}`;
  return fraction === '' ? clock : `${clock}.${fraction}`;
}

function anyZone(random: Random): string {
  return `${pick(random, ['+', '-'])}${two(below(random, 16))}:${pick(random, ['00', '30', '45', '59'])}`;
}

const zoned = (cell: (random: Random, index: number) => string) => (random: Random,
  index: number) => `${cell(random, index)}${anyZone(random)}`;

function stampType(name: string, fractionDigits: number, hasZone: boolean): FuzzedType {
  const last = fractionDigits === 0 ? '' : `.${'9'.repeat(fractionDigits)}`;
  const step = fractionDigits === 0 ? '01' : `00.${'1'.padStart(fractionDigits, '0')}`;
  const zone = hasZone ? '+00' : '';
  const any = (random: Random): string => `${anyDate(random)} ${anyTime(random, fractionDigits)}`;
  return fuzzedType(name, {
    min: each(`4714-11-24 00:00:00${zone} BC`, `4714-11-24 00:00:${step}${zone} BC`, `0001-01-01 00:00:00${zone}`),
    max: each(`294276-12-31 23:59:59${last}${zone}`, `294276-12-31 00:00:00${zone}`, `9999-12-31 23:59:59${last}${zone}`),
    zero: each(`2000-01-01 00:00:00${zone}`, `1970-01-01 00:00:00${zone}`),
    negative: (random) => `${anyDate(random, 4712)} ${anyTime(random, fractionDigits)}${zone} BC`,
    step: each(`2000-01-01 00:00:${step}${zone}`, `1999-12-31 23:59:59${last}${zone}`, `1969-12-31 23:59:59${last}${zone}`,
      `0001-12-31 23:59:59${last}${zone} BC`),
    longest: each(`294276-12-31 23:59:59${last}${zone}`, `4713-12-31 23:59:59${last}${zone} BC`),
    words: each('infinity', '-infinity', 'epoch'),
    blanks: each(` 2024-02-29 12:00:00${zone} `),
    any: hasZone ? zoned(any) : any,
  });
}

function anyInterval(random: Random): string {
  const signed = (limit: number): number => below(random, limit) - Math.floor(limit / 2);
  const parts = [`${signed(400)} years`, `${signed(400)} mons`, `${signed(40_000)} days`];
  return `${parts.slice(below(random, 3)).join(' ')} ${pick(random, ['', '-'])}${anyTime(random)}`;
}

export const timeTypes: readonly FuzzedType[] = [
  fuzzedType('date', {
    min: each('4714-11-24 BC', '4714-11-25 BC', '0001-01-01'), max: each('5874897-12-31', '5874897-12-30', '9999-12-31'),
    zero: each('2000-01-01', '1970-01-01'), negative: (random) => `${anyDate(random, 4712)} BC`,
    step: each('2000-02-29', '1999-12-31', '0001-12-31 BC', '0001-01-01', '1582-10-10'), longest: each('5874897-12-31', '4713-12-31 BC'),
    words: each('infinity', '-infinity', 'epoch'), any: (random) => anyDate(random, 5_000_000),
  }),
  fuzzedType('time', {
    min: each('00:00:00'), max: each('24:00:00', '23:59:59.999999'), zero: each('00:00'), step: each('00:00:00.000001', '23:59:59.999999'),
    longest: each('23:59:59.999999', '12:34:56.789012'), words: each('allballs'), any: (random) => anyTime(random),
  }),
  fuzzedType('time(3)',
    { min: each('00:00'), max: each('24:00:00', '23:59:59.999'), step: each('00:00:00.001'), any: (random) => anyTime(random, 3) }),
  fuzzedType('time with time zone', {
    min: each('00:00:00+15:59:59', '00:00:00+15:59'), max: each('24:00:00-15:59:59', '24:00:00-15:59'), zero: each('00:00:00+00'),
    step: each('00:00:00.000001+00', '00:00:00+00:00:01', '00:00:00-00:00:01'),
      longest: each('23:59:59.999999-15:59:59', '12:34:56.789012+05:30:15'),
    any: zoned((random) => anyTime(random)),
  }),
  stampType('timestamp', 6, false),
  stampType('timestamp(3)', 3, false),
  stampType('timestamp(0)', 0, false),
  stampType('timestamp with time zone', 6, true),
  stampType('timestamp(2) with time zone', 2, true),
  fuzzedType('interval', {
    min: each('-178000000 years', '-2147483648 days', '-2147483648 mons'),
      max: each('178000000 years', '2147483647 days', '2147483647 mons'),
    zero: each('0', '00:00:00', '0 days'), negative: (random) => `-${1 + below(random, 1000)} days -${anyTime(random)}`,
    step: each('0.000001 seconds', '-0.000001 seconds', '1 mon -1 day +00:00:00.000001', '1 day -24:00', '-1 mon +30 days', '1 mon'),
    longest: each('-177999999 years -11 mons +2147483647 days -2562047787:59:59.999999', '2562047788:00:54.775807',
      '-2562047788:00:54.775807'),
    blanks: each(' 1 day '), any: anyInterval,
  }),
  fuzzedType('interval day to second(3)',
    { zero: each('0'), step: each('0.001', '-0.001'), any: (random) => `${below(random, 99)} days ${anyTime(random, 3)}` }),
  fuzzedType('interval year to month',
    { zero: each('0'), step: each('1-0', '-0-1'), any: (random) => `${below(random, 99)} years ${below(random, 12)} mons` }),
];
