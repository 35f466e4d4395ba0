import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@dmg/base';
import { tempDir } from '../../../../test/harness/temp-dir.ts';
import { Journal, type JournalEntry, type JournalOptions } from './journal.ts';

interface Opened {
  readonly journal: Journal;
  readonly replayed: JournalEntry[];
}

async function open(t: TestContext, directory: string, more: Partial<JournalOptions> = {}): Promise<Opened> {
  const replayed: JournalEntry[] = [];
  const journal = await Journal.open({
    directory,
    logger: silentLogger,
    replay: (entry) => void replayed.push(entry),
    snapshot: () => [],
    onFailure: (error) => assert.fail(String(error)),
    ...more,
  });
  t.after(() => journal.close().catch(() => undefined));
  return { journal, replayed };
}

const entry = (n: number, body?: string): JournalEntry => ({ head: { n }, body: body === undefined ? undefined : Buffer.from(body) });
const heads = (entries: readonly JournalEntry[]): unknown[] => entries.map(({ head }) => (head as { n: number }).n);

test('what was flushed is replayed in order, with its bytes', async (t) => {
  const directory = await tempDir(t);
  const first = await open(t, directory);
  for (let n = 0; n < 100; n++) first.journal.append(entry(n, n % 2 === 0 ? `body ${n}` : undefined));
  await first.journal.flushed();
  await first.journal.close();
  const { replayed } = await open(t, directory);
  assert.deepEqual(heads(replayed), Array.from({ length: 100 }, (_, n) => n));
  assert.equal(Buffer.from(replayed[42]?.body ?? []).toString(), 'body 42');
  assert.equal(replayed[43]?.body, undefined);
});

test('a torn end is cut off, wherever it is torn, and what comes later is kept', async (t) => {
  const directory = await tempDir(t);
  const first = await open(t, directory);
  first.journal.append(entry(1, 'one'));
  await first.journal.flushed();
  const path = join(directory, 'journal-1');
  const wholeBytes = (await stat(path)).size;
  first.journal.append(entry(2, 'two'));
  await first.journal.close();
  const complete = await readFile(path);
  for (let bytes = wholeBytes; bytes < complete.length; bytes++) {
    await writeFile(path, complete);
    await truncate(path, bytes);
    const { journal, replayed } = await open(t, directory);
    assert.deepEqual(heads(replayed), [1], `torn after ${bytes} bytes`);
    assert.equal((await stat(path)).size, wholeBytes);
    await journal.close();
  }
  await appendFile(path, Buffer.alloc(64, 255));
  const torn = await open(t, directory);
  torn.journal.append(entry(3));
  await torn.journal.close();
  assert.deepEqual(heads((await open(t, directory)).replayed), [1, 3]);
});

test('a bit that changed is noticed', async (t) => {
  const directory = await tempDir(t);
  const first = await open(t, directory);
  for (const n of [1, 2]) first.journal.append(entry(n, 'body'));
  await first.journal.close();
  const path = join(directory, 'journal-1');
  const content = await readFile(path);
  content[content.length - 2] = (content[content.length - 2] ?? 0) ^ 1;
  await writeFile(path, content);
  assert.deepEqual(heads((await open(t, directory)).replayed), [1]);
});

test('a journal that has grown is rewritten from what lives, and no entry is lost or doubled', async (t) => {
  const directory = await tempDir(t);
  const live = new Map<number, JournalEntry>();
  const first = await open(t, directory, { snapshot: () => live.values(), compactionBytesMin: 2000 });
  for (let n = 0; n < 500; n++) {
    live.set(n, entry(n, 'x'.repeat(50)));
    live.delete(n - 5);
    first.journal.append(entry(n, 'x'.repeat(50)));
    if (n % 7 === 0) await first.journal.flushed();
  }
  await first.journal.close();
  const names = await readdir(directory);
  assert.equal(names.length, 1, names.join());
  assert.notEqual(names[0], 'journal-1');
  assert.ok((await stat(join(directory, names[0] ?? ''))).size < 20_000);
  const { replayed } = await open(t, directory);
  assert.deepEqual(heads(replayed).slice(-5), [495, 496, 497, 498, 499]);
  assert.equal(new Set(heads(replayed)).size, replayed.length);
});

test('what a crash left of a rewrite is thrown away', async (t) => {
  const directory = await tempDir(t);
  const first = await open(t, directory);
  first.journal.append(entry(1));
  await first.journal.close();
  await writeFile(join(directory, 'journal-2.tmp'), 'half a snapshot');
  assert.deepEqual(heads((await open(t, directory)).replayed), [1]);
  assert.deepEqual(await readdir(directory), ['journal-1']);
});

test('a disk that refuses is told once, and nothing is confirmed after it', async (t) => {
  const directory = await tempDir(t);
  const failures: unknown[] = [];
  const { journal } = await open(t, directory, {
    compactionBytesMin: 0,
    snapshot: () => {
      throw new Error('no space');
    },
    onFailure: (error) => void failures.push(error),
  });
  journal.append(entry(1));
  await journal.flushed();
  let isConfirmed = false;
  journal.append(entry(2));
  void journal.flushed().then(() => {
    isConfirmed = true;
  });
  journal.append(entry(3));
  await journal.close();
  assert.equal(failures.length, 1);
  assert.equal(isConfirmed, false);
});

test('a journal that cannot be opened says where and why', async (t) => {
  const directory = join(await tempDir(t), 'missing');
  await assert.rejects(open(t, directory), { code: 'DMG_LOCALCLOUD_JOURNAL_UNREADABLE' });
});
