import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isDmgError } from '@dmg/base';
import type { JsonFormat, RowFormat, Translator } from '@dmg/model';
import { createHeaderReader, createTranscoder, sumHashes, type TranscoderOptions } from '../index.ts';
import { bytesOf, defaults, readNaively } from '../testing/naive-text.ts';

const json: JsonFormat = { type: 'Json', encodingName: 'UTF-8' };
const lines: JsonFormat = { ...json, filePattern: 'setOfObjects' };
const array: JsonFormat = { ...json, filePattern: 'arrayOfObjects' };
/** Any text and null can be written in it and read back. */
const csv: RowFormat = { ...defaults, escapeChar: '"', nullValue: '\\N', rowDelimiter: '\n', quoteAllText: true };

type Row = Readonly<Record<string, unknown>>;

function run(input: Uint8Array, options: Partial<TranscoderOptions>, sizes: readonly number[]) {
  const transcoder = createTranscoder({ source: json, sink: csv, fileName: 'f.json', ...options });
  const from = options.startPosition ?? 0;
  const out: Uint8Array[] = [];
  const into = new Uint8Array(777);
  for (let at = from, turn = 0; !transcoder.finished; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    transcoder.push(input.slice(at, at + size), at + size >= input.length);
    at += size;
    while (transcoder.pendingBytes > 0) out.push(into.slice(0, transcoder.drainInto(into, 0)));
  }
  while (transcoder.pendingBytes > 0) out.push(into.slice(0, transcoder.drainInto(into, 0)));
  return { text: Buffer.concat(out).toString(), boundary: transcoder.boundary };
}

const mapping = (...paths: string[]): Translator => ({
  mappings: paths.map((name, index) => ({ source: { name }, sink: { name: `c${index}` } })),
  typeConversion: false, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false },
});

// No backslash: once the reference has met the key \ it takes the escape of another key for it (V8 of Node 24.21).
const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'a.b', '', 'é', '"', "'", '$.a', '😀', '__proto__') },
  fc.string({ unit: 'grapheme', maxLength: 3 }).filter((text) => !text.includes('\\')),
);
const leaf = fc.oneof(
  fc.constantFrom('', 'x', '\u0000\n\t"\\', 'é☃😀', '\uFEFF', '\\N', null, true, false, 0, -1.5e-7, 1e300, '9007199254740993'),
  fc.string({ unit: 'grapheme', maxLength: 6 }), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { weight: 5, arbitrary: leaf }, fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(key, tie('value'), { maxKeys: 3 }),
  ),
}));
const row = fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true }) as fc.Arbitrary<Row>;
const blocks = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 });
/** How a file may be written: the shape, white space, escapes. */
const style = fc.record({
  shape: fc.constantFrom('lines', 'crlf', 'concatenated', 'array', 'pretty'), escaped: fc.boolean(), mark: fc.boolean(),
});

function written(rows: readonly Row[], { shape, escaped, mark }: { shape: string; escaped: boolean; mark: boolean }): Uint8Array {
  const texts = rows.map((found) => JSON.stringify(found, undefined, shape === 'pretty' ? 2 : undefined));
  let text = shape === 'array' ? `[${texts.join(',')}]` : shape === 'pretty' ? ` [\n${texts.join(' ,\n')}\r\n] \n`
    : texts.join(shape === 'lines' ? '\n' : shape === 'crlf' ? '\r\n' : '');
  if (escaped) text = text.replaceAll(/[^\u0000-\u007f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return bytesOf((mark ? '\uFEFF' : '') + text);
}

/** What a column shows of a value: text of strings, null, and JSON of all else, white space aside. */
function shown(found: unknown): string | null {
  return found === undefined || found === null ? null : typeof found === 'string' ? found : JSON.stringify(found);
}

/** Numbers and nested values as JavaScript would write them, since the copy keeps how they were written. */
function normalized(cell: string | null, expected: unknown): string | null {
  return cell === null || typeof expected === 'string' ? cell : JSON.stringify(JSON.parse(cell));
}

function objectsIn(text: string, sink: JsonFormat): unknown {
  if (sink === array) return JSON.parse(text);
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
}

const property = (name: string): string => `$['${name.replaceAll(/[\\']/g, '\\$&')}']`;

test('properties by path come out as JSON.parse reads them, in any shape, escapes and blocks, and from every boundary on', () => {
  const keysWanted = fc.uniqueArray(key, { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(fc.array(row, { maxLength: 8 }), keysWanted, style, blocks, (rows, keys, how, sizes) => {
    const input = written(rows, how);
    const options = { translator: mapping(...keys.map(property)) };
    const whole = run(input, options, sizes);
    const cells = readNaively(whole.text, csv as typeof defaults);
    const parsed = rows.map((found) => JSON.parse(JSON.stringify(found)) as Row);
    const at = (found: Row, name: string): unknown => (Object.hasOwn(found, name) ? found[name] : undefined);
    assert.deepEqual(
      cells.map((line, index) => line.map((cell, column) => normalized(cell, at(parsed[index] ?? {}, keys[column] ?? '')))),
      parsed.map((found) => keys.map((name) => shown(at(found, name)))),
    );
    assert.deepEqual([whole.boundary.rows, whole.boundary.sourcePosition], [rows.length, input.length]);
    // In chunks of any size, each from where the one before it ended.
    const header = createHeaderReader(json, 'f', options);
    header.push(input, true);
    const parts: string[] = [];
    const hashes: string[] = [];
    for (let position = 0, turn = 0; position < input.length; turn++) {
      const chunk = run(input, {
        ...options, startPosition: position, limitPosition: position + (sizes[turn % sizes.length] ?? 1),
        ...(position === 0 || header.inArray === undefined ? {} : { inArray: header.inArray }),
      }, sizes.toReversed());
      assert.ok(chunk.boundary.sourcePosition > position);
      position = chunk.boundary.sourcePosition;
      parts.push(chunk.text);
      hashes.push(chunk.boundary.hash);
    }
    assert.equal(parts.join(''), whole.text);
    if (hashes.length > 0) assert.equal(sumHashes(hashes), whole.boundary.hash);
  }), { numRuns: 150 });
});

test('objects become objects again, whole, in lines or an array, cut into chunks anywhere', () => {
  const [rowsGiven, sinks, steps] = [fc.array(row, { maxLength: 8 }), fc.constantFrom(lines, array), fc.integer({ min: 1, max: 80 })];
  fc.assert(fc.property(rowsGiven, style, blocks, sinks, steps, (rows, how, sizes, sink, step) => {
    const input = written(rows, how);
    const header = createHeaderReader(json, 'f', { sink });
    header.push(input, true);
    let text = '';
    for (let position = 0, before = 0; position < input.length || position === 0;) {
      const chunk = run(input, {
        sink, startPosition: position, limitPosition: position + step, writeHeader: position === 0, rowsBefore: before,
        endsAt: input.length,
        ...(position === 0 || header.inArray === undefined ? {} : { inArray: header.inArray }),
      }, sizes);
      text += chunk.text;
      before += chunk.boundary.rows;
      position = chunk.boundary.sourcePosition;
      if (input.length === 0) break;
    }
    assert.deepEqual(objectsIn(text, sink), rows.map((each) => JSON.parse(JSON.stringify(each)) as unknown));
  }), { numRuns: 150 });
});

test('rows of text become objects that JSON.parse reads', () => {
  const special = fc.constantFrom('1', '-0.5e3', '007', 'NaN', 'true', '');
  const cell = fc.option(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 6 }), special), { nil: null, freq: 5 });
  const table = fc.array(fc.tuple(cell, cell, cell), { maxLength: 6 });
  fc.assert(fc.property(table, blocks, fc.constantFrom(lines, array), (rows, sizes, sink) => {
    const names = ['text', 'number', 'truth'];
    const quoted = (text: string | null): string => (text === null ? '\\N' : `"${text.replaceAll('"', '""')}"`);
    const input = bytesOf(rows.map((cells) => `${cells.map(quoted).join(',')}\n`).join(''));
    const { text } = run(input, {
      source: csv, sink, bareColumns: names, bareTypes: ['String', 'Decimal', 'Boolean'], writeHeader: true, endsAt: Infinity,
    }, sizes);
    const numeric = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
    const number = (found: string | null): unknown => (found !== null && numeric.test(found) ? Number(found) : found);
    const truth = (found: string | null): unknown =>
      found !== null && /^(true|t|1)$/i.test(found) ? true : found !== null && /^(false|f|0)$/i.test(found) ? false : found;
    assert.deepEqual(objectsIn(text, sink), rows.map(([a, b, c]) => ({ text: a, number: number(b), truth: truth(c) })));
  }), { numRuns: 150 });
});

test('what JSON.parse refuses is refused, and nothing else', () => {
  const piece = fc.constantFrom(
    '{', '}', '[', ']', ',', ':', '"a"', '"b', '\\u00e9', '\\ud800', '\\udc00', '\\x', '1', '-', '01', '.5', 'e3', 'true', 'nul', ' ', '\n',
    '\u0001', '{"a":1}',
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 8 }), blocks, (parts, sizes) => {
    const text = `{"a":${parts.join('')}}`;
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    const halves = /\\ud800(?!\\udc00)|(?<!\\ud800)\\udc00/.test(text);
    let refused = false;
    try {
      run(bytesOf(text), { translator: mapping('a') }, sizes);
    } catch (error) {
      assert.ok(isDmgError(error), String(error));
      assert.equal(error.code, 'DMG_FORMATS_JSON_SYNTAX');
      refused = true;
    }
    // One object after the other is a file, too, though no JSON text.
    if (/\}\s*\{/.test(text)) return;
    assert.equal(refused, !isJson || halves, text);
  }), { numRuns: 500 });
});
