import { isDmgError, type Random, seededRandom } from '@dmg/base';
import type { DelimitedTextFormat } from '@dmg/model';
import { createHeaderReader, sumHashes } from '../index.ts';
import { corpusFileName as file, type TextCase } from './corpus.ts';
import { type NaiveFault, type NaiveResult, readByReference } from './naive-reader.ts';
import { defaults, type Outcome, transcode } from './naive-text.ts';

export interface TextFailure {
  readonly round: number;
  /** The smallest input found that still fails. */
  readonly found: TextCase;
  /** Sizes of the blocks it was pushed in. */
  readonly blocks: readonly number[];
  /** Size of the chunks it was read in; 0: in one. */
  readonly chunkBytes: number;
  readonly reason: string;
}

export interface FuzzResult {
  readonly rounds: number;
  /** How often each outcome came up: `rows`, or the code of a fault. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly failures: readonly TextFailure[];
}

export interface FuzzOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly corpus: readonly TextCase[];
  /** Ends before its rounds are over when it returns true. */
  readonly isEnough?: () => boolean;
  readonly onRound?: (round: number) => void;
  readonly failuresMax?: number;
  /** What is compared with the reference; another one shows that differences are found. */
  readonly product?: Product;
}

export type Product = typeof transcode;

/** Of a larger file only the beginning is mutated. */
const inputBytesMax = 600;
/** What the product writes; every text and every null can be written in them. */
const sinks: readonly DelimitedTextFormat[] = [
  { ...defaults, escapeChar: '"', nullValue: '\\N' },
  { ...defaults, columnDelimiter: '||', rowDelimiter: '<>', nullValue: 'NULL' },
  { ...defaults, columnDelimiter: ';', rowDelimiter: '\n', escapeChar: '"', quoteAllText: true },
];
const sourceFormats: readonly DelimitedTextFormat[] = [
  defaults,
  { ...defaults, escapeChar: '"', firstRowAsHeader: true },
  { ...defaults, quoteChar: '', escapeChar: '\\', nullValue: '\\N' },
  { ...defaults, quoteChar: '', escapeChar: '', columnDelimiter: '\t', rowDelimiter: '\n' },
  { ...defaults, columnDelimiter: '||', rowDelimiter: '<>', nullValue: 'NULL' },
  { ...defaults, columnDelimiter: '☃', rowDelimiter: '\r\n', escapeChar: '"' },
  { ...defaults, skipLineCount: 2, firstRowAsHeader: true },
];
const encodings = ['UTF-8', 'UTF-16', 'UTF-16BE', 'WINDOWS-1252', 'US-ASCII', 'ISO-8859-1'];
const tokens = [
  ',', ';', '\t', '|', '||', '☃', '"', '""', '\\', '\\"', '",', ',"', '\r', '\n', '\r\n', '<', '<>', '\n\n', 'NULL', '\\N', 'a', '',
  'é', '😀', '\u0000', '\uFEFF', '\uFFFE', '"\n', '\n"',
];
const oddBytes = [0x00, 0x0a, 0x0d, 0x22, 0x2c, 0x5c, 0x80, 0x81, 0xbf, 0xc0, 0xd8, 0xdc, 0xe2, 0xef, 0xf0, 0xfe, 0xff];

/** Chooses from a seed's random numbers. */
class Dice {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.#random.unit() * count);
  }

  chance(probability: number): boolean {
    return this.#random.unit() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}

/**
 * Mutates the corpus and compares what the product makes of it with the reference: rows and cells, or the exact fault, for several
 * cuttings into blocks and into chunks. The same seed and corpus give the same rounds.
 */
export function fuzzText(options: FuzzOptions): FuzzResult {
  const { seed, rounds, corpus, isEnough = () => false, failuresMax = 5, product = transcode, onRound } = options;
  const dice = new Dice(seededRandom(seed));
  const outcomes: Record<string, number> = {};
  const failures: TextFailure[] = [];
  let round = 0;
  while (round < rounds && failures.length < failuresMax && !isEnough()) {
    round++;
    const made = mutate(dice, corpus);
    const kind = referenceOf(made).fault?.code ?? 'rows';
    outcomes[kind] = (outcomes[kind] ?? 0) + 1;
    const failure = tryCuttings(dice, made, product);
    if (failure !== undefined) failures.push({ round, ...shrink(made, failure, product) });
    onRound?.(round);
  }
  return { rounds: round, outcomes, failures };
}

/** How an input is handed to the product. */
export interface Cutting {
  readonly blocks: readonly number[];
  readonly chunkBytes: number;
}

function tryCuttings(dice: Dice, made: TextCase, product: Product): Cutting | undefined {
  const cuttings: Cutting[] = [
    { blocks: [made.input.length + 1], chunkBytes: 0 },
    { blocks: [1], chunkBytes: 0 },
    { blocks: Array.from({ length: 1 + dice.below(4) }, () => 1 + dice.below(30)), chunkBytes: 0 },
    { blocks: [1 + dice.below(40)], chunkBytes: 1 + dice.below(60) },
  ];
  return cuttings.find((cutting) => compareWithReference(made, cutting, product) !== undefined);
}

/** Undefined when product and reference agree; else what the difference is. */
export function compareWithReference(made: TextCase, cutting: Cutting, product: Product = transcode): string | undefined {
  const { input, format, recordBytesMax, validText = false } = made;
  const expected = referenceOf(made);
  const sink = sinks[input.length % sinks.length] ?? defaults;
  let outcome: Outcome;
  try {
    outcome = cutting.chunkBytes > 0
      ? transcodeInChunks(made, sink, cutting, product)
      : product(input, { source: format, sink, fileName: file, recordBytesMax, validText }, cutting.blocks);
  } catch (error) {
    return compareFaults(expected.fault, error);
  }
  return compareRows(expected, outcome, { ...made, sink });
}

function referenceOf({ input, format, recordBytesMax, validText = false }: TextCase): NaiveResult {
  return readByReference(input, format, { file, recordBytesMax, validText });
}

function compareFaults(expected: NaiveFault | undefined, error: unknown): string | undefined {
  if (!isDmgError(error)) return `the product threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  if (expected === undefined) return `the product says ${error.code} (${JSON.stringify(error.params)}), the reference reads it`;
  const told = JSON.stringify({ code: error.code, ...sorted(error.params) });
  const wanted = JSON.stringify({ code: `DMG_FORMATS_${expected.code}`, ...sorted(expected.params) });
  if (told !== wanted) return `the product says ${told}, the reference ${wanted}`;
  return /\{\w+\}/.test(error.message + error.fix) ? `a place in the message was not filled: ${error.message}` : undefined;
}

function sorted(params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(params).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function compareRows(expected: NaiveResult, outcome: Outcome, made: TextCase & { sink: DelimitedTextFormat }): string | undefined {
  if (expected.fault !== undefined) return `the reference says ${JSON.stringify(expected.fault)}, the product reads it`;
  const written = readByReference(outcome.bytes, made.sink, { file, recordBytesMax: Infinity, validText: false });
  const [told, wanted] = [JSON.stringify(written.rows), JSON.stringify(expected.rows)];
  if (told !== wanted) return `the product has ${told}, the reference ${wanted}`;
  const { rows, sourcePosition, hash } = outcome.boundary;
  if (rows !== expected.rows.length) return `the product counts ${rows} rows of ${expected.rows.length}`;
  if (sourcePosition !== made.input.length) return `the product ends at ${sourcePosition} of ${made.input.length}`;
  // What was written, read again, has the same hash.
  const again = transcode(outcome.bytes, { source: made.sink, sink: made.sink }).boundary.hash;
  return again === hash ? undefined : `the hash is ${hash}, that of what was written is ${again}`;
}

/** One transcoder after the other, each from where the one before ended. */
function transcodeInChunks(made: TextCase, sink: DelimitedTextFormat, cutting: Cutting, product: Product): Outcome {
  const { input, format, recordBytesMax, validText = false } = made;
  const common = { source: format, sink, fileName: file, recordBytesMax, validText };
  const parts: Outcome[] = [];
  let position = 0;
  let rows = 0;
  let later: { header?: readonly string[]; columnCount?: number } = {};
  do {
    const limitPosition = position + cutting.chunkBytes;
    const rest = input.subarray(position);
    const part = product(rest, { ...common, ...later, startPosition: position, startRow: rows, limitPosition }, cutting.blocks);
    const next = part.boundary.sourcePosition;
    if (next <= position && input.length > 0) throw new Error(`a chunk from ${position} made no progress`);
    if (position === 0) {
      const reader = createHeaderReader(format, file);
      reader.push(input, true);
      later = { ...(reader.header === undefined ? {} : { header: reader.header }), columnCount: reader.columnCount };
    }
    position = next;
    rows += part.boundary.rows;
    parts.push(part);
  } while (position < input.length);
  const bytes = Buffer.concat(parts.map((part) => part.bytes));
  const hash = sumHashes(parts.map((part) => part.boundary.hash));
  return { bytes, text: bytes.toString(), boundary: { sourcePosition: position, rows, hash } };
}

function mutate(dice: Dice, corpus: readonly TextCase[]): TextCase {
  const origin = dice.pick(corpus);
  let format = dice.chance(0.3) ? dice.pick(sourceFormats) : origin.format;
  if (dice.chance(0.15)) format = { ...format, encodingName: dice.pick(encodings) };
  if (dice.chance(0.1)) format = { ...format, firstRowAsHeader: !format.firstRowAsHeader };
  let bytes = Buffer.from(origin.input.subarray(0, inputBytesMax));
  for (let times = dice.below(6); times > 0; times--) {
    bytes = Buffer.from(mutateOnce(dice, bytes, format, corpus).subarray(0, inputBytesMax));
  }
  const recordBytesMax = dice.chance(0.25) ? 8 + dice.below(120) : origin.recordBytesMax;
  return { input: bytes, format, recordBytesMax, validText: dice.chance(0.3) };
}

function mutateOnce(dice: Dice, bytes: Buffer, format: DelimitedTextFormat, corpus: readonly TextCase[]): Buffer {
  const at = dice.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + 1 + dice.below(12));
  const [before, taken, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
  switch (dice.below(8)) {
    case 0: return Buffer.concat([before, after]);
    case 1: return Buffer.concat([before, taken, taken, after]);
    case 2: return Buffer.concat([before, encode(dice.pick([...tokens, format.columnDelimiter]), format), taken, after]);
    case 3: return Buffer.concat([before, encode(dice.pick(tokens), format), after]);
    case 4: return Buffer.concat([before, Uint8Array.of(dice.pick(oddBytes)), taken, after]);
    case 5: {
      const other = Buffer.from(dice.pick(corpus).input);
      const from = dice.below(other.length + 1);
      return Buffer.concat([before, other.subarray(from, from + dice.below(40)), taken, after]);
    }
    case 6: return Buffer.concat([before, ...Array.from({ length: 1 + dice.below(6) }, () => encode(dice.pick(tokens), format)), after]);
    default: return Buffer.from(bytes.subarray(0, at));
  }
}

function encode(text: string, format: DelimitedTextFormat): Buffer {
  const name = format.encodingName.toUpperCase();
  if (!name.startsWith('UTF-16')) return Buffer.from(text, name === 'UTF-8' ? 'utf8' : 'latin1');
  const bytes = Buffer.from(text, 'utf16le');
  return name === 'UTF-16BE' ? bytes.swap16() : bytes;
}

/** Takes pieces out of the input as long as it still fails. */
function shrink(made: TextCase, cutting: Cutting, product: Product): Omit<TextFailure, 'round'> {
  let found = made;
  for (let size = Math.ceil(made.input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < found.input.length;) {
      const input = Buffer.concat([found.input.subarray(0, at), found.input.subarray(at + size)]);
      const smaller = { ...found, input };
      if (compareWithReference(smaller, cutting, product) === undefined) at += size;
      else found = smaller;
    }
  }
  return { found, ...cutting, reason: compareWithReference(found, cutting, product) ?? '' };
}

/** A failure in words, with all that is needed to see it again. */
export function describeFailure(failure: TextFailure): string {
  const { found, blocks, chunkBytes, round } = failure;
  const differing = Object.entries(found.format).filter(([key, value]) => Reflect.get(defaults, key) !== value);
  return [
    `round ${round}: ${failure.reason.slice(0, 2000)}`,
    `  input ${JSON.stringify(Buffer.from(found.input).toString('latin1'))} (base64 ${Buffer.from(found.input).toString('base64')})`,
    `  format ${JSON.stringify(Object.fromEntries(differing))}`,
    `  recordBytesMax ${found.recordBytesMax}, validText ${found.validText ?? false}`,
    `  blocks of ${blocks.join()} bytes${chunkBytes > 0 ? `, chunks of ${chunkBytes}` : ''}`,
  ].join('\n');
}
