import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { corpusFileName, readCorpus } from './testing/corpus.ts';
import { readByReference } from './testing/naive-reader.ts';
import { compareWithReference, type Cutting } from './testing/text-fuzz.ts';

/** Larger files are cut at fewer places. */
const everyPlaceBytes = 400;

const corpus = readCorpus();
const someCuttings: readonly Cutting[] = [{ blocks: [100_000], chunkBytes: 0 }, { blocks: [10_007], chunkBytes: 20_011 }];

/** In two blocks, cut at each place; in small blocks; and in small chunks. */
function everyCutting(bytes: number): readonly Cutting[] {
  const blocks = [...Array.from({ length: bytes }, (_, at) => [at + 1, bytes + 1]), ...[1, 2, 3, 5, 7].map((size) => [size])];
  const chunks = [1, 2, 3, 4, 7].map((chunkBytes) => ({ blocks: [3], chunkBytes }));
  return [...blocks.map((sizes) => ({ blocks: sizes, chunkBytes: 0 })), ...chunks];
}

describe('the kept corpus', () => {
  test('is there', () => assert.ok(corpus.length >= 80, `${corpus.length} files`));
  for (const file of corpus) {
    test(`${file.name}: ${file.about}`, () => {
      const { input, format, recordBytesMax, validText = false } = file;
      const told = readByReference(input, format, { file: corpusFileName, recordBytesMax, validText });
      assert.deepEqual(told.fault, file.fault);
      assert.deepEqual(told.header, file.header);
      if (file.rows !== undefined) assert.deepEqual(told.rows, file.rows);
      const size = { rows: told.rows.length, columns: told.rows[0]?.length ?? 0 };
      if (file.size !== undefined) assert.deepEqual(size, file.size);
      for (const cutting of input.length <= everyPlaceBytes ? everyCutting(input.length) : someCuttings) {
        assert.equal(compareWithReference(file, cutting), undefined, `blocks of ${cutting.blocks.join()}, chunks of ${cutting.chunkBytes}`);
      }
    });
  }
});
