import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isDmgError } from '@dmg/base';
import type { DelimitedTextFormat, Translator } from '@dmg/model';
import { copiesBytes, createHeaderReader, createTranscoder, sumHashes } from './index.ts';
import { bytesOf, defaults, transcode } from './testing/naive-text.ts';

const comma = { ...defaults, escapeChar: '"' };
const semicolon: DelimitedTextFormat = { ...comma, columnDelimiter: ';', rowDelimiter: '\n' };

function mapping(...pairs: Translator['mappings']): Translator {
  return { mappings: pairs, typeConversion: false, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false } };
}

function fails(run: () => unknown, code: string, params: Record<string, unknown> = {}): void {
  assert.throws(run, (error) => {
    assert.ok(isDmgError(error), String(error));
    assert.equal(error.code, `DMG_FORMATS_${code}`, error.message);
    for (const [key, value] of Object.entries(params)) assert.equal(error.params[key], value, `${key}: ${error.message}`);
    assert.doesNotMatch(error.message + error.fix, /\{\w+\}/);
    return true;
  });
}

describe('reading and writing', () => {
  const cases: readonly [
    name: string, input: string, output: string, source?: Partial<DelimitedTextFormat>, sink?: Partial<DelimitedTextFormat>,
  ][] = [
    ['plain', 'a,b\nc,d\n', 'a;b\nc;d\n'],
    ['no newline at the end', 'a,b\nc,d', 'a;b\nc;d\n'],
    ['every line break', 'a,b\r\nc,d\re,f\ng,h', 'a;b\nc;d\ne;f\ng;h\n'],
    ['empty file', '', ''],
    ['one empty field', '\n', '\n'],
    ['trailing delimiter', 'a,\n,b\n,', 'a;\n;b\n;\n'],
    ['empty lines hold no row of two columns', 'a,b\n\n\r\nc,d\n\n', 'a;b\nc;d\n'],
    ['empty lines are rows of one column', 'a\n\nb\n\n', 'a\n\nb\n\n'],
    ['quoted delimiter and line break', '"a,b","c\r\nd"\n', 'a,b;"c\r\nd"\n'],
    ['doubled quotes', '"say ""hi""",x\n', '"say ""hi""";x\n'],
    ['quote within an unquoted field', 'a"b,c\n', '"a""b";c\n'],
    ['the new delimiter is quoted', 'a;b,c\n', '"a;b";c\n'],
    ['null and empty text stay different', ',""\n', ';""\n'],
    ['backslash escapes a quote', '"a\\"b","c\\\\d","e\\f"\n', '"a""b";c\\d;e\\f\n', { escapeChar: '\\' }],
    ['a backslash outside quotes is a character', 'a\\,b\n', 'a\\;b\n', { escapeChar: '\\' }],
    ['doubled quotes work besides an escape character', '"a""b",c\n', '"a""b";c\n', { escapeChar: '\\' }],
    ['written with another escape character', '"a""b\\c",d\n', '"a\\"b\\\\c";d\n', {}, { escapeChar: '\\' }],
    ['null value', 'NULL,"NULL",x\n', '\\N;NULL;x\n', { nullValue: 'NULL' }, { nullValue: '\\N' }],
    ['a value like the null value is quoted', 'NA,b\n', '"NA";b\n', {}, { nullValue: 'NA' }],
    ['delimiters of several characters', 'a||b|c||d<>e||f||g<>', 'a;b|c;d\ne;f;g\n', { columnDelimiter: '||', rowDelimiter: '<>' }],
    ['written with several characters', 'a|,b\n', '"a|"||b<>', {}, { columnDelimiter: '||', rowDelimiter: '<>' }],
    ['non-ASCII delimiter', 'é§☃\n', 'é;☃\n', { columnDelimiter: '§' }],
    ['no quoting at all', '"a",b\n', '"a";b\n', { quoteChar: '', escapeChar: '' }, { quoteChar: '', escapeChar: '' }],
    ['escape without quotes', 'a\\,b,c\\\\d\n', 'a,b;c\\\\d\n', { quoteChar: '', escapeChar: '\\' }, { quoteChar: '', escapeChar: '\\' }],
    ['escape before a line break', 'a\\\nb,c\n', '"a\nb";c\n', { quoteChar: '', escapeChar: '\\' }],
    ['\\N as null without quotes', '\\N,N\n', ';N\n', { quoteChar: '', escapeChar: '\\', nullValue: '\\N' }],
    ['all text quoted, nulls not', 'a,,"b""c"\n', '"a";;"b""c"\n', {}, { quoteAllText: true }],
    ['default row end is CR LF', 'a\nb\n', 'a\r\nb\r\n', {}, { rowDelimiter: '' }],
    ['byte order mark', '\uFEFFa,b\n', 'a;b\n'],
    ['byte order mark alone', '\uFEFF', ''],
    ['skipped lines, then nothing', 'x\ny', '', { skipLineCount: 5 }],
    ['skipped lines have no quotes', '# "open\n\na,b\n', 'a;b\n', { skipLineCount: 2 }],
  ];
  for (const [name, input, output, source, sink] of cases) {
    test(name, () => {
      const options = { source: { ...comma, ...source }, sink: { ...semicolon, ...sink } };
      for (const sizes of [[1], [2, 3], [1000]]) {
        assert.equal(transcode(bytesOf(input), options, sizes).text, output, `blocks of ${sizes.join()}`);
      }
    });
  }

  test('a record of several MiB in small blocks, within its limit and beyond', () => {
    const large = `"${'x,\n'.repeat(1_000_000)}",b\n1,2\n`;
    const outcome = transcode(bytesOf(large), { source: comma, sink: semicolon }, [64 * 1024]);
    assert.equal(outcome.text, large.replace('",b', '";b').replace('1,2', '1;2'));
    fails(
      () => transcode(bytesOf(large), { source: comma, recordBytesMax: 2_000_000 }, [64 * 1024]), 'RECORD_TOO_LARGE',
      { row: 1, position: 0 },
    );
  });

  test('a large record is written once its end is known, not only at the end of the file', () => {
    const transcoder = createTranscoder({ source: comma, sink: semicolon, fileName: 'a' });
    transcoder.push(bytesOf(`"${'x'.repeat(1_500_000)}`), false);
    transcoder.push(bytesOf('",b\n'), false);
    for (let pushed = 0; transcoder.pendingBytes === 0; pushed++) {
      assert.ok(pushed < 400, 'looked at again at the latest when twice as many bytes are there');
      transcoder.push(bytesOf('1,2\n'.repeat(1000)), false);
    }
    assert.ok(transcoder.boundary.rows > 1);
  });

  test('rows, position and hash describe what was written', () => {
    const input = bytesOf('h1,h2\n1,"2"\n3,4\n\n');
    const { boundary } = transcode(input, { source: { ...comma, firstRowAsHeader: true }, sink: semicolon });
    assert.equal(boundary.rows, 2);
    assert.equal(boundary.sourcePosition, input.length);
    assert.match(boundary.hash, /^[0-9a-f]{16}$/);
  });

  test('the hash sees values, nulls and columns, but neither quotes nor the order of rows', () => {
    const hashOf = (text: string): string => transcode(bytesOf(text), { source: comma, sink: semicolon }).boundary.hash;
    assert.equal(hashOf('a,b\nc,d\n'), hashOf('"c","d"\n"a",b\n'));
    const different = ['a,b\n', 'b,a\n', 'ab,\n', 'a,\n', 'a,""\n', ',a\n', 'a,b\na,b\n', 'a\n', 'a\u0000,b\n'].map(hashOf);
    assert.equal(new Set(different).size, different.length);
    assert.equal(hashOf(''), '0000000000000000');
  });

  test('hashes add up modulo 2^64', () => {
    assert.equal(sumHashes(['ffffffffffffffff', '0000000000000002']), '0000000000000001');
    assert.equal(sumHashes(['00000000ffffffff', '0000000000000001']), '0000000100000000');
    assert.equal(sumHashes([]), '0000000000000000');
    assert.throws(() => sumHashes(['12']), TypeError);
  });
});

describe('header and mapping', () => {
  const source = { ...comma, firstRowAsHeader: true };
  const sink = { ...semicolon, firstRowAsHeader: true };
  const input = bytesOf('# export\nid,"full name",x\n1,Ann,9\n2,Bo,8\n');
  const skipping = { ...source, skipLineCount: 1 };

  test('header is written only when told', () => {
    assert.equal(transcode(input, { source: skipping, sink, writeHeader: true }).text, 'id;full name;x\n1;Ann;9\n2;Bo;8\n');
    assert.equal(transcode(input, { source: skipping, sink }).text, '1;Ann;9\n2;Bo;8\n');
    assert.equal(transcode(input, { source: skipping, sink: semicolon, writeHeader: true }).text, '1;Ann;9\n2;Bo;8\n');
  });

  test('columns are named, moved and dropped', () => {
    const translator = mapping(
      { source: { name: 'full name' }, sink: { name: 'Na;me' } }, { source: { ordinal: 1 }, sink: { name: 'Key' } },
    );
    assert.equal(transcode(input, { source: skipping, sink, translator, writeHeader: true }).text, '"Na;me";Key\nAnn;1\nBo;2\n');
  });

  test('sink ordinals decide the order', () => {
    const translator = mapping({ source: { name: 'id' }, sink: { ordinal: 2 } }, { source: { name: 'x' }, sink: { ordinal: 1 } });
    assert.equal(transcode(input, { source: skipping, sink, translator, writeHeader: true }).text, 'x;id\n9;1\n8;2\n');
    const gap = mapping({ source: { name: 'id' }, sink: { ordinal: 3 } }, { source: { name: 'x' }, sink: { ordinal: 1 } });
    fails(() => transcode(input, { source: skipping, sink, translator: gap }), 'BAD_MAPPING');
  });

  test('without a header: ordinals, or the names Prop_0 and on', () => {
    const rows = bytesOf('1,Ann\n');
    const translator = mapping({ source: { ordinal: 2 }, sink: { name: 'n' } }, { source: { name: 'Prop_0' }, sink: { name: 'k' } });
    assert.equal(transcode(rows, { source: comma, sink, translator, writeHeader: true }).text, 'n;k\nAnn;1\n');
    assert.equal(transcode(rows, { source: comma, sink, writeHeader: true }).text, 'Prop_0;Prop_1\n1;Ann\n');
  });

  test('a header alone gives a header', () => {
    assert.equal(transcode(bytesOf('a,b'), { source, sink, writeHeader: true }).text, 'a;b\n');
    assert.equal(transcode(new Uint8Array(0), { source, sink, writeHeader: true }).text, '');
  });

  test('columns that are not there are refused with the near one', () => {
    const missing = (ref: { name?: string; ordinal?: number }): (() => unknown) => () =>
      transcode(input, { source: skipping, sink, translator: mapping({ source: ref, sink: { name: 'a' } }) });
    fails(missing({ name: 'ID' }), 'COLUMN_NOT_FOUND', { hint: 'Did you mean "id"? Names are compared with case and spaces.' });
    fails(missing({ name: 'city' }), 'COLUMN_NOT_FOUND', { hint: 'The columns are "id", "full name", "x".' });
    fails(missing({ ordinal: 4 }), 'COLUMN_NOT_FOUND', { reason: 'the file has 3 columns' });
    fails(
      () => transcode(bytesOf('a,a\n1,2\n'), { source, sink, translator: mapping({ source: { name: 'a' }, sink: { name: 'b' } }) }),
      'COLUMN_NOT_FOUND',
    );
    const twice = mapping({ source: { name: 'id' }, sink: { name: 'a' } }, { source: { name: 'x' }, sink: { name: 'a' } });
    fails(() => transcode(input, { source: skipping, sink, translator: twice }), 'BAD_MAPPING');
  });

  test('a mapping that cannot work is refused before any byte', () => {
    const translator = mapping({ source: { name: 'id', type: 'Guid' }, sink: { name: 'a', type: 'Int32' } });
    fails(() => createTranscoder({ source, sink, fileName: '', translator }), 'BAD_MAPPING');
  });
});

describe('chunks', () => {
  const source = { ...comma, firstRowAsHeader: true };
  const sink = { ...semicolon, firstRowAsHeader: true };

  test('a chunk ends at the first row boundary at or after its limit', () => {
    const input = bytesOf('a,b\n1,2\n3,4\n5,6\n');
    const ends = Array.from(
      { length: 18 }, (_, limitPosition) => transcode(input, { source, sink, limitPosition }, [5]).boundary.sourcePosition,
    );
    assert.deepEqual(ends, [4, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 16]);
  });

  test('the boundary lies where the chunk ends, in the last block or before it', () => {
    const transcoder = createTranscoder({ source, sink, fileName: 'a', limitPosition: 5 });
    transcoder.push(bytesOf('a,b\n1'), false);
    assert.equal(transcoder.finished, false);
    transcoder.push(bytesOf(',2\n3,4\n'), false);
    assert.equal(transcoder.finished, true);
    transcoder.push(bytesOf('x'), false);
    assert.equal(transcoder.boundary.sourcePosition, 8);
    const early = createTranscoder({ source: { ...source, firstRowAsHeader: false }, sink, fileName: 'a', limitPosition: 1 });
    // Four bytes are waited for, as they may be a byte order mark.
    for (const byte of ['1', '\n', '2', '\n']) early.push(bytesOf(byte), false);
    assert.equal(early.finished, true);
    assert.equal(early.boundary.sourcePosition, 2);
  });

  test('a later chunk needs the header, which a header reader gives', () => {
    const input = bytesOf('\uFEFF# c\n"na\nme",b\n1,2\n');
    const skipping = { ...source, skipLineCount: 1 };
    const reader = createHeaderReader(skipping, 'a.csv');
    let known = false;
    for (let at = 0; !known; at++) known = reader.push(input.subarray(at, at + 1), at + 1 >= input.length);
    assert.deepEqual(reader.header, ['na\nme', 'b']);
    assert.equal(reader.columnCount, 2);
    fails(() => transcode(bytesOf('1,2\n'), { source: skipping, sink, startPosition: 19 }), 'HEADER_NEEDED');
    const translator = mapping({ source: { name: 'b' }, sink: { name: 'x' } });
    const outcome = transcode(bytesOf('1,2\n'), { source: skipping, sink, translator, startPosition: 19, header: ['na\nme', 'b'] });
    assert.equal(outcome.text, '2\n');
    assert.equal(outcome.boundary.sourcePosition, 23);
  });

  test('a header reader of a file without header counts columns; of an empty file nothing', () => {
    const reader = createHeaderReader(comma, 'a.csv');
    assert.equal(reader.push(bytesOf('1,2,3\n4,5,6\n'), false), true);
    assert.deepEqual([reader.header, reader.columnCount], [undefined, 3]);
    const empty = createHeaderReader(source, 'a.csv');
    assert.equal(empty.push(new Uint8Array(0), true), true);
    assert.deepEqual([empty.header, empty.columnCount], [undefined, 0]);
    fails(() => transcode(bytesOf('4,5\n'), { source: comma, sink: semicolon, startPosition: 6, columnCount: 3 }), 'COLUMN_COUNT');
  });
});

describe('errors say where', () => {
  const source = { ...comma, firstRowAsHeader: true };
  const run = (text: string, more: object = {}) => (): unknown => transcode(bytesOf(text), { source, sink: semicolon, ...more }, [3]);

  test('wrong number of columns', () => {
    fails(run('a,b\n1,2\n3\n'), 'COLUMN_COUNT', { file: 'a.csv', row: 2, found: 1, expected: 2, position: 8 });
    fails(run('a,b\n1,2\n3,4,5\n'), 'COLUMN_COUNT', { row: 2, found: 3 });
    fails(run('1,2,3\n', { startPosition: 100, startRow: 7, header: ['a', 'b'] }), 'COLUMN_COUNT', { row: 8, position: 100 });
  });

  test('quotes', () => {
    fails(run('a,b\n1,"2\n3,4\n'), 'UNCLOSED_QUOTE', { row: 1, column: 'b', position: 6 });
    fails(run('a,b\n"1"x,2\n'), 'TEXT_AFTER_QUOTE', { row: 1, column: 'a', position: 7 });
  });

  test('a record that is too large, complete or not', () => {
    fails(run(`a,b\n1,2\n${'x'.repeat(200)},2\n`, { recordBytesMax: 100 }), 'RECORD_TOO_LARGE', { row: 2, position: 8, limitBytes: 100 });
    const unclosed = { row: 1, position: 4, column: 'b', columnPosition: 6 };
    fails(run(`a,b\n1,"${'x'.repeat(500)}`, { recordBytesMax: 100 }), 'RECORD_TOO_LARGE', unclosed);
    fails(run('a'.repeat(500), { recordBytesMax: 100 }), 'RECORD_TOO_LARGE', { row: 0, column: 1, columnPosition: 0 });
  });

  test('too many columns', () => fails(() => transcode(bytesOf(','.repeat(70_000)), { source }), 'TOO_MANY_COLUMNS'));

  test('values that the sink cannot hold', () => {
    const bare = { ...semicolon, quoteChar: '', escapeChar: '' };
    fails(run('a,b\n1,"x;y"\n', { sink: bare }), 'INVALID_VALUE', { row: 1, column: 'b', value: '"x;y"' });
    fails(run('a,b\n1,"x\ny"\n', { sink: bare }), 'INVALID_VALUE');
    fails(run('a,b\n1,""\n', { sink: bare }), 'INVALID_VALUE');
    assert.equal(transcode(bytesOf('a|b,c\n'), { source: comma, sink: { ...bare, columnDelimiter: '||' } }).text, 'a|b||c\n');
    fails(() => transcode(bytesOf('a|,c\n'), { source: comma, sink: { ...bare, columnDelimiter: '||' } }), 'INVALID_VALUE');
  });

  test('text that is no UTF-8 is refused where it must be text, and in names of columns always', () => {
    const bytes = Buffer.from('a,b\n1,"x""y"\n2,"\xe9"\n', 'latin1');
    const strict = { source, sink: semicolon, validText: true };
    fails(() => transcode(bytes, strict, [3]), 'INVALID_VALUE', { row: 2, column: 'b', position: 15, value: '"\uFFFD"' });
    assert.equal(transcode(bytes, { source, sink: semicolon }).bytes.includes(0xe9), true);
    const translator = mapping({ source: { name: 'a' }, sink: { name: 'a' } });
    assert.equal(transcode(bytes, { ...strict, translator }).text, '1\n2\n');
    const header = Buffer.from('a,\xe9\n1,2\n', 'latin1');
    fails(() => transcode(header, { source }), 'WRONG_ENCODING', { row: 0, column: 2, position: 2 });
  });

  test('a value in an error is cut', () => {
    const translator = mapping({ source: { name: 'a', type: 'Int32' }, sink: { name: 'a' } });
    fails(run(`a,b\n1,2\n${'z'.repeat(99)},2\n`, { translator }), 'INVALID_VALUE', {
      row: 2, column: 'a', position: 8, sourceType: 'Int32', sinkType: 'Int32', value: `"${'z'.repeat(40)}…"`, reason: 'it is not a number',
    });
  });

  test('formats that cannot work', () => {
    const bad = (more: Partial<DelimitedTextFormat>, property: string): void =>
      fails(() => createTranscoder({ source: { ...comma, ...more }, sink: semicolon, fileName: '' }), 'BAD_FORMAT', { property });
    bad({ columnDelimiter: '' }, 'columnDelimiter');
    bad({ columnDelimiter: '"' }, 'columnDelimiter');
    bad({ columnDelimiter: '\n' }, 'columnDelimiter');
    bad({ rowDelimiter: ',x' }, 'columnDelimiter');
    bad({ quoteChar: 'ab' }, 'quoteChar');
    bad({ quoteChar: 'é' }, 'quoteChar');
    bad({ escapeChar: '\n' }, 'quoteChar');
    bad({ encodingName: 'EBCDIC' }, 'encodingName');
    fails(
      () => createTranscoder({ source: comma, sink: { ...semicolon, nullValue: 'a;b' }, fileName: '' }), 'BAD_FORMAT',
      { property: 'nullValue' },
    );
    fails(
      () => createTranscoder({ source: comma, sink: { ...semicolon, encodingName: 'UTF-16' }, fileName: '' }), 'BAD_FORMAT',
      { property: 'encodingName' },
    );
  });
});

test('bytes are copied as they are only between equal formats with nothing to do', () => {
  assert.equal(copiesBytes({ source: comma, sink: { ...comma } }), true);
  assert.equal(copiesBytes({ source: comma, sink: semicolon }), false);
  assert.equal(copiesBytes({ source: { ...comma, skipLineCount: 1 }, sink: comma }), false);
  assert.equal(copiesBytes({ source: comma, sink: { ...comma, quoteAllText: true } }), false);
  assert.equal(copiesBytes({ source: comma, sink: comma, translator: mapping({ source: { ordinal: 1 }, sink: { ordinal: 1 } }) }), false);
});
