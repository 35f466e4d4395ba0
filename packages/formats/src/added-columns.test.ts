import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '@dmg/base';
import type { DelimitedTextFormat, Translator } from '@dmg/model';
import type { AddedColumn } from './added-columns.ts';
import { createTranscoder } from './transcoder.ts';

const csv: DelimitedTextFormat = {
  type: 'DelimitedText', columnDelimiter: ',', rowDelimiter: '\n', quoteChar: '"', escapeChar: '"', firstRowAsHeader: true, nullValue: '',
  encodingName: 'UTF-8', skipLineCount: 0, quoteAllText: false,
};
const bare: DelimitedTextFormat = { ...csv, firstRowAsHeader: false };
const added: readonly AddedColumn[] = [
  { name: 'fixed', text: 'x,"y"' }, { name: 'none', text: '' }, { name: 'again', column: 'b' },
];

function transcode(text: string, source: DelimitedTextFormat, columns: readonly AddedColumn[], translator?: Translator): string {
  const mapping = translator === undefined ? {} : { translator };
  const transcoder = createTranscoder({ source, sink: csv, fileName: 'f', writeHeader: true, added: columns, ...mapping });
  transcoder.push(Buffer.from(text), true);
  const target = Buffer.alloc(transcoder.pendingBytes);
  transcoder.drainInto(target, 0);
  return target.toString();
}

function mapping(mappings: Translator['mappings']): Translator {
  return { mappings, typeConversion: true, typeConversionSettings: { allowDataTruncation: false, treatBooleanAsNumber: false } };
}

test('added columns stand behind those of the source, as they are', () => {
  assert.equal(
    transcode('a,b\n1,"2,3"\n3,\n', csv, added), 'a,b,fixed,none,again\n1,"2,3","x,""y""","","2,3"\n3,,"x,""y""","",\n',
  );
  assert.equal(transcode('', csv, added), '');
});

test('without a header they have names all the same, and numbers behind those of the source', () => {
  const columns: readonly AddedColumn[] = [{ name: 'fixed', text: 'x' }, { name: 'again', column: 'Prop_1' }];
  assert.equal(transcode('1,2\n', bare, columns), 'Prop_0,Prop_1,fixed,again\n1,2,x,2\n');
  const translator = mapping([
    { source: { name: 'again' }, sink: { name: 'A' } }, { source: { ordinal: 3 }, sink: { name: 'B' } },
    { source: { ordinal: 1 }, sink: { name: 'C' } },
  ]);
  assert.equal(transcode('1,2\n', bare, columns, translator), 'A,B,C\n2,x,1\n');
});

test('a mapping names, converts and drops them', () => {
  const columns: readonly AddedColumn[] = [{ name: 'n', text: '007' }, { name: 'left', text: 'x' }];
  const translator = mapping([{ source: { name: 'n' }, sink: { name: 'N', type: 'Int32' } },
    { source: { name: 'b' }, sink: { name: 'B' } }]);
  assert.equal(transcode('a,b\n1,2\n', csv, columns, translator), 'N,B\n7,2\n');
});

test('what cannot be added is refused before a row is written', () => {
  const refused = (columns: readonly AddedColumn[], code: string, sink = csv, translator?: Translator): void => {
    const options = translator === undefined ? {} : { translator };
    const transcoder = createTranscoder({ source: csv, sink, fileName: 'f', added: columns, onSkippedRow: () => undefined, ...options });
    assert.throws(() => transcoder.push(Buffer.from('a,b\n1,2\n'), true), (error) => hasCode(error, `DMG_FORMATS_${code}`));
  };
  refused([{ name: 'a', text: '' }], 'ADDED_COLUMN');
  refused([{ name: 'c', text: '' }, { name: 'c', text: '' }], 'ADDED_COLUMN');
  refused([{ name: 'c', column: 'B' }], 'COLUMN_NOT_FOUND');
  refused([{ name: 'c', text: 'x' }], 'ADDED_COLUMN', csv, mapping([{ source: { name: 'c' }, sink: { name: 'n', type: 'Int32' } }]));
  refused([{ name: 'c', text: 'x,y' }], 'ADDED_COLUMN', { ...csv, quoteChar: '', escapeChar: '' });
});
