import { createCompressor } from '../compression/compressor.ts';
import { createDecompressor } from '../compression/decompressor.ts';
import type { SourceCodec } from '../compression/decompressor-types.ts';
import type { Compression } from '@dmg/model';

/** Decompresses `bytes`, given in blocks of `blockBytes`. */
export async function decompressed(codec: SourceCodec, bytes: Uint8Array, blockBytes = 1000): Promise<Buffer> {
  let position = 0;
  const reused = new Uint8Array(blockBytes);
  const decompressor = createDecompressor({
    codec, fileName: 'f',
    read: () => {
      if (position >= bytes.length) return Promise.resolve(undefined);
      // Blocks are memory that is used again.
      const block = bytes.subarray(position, position + blockBytes);
      reused.set(block);
      position += block.length;
      return Promise.resolve(reused.subarray(0, block.length));
    },
  });
  const found: Uint8Array[] = [];
  try {
    for (let block = await decompressor.next(); block !== undefined; block = await decompressor.next()) found.push(block);
  } finally {
    decompressor.close();
  }
  return Buffer.concat(found);
}

/** Compresses each of `chunks` by itself and lays them end to end. */
export async function compressed(
  type: Compression['type'], chunks: readonly Uint8Array[], options: { level?: Compression['level']; isLarge?: boolean } = {},
): Promise<Buffer> {
  const found: Uint8Array[] = [];
  const emit = (bytes: Uint8Array): Promise<void> => {
    found.push(Uint8Array.from(bytes));
    return Promise.resolve();
  };
  for (const [chunk, content] of chunks.entries()) {
    const compressor = createCompressor({
      compression: { type, level: options.level ?? 'Optimal' }, chunk, isLast: () => chunk === chunks.length - 1,
      entry: { name: 'größe/f.csv', modifiedMs: Date.UTC(2026, 1, 3, 4, 5, 6), isLarge: options.isLarge ?? false },
    });
    for (let position = 0; position < content.length; position += 700) {
      await compressor.push(Uint8Array.from(content.subarray(position, position + 700)), emit);
    }
    await compressor.finish(emit);
    compressor.close();
  }
  return Buffer.concat(found);
}
