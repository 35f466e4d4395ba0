import assert from 'node:assert/strict';
import type { SideFiles } from '@dmg/connector-api';
import type { Bench, ContractCheck } from './fixture.ts';

const folder = { folderPath: 'logs/deep' };

async function write(files: SideFiles, path: string, pieces: readonly string[], signal: AbortSignal): Promise<void> {
  const file = await files.create(path, signal);
  for (const piece of pieces) await file.append(Buffer.from(piece), signal);
  await file.end(signal);
}

async function shown(bench: Bench): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of await bench.fixture.paths()) found[path] = Buffer.from((await bench.fixture.get(path)) ?? []).toString();
  return found;
}

export const sideFileChecks: readonly ContractCheck[] = [
  {
    name: 'side files are seen when they are published, whole and under their name, also by another attempt and twice',
    async run(bench) {
      const first = await bench.sideFiles('a', folder);
      if (first === undefined) return;
      await write(first, 'run 1/one.csv', ['a,', 'b\n'], bench.signal);
      await write(first, 'run 1/two.csv', ['never published'], bench.signal);
      assert.deepEqual(await shown(bench), {});
      const second = await bench.sideFiles('b', folder);
      assert.equal(await second?.publish('run 1/one.csv', bench.signal), true);
      assert.equal(await second?.publish('run 1/one.csv', bench.signal), true);
      assert.equal(await second?.publish('run 1/nothing.csv', bench.signal), false);
      assert.deepEqual(await shown(bench), { 'logs/deep/run 1/one.csv': 'a,b\n' });
      await second?.clear(bench.signal);
      await first.clear(bench.signal);
      assert.deepEqual(await shown(bench), { 'logs/deep/run 1/one.csv': 'a,b\n' });
    },
  },
  {
    name: 'a side file that is begun again, or never ends, leaves nothing of what was before',
    async run(bench) {
      const files = await bench.sideFiles('a', folder);
      if (files === undefined) return;
      const left = await files.create('x.csv', bench.signal);
      await left.append(Buffer.from('half a line'), bench.signal);
      await left.discard();
      assert.equal(await files.publish('x.csv', bench.signal), false);
      const open = await files.create('x.csv', bench.signal);
      await open.append(Buffer.alloc(5_000_000, 'z'), bench.signal);
      const again = await bench.sideFiles('a', folder);
      if (again !== undefined) await write(again, 'x.csv', ['whole'], bench.signal);
      assert.equal(await again?.publish('x.csv', bench.signal), true);
      assert.deepEqual(await shown(bench), { 'logs/deep/x.csv': 'whole' });
    },
  },
  {
    name: 'texts that are kept are seen by other attempts of the job only, and the first one stays',
    async run(bench) {
      const first = await bench.sideFiles('a', folder);
      if (first === undefined) return;
      assert.equal(await first.kept('list', bench.signal), undefined);
      await first.keep('list', '["é"]', bench.signal);
      const second = await bench.sideFiles('b', folder);
      await second?.keep('list', 'later', bench.signal);
      assert.equal(await second?.kept('list', bench.signal), '["é"]');
      assert.equal(await (await bench.sideFiles('c', folder, 'other'))?.kept('list', bench.signal), undefined);
      assert.deepEqual(await shown(bench), {});
      await second?.clear(bench.signal);
      assert.equal(await first.kept('list', bench.signal), undefined);
    },
  },
];
