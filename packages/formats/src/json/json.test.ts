import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonFormat, Translator } from '@dmg/model';
import { createHeaderReader, createTranscoder, type SkippedRow, type TranscoderOptions } from '../index.ts';
import { bytesOf, defaults } from '../testing/naive-text.ts';

const json: JsonFormat = { type: 'Json', encodingName: 'UTF-8' };
const csv = { ...defaults, escapeChar: '"', nullValue: 'null', rowDelimiter: '\n', firstRowAsHeader: true };

function copy(input: string | Uint8Array, options: Partial<TranscoderOptions> = {}): string {
  const transcoder = createTranscoder({ source: json, sink: csv, fileName: 'f.json', writeHeader: true, endsAt: Infinity, ...options });
  transcoder.push(typeof input === 'string' ? bytesOf(input) : input, true);
  const into = new Uint8Array(transcoder.pendingBytes);
  transcoder.drainInto(into, 0);
  return Buffer.from(into).toString();
}

function mapped(columns: Readonly<Record<string, string>>): Translator {
  return {
    mappings: Object.entries(columns).map(([name, path]) => ({ source: { name: path }, sink: { name } })),
    typeConversion: false, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false },
  };
}

const fails = (input: string | Uint8Array, options: Partial<TranscoderOptions>, message: RegExp): void =>
  assert.throws(() => copy(input, options), { message });

test('without a mapping the columns are the properties of the first object', () => {
  assert.equal(
    copy('{"id": 9007199254740993, "n": 1.50, "t": "a,\\"b\\"", "o": {"x": [1, 2]}, "b": true, "z": null}\n{"z": "z", "id": 2}\n'),
    'id,n,t,o,b,z\n9007199254740993,1.50,"a,""b""","{""x"": [1, 2]}",true,null\n2,null,null,null,null,z\n',
  );
  fails('{"a":1}\n{"a":2,"é":3}\n', {}, /object 2 of f\.json: at byte 15 stands the property é, which the first object does not have/);
  fails('{}', {}, /first object, at byte 0, has no property/);
  for (const nothing of ['', ' \n', '[]', ' [ ] ', '\uFEFF']) assert.equal(copy(nothing), '');
});

test('paths reach into objects and arrays; the last of two equal properties counts', () => {
  const columns = { a: '$.a.b', b: "$['a']['b.c']", c: 'l[0].x', d: '$.l[1]', e: "['e']" };
  assert.equal(copy('{"a":{"b":"1","b.c":2},"l":[{"x":3},4],"e":[]}', { translator: mapped(columns) }), 'a,b,c,d,e\n1,2,null,4,[]\n');
  assert.equal(
    copy('{"a":{"b":1},"a":2}{"a":3,"a":{"b":"\\u0034"}}{"\\u0061":{"b":5}}', { translator: mapped({ a: '$.a.b' }) }), 'a\nnull\n4\n5\n',
  );
  fails('{}', { translator: mapped({ a: '$.a', b: '$.a.b' }) }, /the path \$\.a\.b holds, or is part of, another path/);
  fails('{}', { translator: mapped({ a: '$.a[' }) }, /path \$\.a\[ cannot be read from character 4 on/);
});

test('keys are compared without their escapes', () => {
  const keys = { a: "$['\\\\']", b: "$['é']", c: `$['"']` };
  assert.equal(copy('{"\\\\":1,"\\u00e9":2,"\\"":3}', { translator: mapped(keys) }), 'a,b,c\n1,2,3\n');
});

test('an array within each object gives a row for each of its elements', () => {
  const input = '[{"o":1,"c":{"n":"A\\n"},"l":[{"p":"x","q":1},{"p":"\\u0079"}]},{"o":2,"l":[]},{"o":3},'
    + '{"o":4,"c":{"n":"B"},"l":[{"q":2}]}]';
  const source: JsonFormat = { ...json, collectionReference: '$.l' };
  const translator = mapped({ o: '$.o', n: '$.c.n', p: "['p']", q: 'q' });
  assert.equal(copy(input, { source, translator }), 'o,n,p,q\n1,"A\n",x,1\n1,"A\n",y,null\n4,B,null,2\n');
  const many = JSON.stringify([{ o: 1, l: Array.from({ length: 10_000 }, (_, q) => ({ q })) }, { o: 2, l: [{ q: 1 }] }]);
  assert.equal(copy(many, { source, translator: mapped({ o: '$.o', q: 'q' }) }).split('\n').length, 10_003);
  fails('{"l":{}}', { source, translator }, /at byte 5 stands no array/);
  fails('{"l":[1]}', { source, translator }, /at byte 6 stands "1" where an object is expected/);
  fails('{"l":[]}', { source }, /no column is mapped/);
});

test('columns that the dataset defines by paths are mapped by their names, or all taken', () => {
  const source: JsonFormat = { ...json, columns: [{ name: 'x', path: '$.a.b' }, { name: 'y', path: '$.y' }] };
  assert.equal(copy('{"a":{"b":1},"y":2,"z":3}', { source }), 'x,y\n1,2\n');
  assert.equal(copy('{"a":{"b":1},"y":2,"z":3}', { source, translator: mapped({ b: 'x' }) }), 'b\n1\n');
});

test('what is wrong is named with its object and byte', () => {
  fails('{"a":1}\n{"a":tru}', {}, /object 2 of f\.json: at byte 13 stands "t" where a value is expected/);
  fails('{"a":1} 2', {}, /object 2 of f\.json: at byte 8 stands "2" where an object is expected/);
  fails('{"a":1},{"a":2}', {}, /at byte 7 stands "," where an object is expected/);
  fails('[{"a":1}{"a":2}]', {}, /at byte 8 stands "{" where "," or "]" is expected/);
  fails('[{"a":1},]', {}, /at byte 9 stands "]" where an object is expected/);
  fails('[{"a":1}', {}, /at byte 8 the file ends within the array/);
  fails('[{"a":1}] []', {}, /at byte 10 stands "\[" where the end of the file is expected/);
  fails('{"a":"x', {}, /at byte 7 the file ends within an object/);
  fails('{"a":"\t"}', {}, /at byte 6 a string holds the control character 0x09/);
  fails('{"a":"\\ud83d"}', {}, /at byte 6 stands the first half of a surrogate pair without the second/);
  fails(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')]), {}, /at byte 6 stand bytes that are not UTF-8/);
  fails(`{"a":${'['.repeat(2000)}`, {}, /nested in more than 1024 levels/);
  fails(`{"a":1}{"a":"${'x'.repeat(200)}"}`, { recordBytesMax: 100 }, /object 2 of f\.json: from byte 7 on it is over 100 bytes/);
  fails(`{"a":1}{"a":"${'x'.repeat(20)}`, { recordBytesMax: 10 }, /object 2 of f\.json: from byte 7 on it is over 10 bytes/);
});

test('other encodings are read, and types convert', () => {
  const text = '{"a":"é","b":1}';
  assert.equal(copy(Buffer.from(text, 'utf16le'), { source: { ...json, encodingName: 'UTF-16' } }), 'a,b\né,1\n');
  assert.equal(copy(Buffer.from(text, 'latin1'), { source: { ...json, encodingName: 'ISO-8859-1' } }), 'a,b\né,1\n');
  const translator: Translator = {
    ...mapped({ a: 'a' }), mappings: [{ source: { name: 'a', type: 'String' }, sink: { name: 'a', type: 'Int32' } }],
  };
  const skipped: SkippedRow[] = [];
  assert.equal(copy('{"a":"12"}{"a":"x\\u0041"}{"a":3}', { translator, onSkippedRow: (row) => skipped.push(row) }), 'a\n12\n3\n');
  assert.deepEqual(skipped.map(({ row, text: line }) => [row, Buffer.from(line).toString()]), [[2, '{"a":"x\\u0041"}']]);
  assert.equal(copy('{"a":"12"}{"a":3}', { translator, sink: { ...json, filePattern: 'arrayOfObjects' } }), '[\n{"a":12},\n{"a":3}\n]\n');
});

test('an empty source becomes an empty array, and text that is not UTF-8 no string', () => {
  assert.equal(copy('', { source: defaults, sink: { ...json, filePattern: 'arrayOfObjects' } }), '[\n]\n');
  assert.throws(() => copy(Buffer.from([0x61, 0xff]), { source: defaults, sink: json }), { code: 'DMG_FORMATS_INVALID_VALUE' });
});

test('a header reader knows columns and shape from the beginning of the file', () => {
  const reader = createHeaderReader(json, 'f');
  assert.equal(reader.push(bytesOf(' [ {"a":1,'), false), false);
  assert.equal(reader.push(bytesOf('"b":2} , {'), false), true);
  assert.deepEqual([reader.header, reader.columnCount, reader.inArray], [['a', 'b'], 2, true]);
});
