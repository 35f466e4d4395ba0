import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { isDmgError, StopReason } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { JsonObject } from '@dmg/model';
import { assertBytes, bytesOf, codeOf, listAll, patternBytes, readAll } from './copying.ts';
import type { Bench, ContractCheck } from './fixture.ts';

const names = ['a.csv', 'b.txt', 'sub/c.csv', 'sub/deep/d.csv', 'sub-1/e.csv', 'sub.x/f.csv', 'Ünï/ç.csv', 'zz/€.csv', 'zz/😀.csv'];

async function filled(bench: Bench): Promise<void> {
  for (const name of names) await bench.fixture.put(`in/${name}`, bytesOf(name));
  await bench.fixture.put('outside.csv', bytesOf('x'));
  await bench.fixture.put('in/.dmg/jobs/x', bytesOf('x'));
  await bench.fixture.put('in/sub/.dmg-note', bytesOf('x'));
}

async function listed(bench: Bench, location: JsonObject, settings: JsonObject): Promise<string[]> {
  return (await listAll(await bench.source(location, settings))).map(({ path }) => path);
}

export const sourceChecks: readonly ContractCheck[] = [
  {
    name: 'check accepts a good end and refuses bad ones with a code, a sentence and a remedy, without a secret',
    async run({ fixture }) {
      await fixture.connector.check(fixture.sourceEnd(), fixture.context);
      assert.ok(fixture.badEnds.length > 0, 'the fixture names no bad end');
      for (const bad of fixture.badEnds) {
        const error: unknown = await fixture.connector.check(bad.end, bad.context).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        assert.ok(isDmgError(error), `${bad.name}: ${inspect(error)}`);
        assert.equal(error.code, bad.code, `${bad.name}: ${error.message}`);
        assert.match(error.message, /^Cannot .+\.$/s);
        assert.notEqual(error.fix, '');
        assert.doesNotMatch(error.message + error.fix, /\{\w+\}/, 'a place was not filled');
        const shown = `${JSON.stringify(error.toFault())} ${inspect(error, { depth: 10 })}`;
        for (const secret of fixture.secrets) assert.ok(!shown.includes(secret), `${bad.name}: the error shows a secret`);
      }
    },
  },
  {
    name: 'list gives everything below the folder in order of path, with sizes, and none of our work files',
    async run(bench) {
      await filled(bench);
      const objects = await listAll(await bench.source({ folderPath: 'in' }, { recursive: true }));
      const expected = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(objects.map(({ path }) => path), expected);
      for (const object of objects) {
        assert.equal(object.sizeBytes, bytesOf(object.path).length);
        assert.notEqual(object.identity, '');
      }
      assert.equal(new Set(objects.map(({ identity }) => identity)).size, objects.length, 'identities are not distinct');
    },
  },
  {
    name: 'list without recursion stays in the folder',
    async run(bench) {
      await filled(bench);
      assert.deepEqual(await listed(bench, { folderPath: 'in' }, { recursive: false }), ['a.csv', 'b.txt']);
    },
  },
  {
    name: 'list takes wildcards in names and folders',
    async run(bench) {
      await filled(bench);
      assert.deepEqual(await listed(bench, { folderPath: 'in' }, { recursive: false, wildcardFileName: '*.csv' }), ['a.csv']);
      const deep = await listed(bench, { folderPath: 'in' }, { recursive: true, wildcardFileName: '?.csv' });
      assert.deepEqual(deep, ['a.csv', 'sub-1/e.csv', 'sub.x/f.csv', 'sub/c.csv', 'sub/deep/d.csv', 'zz/€.csv', 'zz/😀.csv', 'Ünï/ç.csv']);
      assert.deepEqual(
        await listed(bench, {}, { recursive: false, wildcardFolderPath: 'in/sub?1', wildcardFileName: '*' }), ['sub-1/e.csv'],
      );
      const wild = await listed(bench, {}, { recursive: true, wildcardFolderPath: 'in/s*', wildcardFileName: '*.csv' });
      assert.deepEqual(wild, ['sub-1/e.csv', 'sub.x/f.csv', 'sub/c.csv', 'sub/deep/d.csv']);
      assert.deepEqual(await listed(bench, { folderPath: 'in' }, { recursive: true, wildcardFileName: '*.nothing' }), []);
    },
  },
  {
    name: 'list names one object, and a missing one is an error',
    async run(bench) {
      await filled(bench);
      assert.deepEqual(await listed(bench, { folderPath: 'in/sub', fileName: 'c.csv' }, {}), ['c.csv']);
      assert.equal(await codeOf(listed(bench, { folderPath: 'in', fileName: 'no.csv' }, {})), connectorErrors.SOURCE_NOT_FOUND.code);
    },
  },
  {
    name: 'list filters by time of modification',
    async run(bench) {
      await filled(bench);
      const [first] = await listAll(await bench.source({ folderPath: 'in', fileName: 'a.csv' }));
      assert.ok(first?.lastModifiedMs !== undefined);
      const at = (offsetMs: number): string => new Date((first.lastModifiedMs ?? 0) + offsetMs).toISOString();
      const day = 86_400_000;
      const between = (start: string, end: string): Promise<string[]> =>
        listed(bench, { folderPath: 'in' }, { recursive: false, modifiedDatetimeStart: start, modifiedDatetimeEnd: end });
      assert.deepEqual(await between(at(-day), at(day)), ['a.csv', 'b.txt']);
      assert.deepEqual(await between(at(day), at(2 * day)), []);
      assert.deepEqual(await between(at(-2 * day), at(-day)), []);
      assert.equal(await codeOf(between('yesterday', at(0))), connectorErrors.BAD_SETTING.code);
    },
  },
  {
    name: 'paths that leave the root, or mean our work files, are refused',
    async run(bench) {
      await filled(bench);
      for (const folderPath of ['..', '../other', 'in/../..', 'in/./x', '.dmg', '.dmg/jobs']) {
        assert.equal(await codeOf(listed(bench, { folderPath }, { recursive: true })), connectorErrors.BAD_PATH.code, folderPath);
      }
      assert.equal(await codeOf(listed(bench, { folderPath: 'in', fileName: '../outside.csv' }, {})), connectorErrors.BAD_PATH.code);
      const sink = await bench.sink('a');
      for (const path of ['../x', 'a/../../x', '.dmg/x', 'a/.dmg-x/y', '', 'a//b', 'a\0b']) {
        assert.equal(await codeOf(sink.bases([path], bench.signal)), connectorErrors.BAD_PATH.code, path);
      }
    },
  },
  {
    name: 'read gives exact ranges, fewer bytes only at the end',
    async run(bench) {
      const bytes = patternBytes(10_007, 1);
      await bench.fixture.put('in/data', bytes);
      await bench.fixture.put('in/empty', new Uint8Array());
      const source = await bench.source({ folderPath: 'in' }, { recursive: true });
      const [data, empty] = await listAll(source);
      assert.ok(data !== undefined && empty !== undefined);
      assertBytes(await readAll(source, data), bytes, 'data');
      for (const [position, length] of [[0, 1], [5000, 17], [10_000, 7], [10_000, 100], [10_006, 1], [10_007, 5], [20_000, 5]] as const) {
        const into = new Uint8Array(length);
        const count = await source.read(data, position, into, bench.signal);
        const expected = bytes.subarray(position, position + length);
        assertBytes(into.subarray(0, count), expected, `${length} at ${position}`);
      }
      assert.equal(await source.read(empty, 0, new Uint8Array(10), bench.signal), 0);
    },
  },
  {
    name: 'reads in parallel do not mix',
    async run(bench) {
      const contents = [patternBytes(50_000, 2), patternBytes(50_000, 3)];
      await bench.fixture.put('in/0', contents[0] ?? new Uint8Array());
      await bench.fixture.put('in/1', contents[1] ?? new Uint8Array());
      const source = await bench.source({ folderPath: 'in' }, { recursive: true });
      const objects = await listAll(source);
      const reads = Array.from({ length: 40 }, async (_, index) => {
        const object = objects[index % 2];
        assert.ok(object !== undefined);
        const position = index * 1201;
        const into = new Uint8Array(2000);
        const count = await source.read(object, position, into, bench.signal);
        assertBytes(
          into.subarray(0, count), contents[index % 2]?.subarray(position, position + 2000) ?? new Uint8Array(), `2000 at ${position}`,
        );
      });
      await Promise.all(reads);
    },
  },
  {
    name: 'a source that was changed since it was listed is not read',
    async run(bench) {
      await bench.fixture.put('in/data', bytesOf('one one one'));
      const source = await bench.source({ folderPath: 'in' }, { recursive: true });
      const [object] = await listAll(source);
      assert.ok(object !== undefined);
      await readAll(source, object);
      await bench.fixture.put('in/data', bytesOf('two two two'));
      assert.equal(await codeOf(readAll(source, object)), connectorErrors.SOURCE_CHANGED.code);
      const later = await bench.source({ folderPath: 'in' }, { recursive: true });
      assert.equal(await codeOf(readAll(later, object)), connectorErrors.SOURCE_CHANGED.code);
      await bench.fixture.take('in/data');
      const last = await bench.source({ folderPath: 'in' }, { recursive: true });
      assert.equal(await codeOf(readAll(last, object)), connectorErrors.SOURCE_CHANGED.code);
    },
  },
  {
    name: 'a cancelled read rejects with the reason and frees what it held',
    async run(bench) {
      await bench.fixture.put('in/data', patternBytes(300_000, 4));
      const source = await bench.source({ folderPath: 'in' }, { recursive: true });
      const [object] = await listAll(source);
      assert.ok(object !== undefined);
      const controller = new AbortController();
      const reason = new StopReason('cancelled');
      const into = new Uint8Array(300_000);
      const reading = source.read(object, 0, into, controller.signal).then(
        () => undefined,
        (error: unknown) => error,
      );
      controller.abort(reason);
      const outcome = await reading;
      assert.ok(outcome === undefined || outcome === reason, `rejected with ${inspect(outcome)}`);
      await assert.rejects(source.read(object, 0, into, controller.signal), (error) => error === reason);
      await assert.rejects(
        async () => {
          for await (const item of source.list(controller.signal)) assert.fail(`listed ${item.path}`);
        },
        (error) => error === reason,
      );
      await bench.close();
      assert.equal(await bench.fixture.openHandles(), 0);
    },
  },
];
