import { open, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { crc32 } from 'node:zlib';
import { firstLine } from '@dmg/base';
import type { Receipt, ReceiptTarget } from '@dmg/model';
import type { ReceiptFindings } from './receipt-checks.ts';

const blockBytes = 1024 * 1024;

/** Reads the targets of a receipt again, as files below `folder`: their sizes and, where the receipt has CRCs of bytes, their content. */
export async function rereadTargets(receipt: Receipt, folder: string): Promise<ReceiptFindings> {
  const problems: string[] = [];
  const { targets } = receipt;
  if (targets === undefined) return { problems, unchecked: ['it does not list its targets, so that none can be read again'] };
  if (targets.length > 0 && receipt.filesWritten === 0) return { problems, unchecked: ['it is of a table, which is not read again here'] };
  for (const target of targets) {
    try {
      const problem = await rereadTarget(target, folder, receipt.hashOf === 'writtenBytes');
      if (problem !== undefined) problems.push(`${target.path}: ${problem}`);
    } catch (error) {
      problems.push(`${target.path}: it cannot be read (${firstLine(error)})`);
    }
  }
  const isWhole = receipt.hashOf === 'writtenBytes';
  return { problems, unchecked: isWhole ? [] : ['its hashes are of rows, so that of the files only the sizes were compared'] };
}

async function rereadTarget({ path, chunks }: ReceiptTarget, folder: string, hasCrcs: boolean): Promise<string | undefined> {
  const root = resolve(folder);
  const file = resolve(root, path);
  if (!file.startsWith(root === sep ? root : `${root}${sep}`)) return 'its path leads out of the folder';
  const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  const found = (await stat(file)).size;
  if (found !== sizeBytes) return `it has ${found} bytes, the receipt says ${sizeBytes}`;
  if (!hasCrcs) return undefined;
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(blockBytes);
    let position = 0;
    for (const [index, { bytes, hash }] of chunks.entries()) {
      let crc = 0;
      for (const end = position + bytes; position < end;) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(blockBytes, end - position), position);
        if (bytesRead === 0) return 'it became shorter while it was read';
        crc = crc32(buffer.subarray(0, bytesRead), crc);
        position += bytesRead;
      }
      const found16 = crc.toString(16).padStart(16, '0');
      if (found16 !== hash.toLowerCase()) return `chunk ${index}, which ends at byte ${position}, has other bytes`;
    }
    return undefined;
  } finally {
    await handle.close();
  }
}
