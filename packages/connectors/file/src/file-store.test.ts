import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { hasCode, ManualClock, seededRandom } from '@dmg/base';
import { type ChunkFacts, connectorErrors, type Sink, type Source } from '@dmg/connector-api';
import { testContext } from '@dmg/connector-testkit';
import type { JsonObject, Plan, Receipt, SourceObject } from '@dmg/model';
import { fileConnector } from './file-connector.ts';
import { sweepEndedJobs } from './job-sweep.ts';
import { PosixFiles } from './posix-files.ts';
import { jobFolderPath } from './store-root.ts';
import { fileEnd, openFilesBelow } from './testing/file-fixture.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const receipt = { finishedAt: 'now' } as Receipt;

async function newRoot(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'dmg-file-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

async function openSink(t: TestContext, root: string, location: JsonObject = {}, jobId: string = 'job-1'): Promise<Sink> {
  const sink = await fileConnector.openSink(fileEnd(root, location), { jobId, attemptId: 'a'.repeat(32) }, testContext());
  t.after(() => sink.close());
  return sink;
}

async function openSource(t: TestContext, root: string, location: JsonObject = {}, settings: JsonObject = {}): Promise<Source> {
  const source = await fileConnector.openSource(fileEnd(root, location, settings), testContext());
  t.after(() => source.close());
  return source;
}

async function listAll(source: Source): Promise<SourceObject[]> {
  const objects: SourceObject[] = [];
  for await (const object of source.list(signal)) objects.push(object);
  return objects;
}

/** A plan with one target of `chunks` chunks. */
async function planFor(sink: Sink, path: string, chunks: number, partBytes: number): Promise<Plan> {
  const [base] = await sink.bases([path], signal);
  const ranges = Array.from({ length: chunks }, (_, chunk) => ({ chunk, source: 0, startByte: 0, endByte: 0 }));
  const targets = [{ target: 0, path, base: base ?? '', sources: [], cutting: { kind: 'ranges' as const, chunks: ranges } }];
  return {
    formatVersion: 1, jobId: 'job-1', generation: 1, activityDigest: '', sourceKind: 'addressable', representation: 'bytes',
    partBytes, targets,
  };
}

async function writeChunk(sink: Sink, plan: Plan, chunk: number, bytes: Buffer): Promise<void> {
  const writer = await sink.openChunk(plan, { target: 0, chunk }, signal);
  const facts: ChunkFacts = { bytes: bytes.length, rows: 0, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: bytes.length };
  try {
    await writer.mark(facts, { part: 0, bytes }, signal);
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

const failsWith = (code: string) => (error: unknown): boolean => hasCode(error, code);

test('a limit of file size is reported as no space, shows nothing, and the job goes on when it is raised', async (t) => {
  const root = await newRoot(t);
  const sink = await openSink(t, root);
  const plan = await sink.insertPlan(await planFor(sink, 'out/x', 1, 1 << 20), signal);
  // Without a handler the signal would end the process; with one the write fails.
  const ignore = (): void => undefined;
  process.on('SIGXFSZ', ignore);
  await run('prlimit', ['--pid', `${process.pid}`, '--fsize=65536:unlimited']);
  try {
    await assert.rejects(writeChunk(sink, plan, 0, Buffer.alloc(200_000, 'x')), failsWith(connectorErrors.NO_SPACE.code));
  } finally {
    await run('prlimit', ['--pid', `${process.pid}`, '--fsize=unlimited:unlimited']);
    process.off('SIGXFSZ', ignore);
  }
  assert.deepEqual(await readdir(root), ['.dmg']);
  await writeChunk(sink, plan, 0, Buffer.alloc(200_000, 'x'));
  await sink.finish(plan, receipt, signal);
  assert.equal((await stat(join(root, 'out/x'))).size, 200_000);
});

test('a full disk while chunks are written or joined leaves nothing half visible', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'dmg-file-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root]);
  t.after(async () => {
    await run('umount', ['--lazy', root]);
    await rm(root, { recursive: true });
  });
  const sink = await openSink(t, root);
  const plan = await sink.insertPlan(await planFor(sink, 'x', 2, 1 << 20), signal);
  await writeChunk(sink, plan, 0, Buffer.alloc(300_000, 'x'));
  await assert.rejects(writeChunk(sink, plan, 1, Buffer.alloc(900_000, 'y')), failsWith(connectorErrors.NO_SPACE.code));
  await writeChunk(sink, plan, 1, Buffer.alloc(300_000, 'y'));
  // Joining needs as much again.
  await assert.rejects(sink.finish(plan, receipt, signal), failsWith(connectorErrors.NO_SPACE.code));
  assert.deepEqual(await readdir(root), ['.dmg']);
  assert.equal((await sink.state(signal)).phase, 'open');
  await run('mount', ['-o', 'remount,size=8m', root]);
  await sink.finish(plan, receipt, signal);
  assert.equal((await readFile(join(root, 'x'))).length, 600_000);
  assert.equal(await openFilesBelow(root), 0);
  await run('mount', ['-o', 'remount,ro', root]);
  const later = await openSink(t, root, {}, 'job-2');
  await assert.rejects(later.bases(['y'], signal), failsWith(connectorErrors.ACCESS_DENIED.code));
});

test('what the node may not read or write is denied by name', async (t) => {
  const root = await newRoot(t);
  await chmod(root, 0o777);
  await mkdir(join(root, 'locked'), { mode: 0o755 });
  await writeFile(join(root, 'secret.csv'), 'x', { mode: 0o600 });
  await writeFile(join(root, 'locked/old.csv'), 'x');
  await mkdir(join(root, 'private'), { mode: 0o700 });
  // As root nothing is denied: be nobody for the calls.
  const asNobody = async (work: () => Promise<void>): Promise<void> => {
    if (process.geteuid?.() !== 0) {
      await chmod(join(root, 'locked'), 0o555);
      await chmod(join(root, 'secret.csv'), 0);
      await chmod(join(root, 'private'), 0);
      return work();
    }
    process.seteuid?.(65_534);
    try {
      return await work();
    } finally {
      process.seteuid?.(0);
    }
  };
  await asNobody(async () => {
    const denied = failsWith(connectorErrors.ACCESS_DENIED.code);
    const source = await openSource(t, root, { fileName: 'secret.csv' });
    const [object] = await listAll(source);
    assert.ok(object !== undefined);
    await assert.rejects(source.read(object, 0, new Uint8Array(1), signal), denied);
    const sink = await openSink(t, root);
    // The look at the folder goes by the real user, who is still root here; then the publication meets the effective one.
    const publish = async (): Promise<void> => {
      const plan = await sink.insertPlan(await planFor(sink, 'locked/new.csv', 1, 1024), signal);
      await writeChunk(sink, plan, 0, Buffer.from('x'));
      await sink.finish(plan, receipt, signal);
    };
    await assert.rejects(publish(), denied);
    await assert.rejects(fileConnector.check(fileEnd(join(root, 'private')), testContext()), denied);
    await assert.rejects(listAll(await openSource(t, root, { folderPath: 'private' })), denied);
  });
});

test('a folder on another file system has its work files there, and a target beyond is refused', async (t) => {
  if ((await stat('/dev')).dev === (await stat('/dev/shm')).dev) return t.skip('/dev/shm is no file system of its own here');
  const name = `dmg-test-${process.pid}`;
  t.after(() => rm(`/dev/shm/${name}`, { recursive: true, force: true }));
  t.after(() => rm('/dev/shm/.dmg', { recursive: true, force: true }));
  const sink = await openSink(t, '/dev', { folderPath: `shm/${name}` }, `job-${name}`);
  const plan = await sink.insertPlan(await planFor(sink, 'x', 1, 1024), signal);
  await writeChunk(sink, plan, 0, Buffer.from('content'));
  await sink.finish(plan, receipt, signal);
  assert.equal((await readFile(`/dev/shm/${name}/x`)).toString(), 'content');
  const above = await openSink(t, '/dev', {}, `job-${name}`);
  await assert.rejects(above.bases([`shm/${name}/y`], signal), failsWith(connectorErrors.TARGET_BLOCKED.code));
});

test('symbolic links are followed inside the root and never out of it', async (t) => {
  const root = await newRoot(t);
  const outside = await newRoot(t);
  await writeFile(join(outside, 'out.csv'), 'outside');
  await mkdir(join(root, 'data/sub'), { recursive: true });
  await writeFile(join(root, 'data/sub/a.csv'), 'inside');
  await symlink(join(root, 'data/sub/a.csv'), join(root, 'data/link.csv'));
  await symlink(join(outside, 'out.csv'), join(root, 'data/out.csv'));
  await symlink(outside, join(root, 'data/outside'));
  await symlink('..', join(root, 'data/sub/loop'));
  await symlink('nowhere', join(root, 'data/dangling'));
  await run('mkfifo', [join(root, 'data/pipe')]);
  const source = await openSource(t, root, { folderPath: 'data' }, { recursive: true });
  assert.deepEqual((await listAll(source)).map(({ path }) => path), ['link.csv', 'sub/a.csv']);
  const bad = failsWith(connectorErrors.BAD_PATH.code);
  await assert.rejects(listAll(await openSource(t, root, { folderPath: 'data', fileName: 'out.csv' })), bad);
  await assert.rejects(listAll(await openSource(t, root, { folderPath: 'data/outside' })), bad);
  await assert.rejects(listAll(await openSource(t, root, { folderPath: 'data', fileName: 'pipe' })), bad);
  const sink = await openSink(t, root);
  await assert.rejects(sink.bases(['data/outside/new.csv'], signal), bad);
  await assert.rejects(sink.bases(['data/pipe'], signal), failsWith(connectorErrors.TARGET_BLOCKED.code));
  // A file that became a link out of the root after it was listed.
  const [, object] = await listAll(source);
  assert.ok(object !== undefined);
  await rm(join(root, 'data/sub/a.csv'));
  await symlink(join(outside, 'out.csv'), join(root, 'data/sub/a.csv'));
  await assert.rejects(source.read(object, 0, new Uint8Array(1), signal), failsWith(connectorErrors.SOURCE_CHANGED.code));
});

test('a missing folder, and a name that is not UTF-8, are said and not skipped', async (t) => {
  const root = await newRoot(t);
  await assert.rejects(listAll(await openSource(t, root, { folderPath: 'nowhere' })), failsWith(connectorErrors.SOURCE_NOT_FOUND.code));
  assert.deepEqual(await listAll(await openSource(t, root, {}, { wildcardFolderPath: 'no/*', wildcardFileName: '*' })), []);
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff, 0x66])]), 'x');
  await assert.rejects(listAll(await openSource(t, root)), failsWith(connectorErrors.BAD_PATH.code));
  const sink = await openSink(t, root);
  await assert.rejects(sink.bases(['n'.repeat(256)], signal), failsWith(connectorErrors.BAD_PATH.code));
});

test('a file that is replaced or grows after it was listed is not read as if nothing had happened', async (t) => {
  const root = await newRoot(t);
  await writeFile(join(root, 'a'), 'first');
  const [object] = await listAll(await openSource(t, root));
  assert.ok(object !== undefined);
  await writeFile(join(root, 'b'), 'other');
  await utimes(join(root, 'b'), 1, 1);
  await rename(join(root, 'b'), join(root, 'a'));
  const changed = failsWith(connectorErrors.SOURCE_CHANGED.code);
  await assert.rejects((await openSource(t, root)).read(object, 0, new Uint8Array(5), signal), changed);
  const source = await openSource(t, root);
  const [grown] = await listAll(source);
  assert.ok(grown !== undefined);
  await source.read(grown, 0, new Uint8Array(2), signal);
  await writeFile(join(root, 'a'), 'more', { flag: 'a' });
  await assert.rejects(source.read(grown, 2, new Uint8Array(3), signal), changed);
});

test('files under way stay open, but only a few of them', async (t) => {
  const root = await newRoot(t);
  for (let index = 0; index < 60; index++) await writeFile(join(root, `f${index}`), `content ${index}`);
  const source = await openSource(t, root);
  const objects = await listAll(source);
  for (const object of objects) await source.read(object, 0, new Uint8Array(4), signal);
  const open = await openFilesBelow(root);
  assert.ok(open > 0 && open <= 16, `${open} are open`);
  await source.close();
  assert.equal(await openFilesBelow(root), 0);
});

test('after the end only its record stays, and is swept after thirty days; open jobs are not', async (t) => {
  const root = await newRoot(t);
  const names = async (jobId: string): Promise<string[]> => {
    const path = jobFolderPath(`${root}/.dmg`, jobId);
    return (await readdir(path)).toSorted((a, b) => (a < b ? -1 : 1));
  };
  const done = await openSink(t, root);
  const large = { ...(await planFor(done, 'x', 1, 1024)), activityDigest: 'd'.repeat(5000) };
  const plan = await done.insertPlan(large, signal);
  await writeChunk(done, plan, 0, Buffer.from('content'));
  await done.finish(plan, receipt, signal);
  assert.deepEqual(await names('job-1'), ['begin', 'end']);
  assert.ok((await stat(join(jobFolderPath(`${root}/.dmg`, 'job-1'), 'begin'))).size < 100, 'a large plan was not dropped');
  await (await openSink(t, root, {}, 'job-2')).abort(signal);
  const empty = await openSink(t, root, {}, 'job-4');
  const nothing = { ...(await planFor(empty, 'z', 1, 1024)), jobId: 'job-4', targets: [] };
  await empty.finish(await empty.insertPlan(nothing, signal), receipt, signal);
  assert.deepEqual(await names('job-4'), ['begin', 'end']);
  assert.equal((await (await openSink(t, root, {}, 'job-4')).state(signal)).phase, 'done');
  const open = await openSink(t, root, {}, 'job-3');
  await open.insertPlan(await planFor(open, 'y', 1, 1024), signal);
  const sweepAll = async (days: number): Promise<number> => {
    const clock = new ManualClock({ wallMs: (await stat(root)).mtimeMs + days * 86_400_000 });
    let swept = 0;
    for (let shard = 0; shard < 256; shard++) {
      const random = { ...seededRandom(1), bytes: () => Uint8Array.of(shard) };
      swept += await sweepEndedJobs({ files: new PosixFiles(root), clock, random, jobs: `${root}/.dmg/jobs` });
    }
    return swept;
  };
  assert.equal(await sweepAll(29), 0);
  assert.equal(await sweepAll(31), 3);
  assert.equal((await open.state(signal)).phase, 'open');
  assert.equal((await (await openSink(t, root)).state(signal)).phase, 'none');
});
