import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isDmgError } from '@dmg/base';
import { parseJsonText } from './json-text.ts';
import { refuses } from './testing/fixtures.ts';

describe('JSON text', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t', ' \r\n'), (text, space) => {
      const pretty = JSON.stringify(JSON.parse(text), undefined, space);
      assert.deepEqual(parseJsonText(pretty, 'x'), { value: JSON.parse(text) as unknown, warnings: [] });
    }));
    const value = parseJsonText('{"__proto__": {"a": 1}, "b\\u0041\\n\\/": [-0.5e+2, true, null]}', 'x').value;
    assert.equal(JSON.stringify(value), '{"__proto__":{"a":1},"bA\\n/":[-50,true,null]}');
  });

  test('trailing commas and a byte order mark are tolerated, commas with a warning', () => {
    const parsed = parseJsonText('\uFEFF{"a": [1, 2,],\n "b": {"c": ",]",},\n}', 'x');
    assert.deepEqual(parsed.value, { a: [1, 2], b: { c: ',]' } });
    assert.deepEqual(parsed.warnings.map((warning) => warning.path), ['line 1, column 12', 'line 2, column 17', 'line 2, column 19']);
  });

  const wrong: readonly [text: string, line: number, column: number, reason: string][] = [
    ['', 1, 1, 'the text ends'], ['{"a": 1', 1, 8, 'a comma or }'], ['{"a" 1}', 1, 6, 'a colon'], ['{a: 1}', 1, 2, 'double quotes'],
    ['[1\n 2]', 2, 2, 'a comma or ]'],
    ['[,]', 1, 2, 'a value'], ['{,}', 1, 2, 'a property name'], ['[1,,]', 1, 4, 'a value'], ['"a\nb"', 1, 3, 'line break'],
    ['"abc', 1, 5, 'not closed'], ['"\\x"', 1, 2, 'backslash'],
    ['1 2', 1, 3, 'after the end'], ['\r\n\r\n  tru', 3, 3, 'a value'], ['1e999', 1, 1, 'too large'], ['01', 1, 2, 'after the end'],
    ["{'a': 1}", 1, 2, 'double quotes'],
    ['['.repeat(300), 1, 202, 'deeper'],
  ];
  for (const [text, line, column, reason] of wrong) {
    test(`refuses ${JSON.stringify(text.slice(0, 20))} with its place`, () => {
      refuses(() => parseJsonText(text, 'a.json'), 'JSON_SYNTAX', 'a.json', `line ${line}, column ${column}`, reason);
    });
  }

  test('any text ends in a value or a DmgError, and agrees with JSON.parse where that accepts it', () => {
    const near = fc.array(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"', 'a', '\\', '1', '-', '.', 'e', 'true', 'null', ' ', '\n', '"k":'),
      { maxLength: 20 },
    ).map((parts) => parts.join(''));
    fc.assert(fc.property(fc.oneof(near, fc.string({ unit: 'binary' })), (text) => {
      let standard: { value: unknown } | undefined;
      try {
        standard = { value: JSON.parse(text) };
      } catch {
        // Not JSON: then ours refuses it too, unless only commas are trailing.
      }
      try {
        const { value } = parseJsonText(text, 'x');
        if (standard !== undefined) assert.deepEqual(value, standard.value);
      } catch (error) {
        assert.ok(isDmgError(error), String(error));
        assert.equal(standard, undefined, text);
      }
    }), { numRuns: 2000 });
  });
});
