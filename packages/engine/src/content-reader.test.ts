import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ContentReader } from './content-reader.ts';
import { engineErrors } from './errors.ts';
import type { BlockReader, SourceBlock } from './source-reader.ts';
import { someBytes } from './testing/copy-fixture.ts';

/** A file in memory, read in blocks. */
class FileInMemory implements BlockReader {
  readonly #bytes: Uint8Array;
  #position = 0;
  restarts = 0;
  closed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  block(): Promise<SourceBlock> {
    const end = Math.min(this.#bytes.length, this.#position + 100_000);
    return Promise.resolve({ bytes: this.#bytes.subarray(this.#position, end), end, atEnd: end === this.#bytes.length });
  }

  moveTo(position: number): Promise<void> {
    if (position === 0) this.restarts++;
    this.#position = position;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

const content = Buffer.from(someBytes(3_000_000, 5));
const reader = (position: number, extentBytes = 2 ** 40): { file: FileInMemory; reader: ContentReader } => {
  const file = new FileInMemory(gzipSync(content));
  const { signal } = new AbortController();
  return { file, reader: new ContentReader({ file, fileName: 'f', codec: { type: 'gzip' }, position, extentBytes, signal }) };
};

test('content is read from any position on; a little back is at hand, further back is decompressed again', async () => {
  const { file, reader: content1 } = reader(1_000_001);
  let at = 1_000_001;
  for (const back of [0, 50_000, 2_900_000, 1_200_000, 0]) {
    for (;;) {
      const block = await content1.block();
      assert.ok(content.subarray(at, block.end).equals(block.bytes), `from ${at}`);
      at = block.end;
      await content1.moveTo(at);
      if (block.atEnd || (back === 50_000 && at > 2_000_000)) break;
    }
    if (at === content.length) assert.equal(content1.contentEnd, content.length);
    at -= Math.min(back, at);
    await content1.moveTo(at);
  }
  assert.equal(file.restarts, 2);
  await content1.close(new Error('done'));
  assert.ok(file.closed);
});

test('content that ends before a mark, or is larger than its extent, is refused', async () => {
  const read = async ({ reader: given }: { reader: ContentReader }): Promise<void> => {
    for (;;) {
      const block = await given.block();
      if (block.atEnd) return;
      await given.moveTo(block.end);
    }
  };
  await assert.rejects(read(reader(3_000_001)), { code: engineErrors.CONTENT_SHORTER.code });
  await assert.rejects(read(reader(0, 2_999_999)), { code: engineErrors.CONTENT_TOO_LARGE.code });
  await read(reader(3_000_000));
});
