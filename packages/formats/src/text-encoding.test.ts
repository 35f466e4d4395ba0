import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasCode } from '@dmg/base';
import { textEncodingNames } from '@dmg/model';
import { isWritableEncoding, textEncodingOf } from './text-encoding.ts';
import { defaults, transcode } from './testing/naive-text.ts';

const text = 'é,"€ ☃"\r\nb,😀x\n';

function encode(value: string, encoding: 'le' | 'be' | 'latin1'): Uint8Array {
  if (encoding === 'latin1') return Buffer.from(value, 'latin1');
  const bytes = Buffer.from(value, 'utf16le');
  return encoding === 'le' ? bytes : bytes.swap16();
}

function wrongAt(input: Uint8Array, encodingName: string, position: number): void {
  assert.throws(
    () => transcode(input, { source: { ...defaults, encodingName } }, [3]),
    (error) => hasCode(error, 'DMG_FORMATS_WRONG_ENCODING') && (error as { params: Record<string, unknown> }).params.position === position,
  );
}

describe('text encodings', () => {
  test('every name that the model lists can be read', () => {
    for (const name of textEncodingNames) textEncodingOf(name.toLowerCase());
    assert.deepEqual(textEncodingNames.filter(isWritableEncoding), ['UTF-8', 'UTF-8 without BOM']);
    assert.throws(() => textEncodingOf('constructor'), (error) => hasCode(error, 'DMG_FORMATS_BAD_FORMAT'));
  });

  for (const [encodingName, order] of [['UTF-16', 'le'], ['UTF-16LE', 'le'], ['UTF-16BE', 'be']] as const) {
    test(`${encodingName}, with and without a mark, with positions of the source`, () => {
      const source = { ...defaults, encodingName };
      for (const marked of [`\uFEFF${text}`, text]) {
        const input = encode(marked, order);
        const outcome = transcode(input, { source }, [1, 5]);
        assert.equal(outcome.text, 'é,€ ☃\r\nb,😀x\r\n');
        assert.equal(outcome.boundary.sourcePosition, input.length);
        const first = transcode(input, { source, limitPosition: 4 }, [7]);
        assert.equal(first.boundary.sourcePosition, (marked.indexOf('\n') + 1) * 2);
        const rest = transcode(
          input.subarray(first.boundary.sourcePosition), { source, startPosition: first.boundary.sourcePosition }, [2],
        );
        assert.equal(first.text + rest.text, outcome.text);
      }
    });
  }

  test('single bytes', () => {
    const bytes = Uint8Array.of(0xe9, 0x2c, 0x80, 0x0a, 0x92, 0x2c, 0x41);
    const read = (encodingName: string): string => transcode(bytes, { source: { ...defaults, encodingName } }, [2]).text;
    assert.equal(read('windows-1252'), 'é,€\r\n’,A\r\n');
    assert.equal(read('ISO-8859-1'), 'é,\u0080\r\n\u0092,A\r\n');
    const limited = transcode(bytes, { source: { ...defaults, encodingName: 'ISO-8859-1' }, limitPosition: 2 });
    assert.equal(limited.boundary.sourcePosition, 4);
    wrongAt(bytes, 'US-ASCII', 0);
    wrongAt(Uint8Array.of(0x41, 0x42, 0x43, 0x44, 0x81), 'windows-1252', 4);
  });

  test('the wrong encoding is told by its mark', () => {
    wrongAt(encode('\uFEFFab', 'le'), 'UTF-8', 0);
    wrongAt(encode('\uFEFFab', 'be'), 'UTF-8', 0);
    wrongAt(encode('\uFEFFab', 'be'), 'UTF-16', 0);
  });

  test('broken UTF-16', () => {
    wrongAt(Uint8Array.of(0x61, 0, 0, 0xdc, 0x62, 0), 'UTF-16', 2);
    wrongAt(Uint8Array.of(0x61, 0, 0, 0xd8, 0x62, 0), 'UTF-16', 2);
    assert.throws(
      () => transcode(Uint8Array.of(0x61, 0, 0x62), { source: { ...defaults, encodingName: 'UTF-16' } }),
      (error) => hasCode(error, 'DMG_FORMATS_WRONG_ENCODING'),
    );
  });

  test('bytes that are no UTF-8 pass through untouched', () => {
    const bytes = Uint8Array.of(0xff, 0xfa, 0x2c, 0xc3, 0x0d, 0x0a);
    assert.deepEqual([...transcode(bytes, {}).bytes], [...bytes]);
  });
});
