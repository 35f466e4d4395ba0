import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId, silentLogger, systemClock, systemRandom } from '@dmg/base';
import type { Connector } from '@dmg/connector-api';
import { fileConnector } from '@dmg/connector-file';
import { runCopy } from '@dmg/engine';
import type { AttemptOutcome, CopyEnd, Job } from '@dmg/model';

/** The file connector on a disk that runs `meanwhile` when everything was written, before it is read again. */
function onDisk(meanwhile: () => Promise<void>): Connector {
  return {
    spec: fileConnector.spec,
    check: (end, context) => fileConnector.check(end, context),
    openSource: (end, context) => fileConnector.openSource(end, context),
    async openSink(end, job, context) {
      const sink = await fileConnector.openSink(end, job, context);
      const openStaged = sink.openStaged?.bind(sink);
      return Object.assign(sink, {
        openStaged: async (...call: Parameters<NonNullable<typeof sink.openStaged>>) => {
          await meanwhile();
          return openStaged?.(...call);
        },
      });
    },
  };
}

/** Flips one bit in the middle of each part that lies below `folder`. */
async function tamper(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!/\/parts\/\d+\.\d+\.[^/]*$/.test(name) || name.endsWith('.facts')) continue;
    const handle = await open(join(folder, name), 'r+');
    const { size } = await handle.stat();
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, size >> 1);
    await handle.write(Buffer.from([(byte[0] ?? 0) ^ 4]), 0, 1, size >> 1);
    await handle.close();
  }
}

test('files that a disk has changed between write and finish fail the copy, and are not published', { timeout: 30_000 }, async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'dmg-reread-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'in'));
  const content = Buffer.alloc(3_000_000, 'content ');
  await writeFile(join(root, 'in/data.bin'), content);
  const end = (folderPath: string): CopyEnd =>
    ({ connector: 'file', connection: { host: root }, location: { folderPath }, settings: {}, format: { type: 'Binary' } });
  const copy = (folder: string, connector: Connector): Promise<AttemptOutcome> => {
    const job: Job = {
      formatVersion: 1, jobId: newId(systemRandom), gatewayId: 'g', tryNumber: 1, finalTry: true,
      origin: { factoryName: 'f', pipelineName: 'p', runId: 'r', activityName: 'a', activityRunId: 'run' },
      policy: { timeoutMs: 30_000, retry: 0, retryIntervalMs: 1000 },
      activity: { type: 'Copy', parallelCopies: 0, validateDataConsistency: true, source: end('in'), sink: end(folder) },
    };
    return runCopy({
      job, attemptId: newId(systemRandom), nodeName: 'n', epoch: '1.a', clock: systemClock, random: systemRandom, logger: silentLogger,
      connectors: new Map([['file', connector]]), secrets: { source: new Map(), sink: new Map() }, signal: new AbortController().signal,
    });
  };
  const good = await copy('good', onDisk(() => Promise.resolve()));
  assert.equal(good.kind === 'succeeded' ? good.receipt.verification : JSON.stringify(good), 'reread');
  assert.ok(content.equals(await readFile(join(root, 'good/data.bin'))));
  const bad = await copy('bad', onDisk(() => tamper(root)));
  assert.equal(bad.kind === 'failed' ? bad.fault.code : JSON.stringify(bad), 'DMG_ENGINE_INCONSISTENT');
  assert.match(bad.kind === 'failed' ? bad.fault.message : '', /data\.bin: its chunk 0/);
  const left = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('data.bin'));
  assert.deepEqual(left.toSorted(), ['good/data.bin', 'in/data.bin']);
});
