import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { type Receipt, receiptDigest } from '@dmg/model';
import type { Output } from '../output.ts';
import { verifyReceipts } from './receipt.ts';

const contents = { 'a/one.bin': ['first part', 'second'], 'two.bin': ['x'] } as const;
const hashOf = (text: string): string => crc32(text).toString(16).padStart(16, '0');

function goodReceipt(change: (receipt: Receipt) => Receipt = (receipt) => receipt): Receipt {
  const targets = Object.entries(contents).map(([path, parts]) => ({
    path,
    chunks: parts.map((part, index) => {
      const sourceStart = parts.slice(0, index).join('').length;
      return { sourceStart, sourceEnd: sourceStart + part.length, bytes: part.length, rows: 0, hash: hashOf(part) };
    }),
  }));
  const chunks = targets.flatMap((target) => target.chunks);
  const sum = chunks.reduce((total, chunk) => total + BigInt(`0x${chunk.hash}`), 0n);
  const hash = BigInt.asUintN(64, sum).toString(16).padStart(16, '0');
  const bytes = chunks.reduce((total, chunk) => total + chunk.bytes, 0);
  const receipt: Receipt = change({
    formatVersion: 1, jobId: 'job', generation: 1, guarantee: 'exactlyOnce', verification: 'acknowledged', consistency: 'perChunk',
    filesRead: 2, filesWritten: 2, bytesRead: bytes, bytesWritten: bytes, rowsRead: 0, rowsWritten: 0, rowsSkipped: 0,
    chunks: chunks.length,
    hash, attempts: ['a'], targets, hashOf: 'writtenBytes', finishedBy: { attemptId: 'a', nodeName: 'n', epoch: '1.x' },
    finishedAt: '2024-01-01T00:00:00Z',
  });
  return { ...receipt, digest: receiptDigest(receipt) };
}

const quiet: Output = {
  json: true, note: () => undefined, progress: () => undefined, error: () => undefined, result: () => undefined,
};

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-receipt-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'sink/a'), { recursive: true });
  for (const [path, parts] of Object.entries(contents)) await writeFile(join(folder, 'sink', path), parts.join(''));
  return folder;
}

interface Verified {
  readonly code: number;
  readonly problems: string[];
  readonly unchecked: string[];
}

async function verify(folder: string, document: unknown, reread = false): Promise<Verified> {
  const file = join(folder, 'receipt.json');
  await writeFile(file, JSON.stringify(document));
  const results: { receipts: { problems: string[]; unchecked: string[] }[] }[] = [];
  const output: Output = {
    ...quiet,
    result: (value) => void results.push(value as { receipts: { problems: string[]; unchecked: string[] }[] }),
  };
  const code = await verifyReceipts(file, reread ? join(folder, 'sink') : undefined, output);
  const receipts = results.flatMap((result) => result.receipts);
  return { code, problems: receipts.flatMap(({ problems }) => problems), unchecked: receipts.flatMap(({ unchecked }) => unchecked) };
}

test('a good receipt verifies, alone or in what was saved of a run, and against the files at the sink', async (t) => {
  const folder = await folderOf(t);
  assert.deepEqual(await verify(folder, goodReceipt(), true), { code: 0, problems: [], unchecked: [] });
  const run = { runId: 'r', activities: [{ output: { receipt: goodReceipt() } }, { output: {} }] };
  assert.deepEqual(await verify(folder, run), { code: 0, problems: [], unchecked: [] });
  const { targets: _targets, digest: _digest, ...older } = goodReceipt();
  const { code, unchecked } = await verify(folder, older);
  assert.deepEqual([code, unchecked.length], [0, 2]);
});

test('what was changed, or does not add up, is said', async (t) => {
  const folder = await folderOf(t);
  const wrong = async (document: unknown, expected: RegExp): Promise<void> => {
    const { code, problems } = await verify(folder, document);
    assert.equal(code, 1);
    assert.match(problems.join('\n'), expected);
  };
  await wrong({ ...goodReceipt(), guarantee: 'atLeastOnce' }, /digest does not fit/);
  await wrong(goodReceipt((receipt) => ({ ...receipt, bytesWritten: 1 })), /chunks have 17 bytes written, it says 1/);
  await wrong(goodReceipt((receipt) => ({ ...receipt, chunks: 4 })), /3 chunks, it says 4/);
  await wrong(goodReceipt((receipt) => ({ ...receipt, hash: '0'.repeat(16) })), /hashes of its chunks add up to/);
  await wrong(goodReceipt((receipt) => ({ ...receipt, rowsRead: 3 })), /3 rows were read, but 0 written/);
  await wrong(goodReceipt((receipt) => ({ ...receipt, rowsSkipped: -1 })), /rowsSkipped is not a count/);
  const gap = goodReceipt((receipt) => ({
    ...receipt,
    targets: (receipt.targets ?? []).map((target) => ({
      ...target, chunks: target.chunks.map((chunk, index) => (index === 1 ? { ...chunk, sourceStart: chunk.sourceStart + 1 } : chunk)),
    })),
  }));
  await wrong(gap, /chunk 1 of a\/one\.bin does not begin where/);
});

test('files that are not what was written are found', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'sink/a/one.bin'), 'first partsecoNd');
  await rm(join(folder, 'sink/two.bin'));
  const { code, problems } = await verify(folder, goodReceipt(), true);
  assert.equal(code, 1);
  assert.match(problems.join('\n'), /a\/one\.bin: chunk 1, which ends at byte 16, has other bytes\ntwo\.bin: it cannot be read/);
  await writeFile(join(folder, 'sink/a/one.bin'), 'short');
  assert.match((await verify(folder, goodReceipt(), true)).problems[0] ?? '', /it has 5 bytes, the receipt says 16/);
});

test('a file without a receipt is an error of its own', async (t) => {
  const folder = await folderOf(t);
  await assert.rejects(verify(folder, { some: 'thing' }), { code: 'DMG_CLI_NO_RECEIPT' });
  await assert.rejects(verifyReceipts(join(folder, 'nowhere'), undefined, quiet), { code: 'DMG_CLI_NO_RECEIPT' });
});
