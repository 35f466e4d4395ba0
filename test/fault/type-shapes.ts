import type { Random } from '@dmg/base';
import {
  arrayText, below, blankText, each, type FuzzedType, fuzzedType, hexOf, pick, plainText, quotedPart, repeated, specialText, type TypeCell,
  wordList,
} from './type-cells.ts';
import { anyDouble } from './type-numbers.ts';

/** Names of the types that `typeDefinitions` makes. */
export const enumName = 'fuzz_mood';

export const enumLabels = ['', 'NULL', '\\N', '\\.', ' a ', 'a,b', 'a"b', "it's", 'a\\b', 'a\nb', 'a\tb', '😀', 'x'.repeat(63), ';',
  '||'] as const;

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Run once by the owner of the database. */
export const typeDefinitions: readonly string[] = [
  'CREATE EXTENSION IF NOT EXISTS hstore',
  'CREATE EXTENSION IF NOT EXISTS citext',
  `CREATE TYPE ${enumName} AS ENUM (${enumLabels.map(literal).join(', ')})`,
  'CREATE TYPE "Odd ""Pair" AS (number numeric, words text, "when" timestamptz)',
  `CREATE DOMAIN fuzz_code AS varchar(30) CHECK (value <> 'forbidden')`,
  'CREATE DOMAIN fuzz_cents AS numeric(12,2)',
];

function textType(name: string, characters: number, longest: TypeCell): FuzzedType {
  return fuzzedType(name, {
    empty: each(''), min: each('!', '\u0001', '0'), max: each('\u{10ffff}', '\uffff'), longest,
    special: (random) => specialText(random, characters), blanks: (random, index) => blankText(random, index, characters),
    words: (_random, index) => Array.from(wordList[index % wordList.length] ?? '').slice(0, characters).join(''),
    any: (random) => plainText(random, Math.min(12, characters)),
  });
}

const full = (characters: number): TypeCell => (random) => repeated(characters, () => pick(random, ['a', '"', '\\', '😀', '\n', ',']));

/** Some of these are as long as a block of the copy and longer. */
const long: TypeCell = (random, index) => repeated(index % 25 === 0 ? 60_000 : 300, () => specialText(random, 4));

const text = [
  textType('text', 100, long), textType('varchar', 100, long), textType('varchar(20)', 20, full(20)), textType('char(10)', 10, full(10)),
  textType('citext', 100, full(200)), { ...textType('fuzz_code', 30, full(30)), base: 'varchar' },
  // 63 bytes.
  textType('name', 12, each('x'.repeat(63))),
  fuzzedType('"char"',
    { empty: each(''), special: each(',', '"', '\\', '\n', '\t', ';', "'"), blanks: each(' '), any: each('a', 'Z', '\u0001') }),
  fuzzedType('bytea', {
    empty: each('\\x'), min: each('\\x00', '\\x0000'), max: each(`\\x${'ff'.repeat(8)}`),
      step: each('\\x01', '\\x5c', '\\x5c2e0a', '\\x22'),
    special: each('\\x5c4e', '\\x2c0d0a09', `\\x${hexOf(Uint8Array.from({ length: 256 }, (_, index) => index))}`),
    longest: (random, index) => `\\x${hexOf(random.bytes(index % 25 === 0 ? 100_000 : 500))}`,
      any: (random) => `\\x${hexOf(random.bytes(below(random, 40)))}`,
  }),
  fuzzedType(enumName, {
    empty: each(''), min: each(enumLabels[0]), max: each(enumLabels.at(-1) ?? ''), longest: each('x'.repeat(63)),
    special: (_random, index) => enumLabels[index % enumLabels.length] ?? '', words: each('NULL', '\\N'),
      any: (random) => pick(random, enumLabels),
  }),
  {
    ...fuzzedType('fuzz_cents', {
      min: each('-9999999999.99'), max: each('9999999999.99'), zero: each('0'), step: each('0.01'), any: each('12.50'),
    }),
    base: 'numeric',
  },
];

const uuid = (random: Random): string => hexOf(random.bytes(16)).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

function jsonOf(random: Random, depth: number): unknown {
  const key = (): string => specialText(random, 6);
  const kind = below(random, depth > 0 ? 7 : 5);
  if (kind === 0) return null;
  if (kind === 1) return random.unit() < 0.5;
  if (kind === 2) return below(random, 2 ** 31) / 1000;
  if (kind < 5) return specialText(random, 12);
  if (kind === 5) return Array.from({ length: below(random, 4) }, () => jsonOf(random, depth - 1));
  return Object.fromEntries(Array.from({ length: below(random, 4) }, () => [key(), jsonOf(random, depth - 1)]));
}

const json = (random: Random): string => JSON.stringify(jsonOf(random, 3));
const jsonCells: FuzzedType['cells'] = {
  empty: each('{}', '[]', '""', '[[]]'), zero: each('0', '-0', '0.0', '0e5'), negative: each('-1', '-1.10', '-1e10'),
  max: each('12345678901234567890123456789.0123456789', '1e300', '9007199254740993'), step: each('1.10', '1.1', '1e-300'),
  longest: (random, index) => `[${repeated(index % 25 === 0 ? 5000 : 50, () => json(random), ', ')}]`,
  special: (random) => JSON.stringify({ [specialText(random)]: [specialText(random), specialText(random)] }),
  blanks: each(' {"a" : 1}', '{"a":1}\n', '\t[ 1,2 ]', '{ "b":1, "a":2, "b":3 }'),
    words: each('null', 'true', 'false', '"null"', '"\\\\N"'), any: json,
};

const escaped = (value: string): string => value.replace(/[\p{Cc}\p{Cn}\p{Cs}\ufeff\ufffe\uffff]/gu, '.').replaceAll('&', '&amp;')
  .replaceAll('<', '&lt;').replaceAll('"', '&quot;');

const documents = [
  fuzzedType('uuid', { min: each(uuid({ unit: () => 0, bytes: (count) => new Uint8Array(count) })),
    max: each('ffffffff-ffff-ffff-ffff-ffffffffffff'), any: uuid }),
  fuzzedType('json', jsonCells, 'none'), fuzzedType('jsonb', jsonCells),
  fuzzedType('xml', {
    empty: each('', '<a/>', '<a></a>'),
      special: (random) => `<a b="${escaped(specialText(random))}">${escaped(specialText(random))}\t,;\r\n</a>`,
    blanks: each(' <a/> ', '<a> </a>', 'text only'), longest: (random) => `<a>${repeated(500, () => escaped(specialText(random)))}</a>`,
    words: each('<?xml version="1.0"?><a/>', '<?xml version="1.0" encoding="UTF-8"?><a>é</a>',
      '<?xml version="1.0" standalone="yes"?><a/>', '<![CDATA[<]]>',
      '<?xml version="1.0" encoding="ISO-8859-1"?><a/>'),
    any: (random) => `<a>${escaped(plainText(random))}</a>`,
  }, 'none'),
  fuzzedType('tsvector', {
    empty: each(''), special: (random) => `'${specialText(random).replaceAll('\\', '\\\\').replaceAll("'", "''")} ':1A,16383C 'it''s':3B`,
    max: each("'a':16383D"), any: (random) => repeated(3, () => `'${plainText(random)}':${1 + below(random, 99)}`, ' '),
  }),
  fuzzedType('tsquery',
    { empty: each(''), special: each("'a b' & !'it''s' <-> 'c\\\\d'", "'a':*AB | 'b'"), any: (random) => `'${plainText(random)}' & 'x'` }),
  fuzzedType('jsonpath', { any: each('$', '$."a"[*]?(@."b" == "c,\\"d")', 'strict $."x"') }, 'none'),
  fuzzedType('hstore', {
    empty: each(''), special: (random) => `${quotedPart(specialText(random))}=>${quotedPart(specialText(random))}, "n"=>NULL, "m"=>"NULL"`,
    any: (random) => `${quotedPart(plainText(random))}=>${quotedPart(plainText(random))}`,
  }),
  fuzzedType('"Odd ""Pair"', {
    empty: each('(,,)', '(,"",)'), max: each('(NaN,NULL,infinity)'),
    special: (random) => `(${below(random, 100)}.10,${quotedPart(specialText(random))},"0044-03-15 12:00:00+00 BC")`,
    blanks: each('(1," a ",)'), any: (random) => `(1,${quotedPart(plainText(random))},2024-01-01)`,
  }),
];

const byte = (random: Random): string => String(below(random, 256));
const ip4 = (random: Random): string => repeated(4, () => byte(random), '.');
const ip6 = (random: Random): string => repeated(8, () => below(random, 65_536).toString(16), ':');
const mac = (random: Random, bytes: number): string => hexOf(random.bytes(bytes)).replace(/(..)(?!$)/g, '$1:');
const bits = (random: Random, count: number): string => repeated(count, () => String(below(random, 2)));

const network = [
  fuzzedType('inet', {
    min: each('0.0.0.0', '::'), max: each('255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), zero: each('0.0.0.0/0', '::/0'),
    step: each('10.0.0.1/31', '::1/127'), longest: each('ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/127'),
    any: (random, index) => (index % 2 === 0 ? `${ip4(random)}/${below(random, 33)}` : `${ip6(random)}/${below(random, 129)}`),
  }),
  fuzzedType('cidr', { min: each('0.0.0.0/0', '::/0'), max: each('255.255.255.255/32'),
    any: (random, index) => (index % 2 === 0 ? ip4(random) : ip6(random)) }),
  fuzzedType('macaddr', { min: each('00:00:00:00:00:00'), max: each('ff:ff:ff:ff:ff:ff'), any: (random) => mac(random, 6) }),
  fuzzedType('macaddr8', { min: each('00:00:00:00:00:00:00:00'), max: each('ff:ff:ff:ff:ff:ff:ff:ff'), any: (random) => mac(random, 8) }),
  fuzzedType('bit(8)',
    { min: each('00000000'), max: each('11111111'), step: each('00000001', '10000000'), any: (random) => bits(random, 8) }),
  fuzzedType('bit varying',
    { empty: each(''), min: each('0'), max: each('1'), longest: (random) => bits(random, 5000),
    any: (random) => bits(random, below(random, 70)) }),
  fuzzedType('bit varying(12)',
    { empty: each(''), longest: (random) => bits(random, 12), any: (random) => bits(random, below(random, 13)) }),
  fuzzedType('pg_lsn',
    { min: each('0/0'), max: each('FFFFFFFF/FFFFFFFF'),
    any: (random) => `${below(random, 99).toString(16)}/${below(random, 2 ** 31).toString(16)}` }),
];

const point = (random: Random): string => `(${anyDouble(random)},${anyDouble(random)})`;
const near = (random: Random): string => `(${below(random, 1e6) / 7},${below(random, 1e6) / -7})`;
const points = (random: Random, count: number): string => repeated(count, () => near(random), ',');
const geometry = [
  fuzzedType('point', { zero: each('(0,0)', '(-0,0)'), max: each('(1.7976931348623157e308,5e-324)'),
    words: each('(Infinity,-Infinity)', '(NaN,0)'), any: point }, 'same'),
  fuzzedType('line', { any: (random) => `{${1 + below(random, 9)},${below(random, 99) / 7},-0.1}` }, 'none'),
  fuzzedType('lseg', { zero: each('[(0,0),(0,0)]'), any: (random) => `[${near(random)},${near(random)}]` }, 'none'),
  fuzzedType('box', { zero: each('(0,0),(0,0)'), any: (random) => `${near(random)},${near(random)}` }, 'same'),
  fuzzedType('path', { any: (random, index) => (index % 2 === 0 ? `[${points(random, 3)}]` : `(${points(random, 2)})`),
    longest: (random) => `[${points(random, 500)}]` }, 'none'),
  fuzzedType('polygon', { any: (random) => `(${points(random, 3)})`, longest: (random) => `(${points(random, 500)})` }, 'same'),
  fuzzedType('circle', { zero: each('<(0,0),0>'), any: (random) => `<${near(random)},${below(random, 1000) / 7}>` }, 'same'),
];

const partOrNull = (random: Random): string | null => (random.unit() < 0.2 ? null : pick(random, [specialText(random), 'NULL', '', ' ']));
const manyParts = (random: Random, count: number): (string | null)[] => Array.from({ length: count }, () => partOrNull(random));
const day = (random: Random): string => `20${10 + below(random, 80)}-0${1 + below(random, 9)}-1${below(random, 9)}`;

const collections = [
  fuzzedType('text[]', {
    empty: each('{}', '{""}', '{NULL}', '{"NULL"}'), special: (random) => arrayText(manyParts(random, 1 + below(random, 5))),
    longest: (random, index) => arrayText(manyParts(random, index % 25 === 0 ? 5000 : 100)), blanks: each('{" a ","b "}', '{"\t"}'),
    words: each('[0:1]={a,b}', '[-2:-1][5:5]={{a},{b}}', '{{a,b},{c,d}}', '{"{}","(,)"}'), any: (random) => arrayText([plainText(random)]),
  }),
  fuzzedType('integer[]',
    { empty: each('{}'), min: each('{-2147483648}'), max: each('{2147483647,NULL}'),
    any: each('{1,2,3}', '[2:3]={4,5}', '{{1,2},{3,4}}') }),
  fuzzedType('numeric(12,2)[]', { empty: each('{}'), any: (random) => `{${below(random, 1e6)}.10,NULL,-0.01}`, words: each('{NaN}') }),
  fuzzedType('bytea[]',
    { empty: each('{}'), special: each('{"\\\\x5c4e","\\\\x"}'), any: (random) => `{"\\\\x${hexOf(random.bytes(5))}"}` }),
  fuzzedType('timestamptz[]',
    { words: each('{infinity,"0044-03-15 12:00:00+00 BC",NULL}'), any: (random) => `{"${day(random)} 01:02:03.000001+05:30"}` }),
  fuzzedType('boolean[]', { empty: each('{}'), any: each('{t,f,NULL}', '{{t},{f}}') }),
  fuzzedType('money[]', { any: each('{1.50,-0.01}', '{NULL}') }),
  fuzzedType('"Odd ""Pair"[]', { any: (random) => `{${quotedPart(`(1,${quotedPart(specialText(random))},)`)},NULL}` }),
  fuzzedType(`${enumName}[]`, { any: (random) => arrayText([pick(random, enumLabels), null]) }),
  fuzzedType('int4range',
    { empty: each('empty'), min: each('[-2147483648,-2147483647)'), max: each('[2147483646,2147483647)', '(,)', '[5,)', '(,5]'),
    any: each('[1,9]', '(1,9)') }),
  fuzzedType('int8range',
    { empty: each('empty'), max: each('[9223372036854775806,9223372036854775807)'), any: (random) => `[${below(random, 99)},100)` }),
  fuzzedType('numrange',
    { empty: each('empty'), words: each('[1.10,NaN]', '(-Infinity,Infinity)'), any: (random) => `(${below(random, 99)}.10,100.100]` }),
  fuzzedType('daterange',
    { empty: each('empty'), max: each('[infinity,)', '["4714-11-24 BC",5874897-12-30)'), any: (random) => `[${day(random)},2099-01-01)` }),
  fuzzedType('tsrange', { empty: each('empty'), any: (random) => `["${day(random)} 00:00:00.000001",infinity)` }),
  fuzzedType('tstzrange', { any: (random) => `("${day(random)} 10:00:00+05:30",)` }),
  fuzzedType('int4multirange', { empty: each('{}', '{empty}'), any: (random) => `{[1,5),[${10 + below(random, 99)},)}` }),
  fuzzedType('tsmultirange', { empty: each('{}'), any: (random) => `{["${day(random)} 01:00","2099-01-01 00:00:00.5"]}` }),
];

export const shapeTypes: readonly FuzzedType[] = [...text, ...documents, ...network, ...geometry, ...collections];
