import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineErrors } from '@dmg/base';
import type { ChunkWriter, Connector, Sink } from '@dmg/connector-api';
import { RefusedRows, refusedRowsMax } from './refused-rows.ts';
import { codeOf, csv, receiptOf } from './testing/copy-fixture.ts';
import { fileEnd, tableEnd, tableJob, TableFixture } from './testing/table-fixture.ts';

const tableErrors = defineErrors('TABLE', {
  REFUSED: { category: 'config', retry: 'never', scope: 'row', message: 'Cannot write a row: line {line}.', fix: 'Correct it.' },
});

/** A table that refuses a chunk for its first row with `bad` in it, as a server does: when it has all of it, by its line. */
function refusing(connector: Connector): Connector {
  const writerOf = (writer: ChunkWriter): ChunkWriter => {
    const parts: Uint8Array[] = [];
    return {
      async writePart(part, bytes, signal) {
        parts[part] = Uint8Array.from(bytes);
        await writer.writePart(part, bytes, signal);
      },
      mark(facts, last, signal) {
        parts[last.part] = Uint8Array.from(last.bytes);
        const line = Buffer.concat(parts).toString().split('\n').findIndex((row) => row.includes('bad'));
        if (line >= 0) throw tableErrors.REFUSED.create({ line: line + 1 });
        return writer.mark(facts, last, signal);
      },
      discard: () => writer.discard(),
    };
  };
  const sinkOf = (sink: Sink): Sink => new Proxy(sink, {
    get(target, name) {
      if (name === 'openChunk') return async (...given: Parameters<Sink['openChunk']>) => writerOf(await target.openChunk(...given));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) as unknown : value;
    },
  });
  return { ...connector, openSink: async (...given) => sinkOf(await connector.openSink(...given)) };
}

async function copy(rows: readonly string[], skipIncompatibleRows: boolean) {
  const fixture = new TableFixture();
  fixture.files.source.put('in/t.csv', `id,name\n${rows.join('\n')}\n`);
  fixture.db1.create('t', ['id', 'name']);
  const job = tableJob(fileEnd('a', csv, { fileName: 't.csv', folderPath: 'in' }), tableEnd('db1', 't'), { skipIncompatibleRows });
  const outcome = await fixture.run(job, { connectors: fixture.connectors(refusing) });
  return { fixture, outcome };
}

test('rows that the table refuses are left out, exactly these, besides those that cannot be read', async () => {
  const rows = Array.from({ length: 400 }, (_, id) => (id % 50 === 7 ? `${id}` : `${id},"${id % 9 === 4 ? 'bad' : 'good'}, ${id}"`));
  const { fixture, outcome } = await copy(rows, true);
  const receipt = receiptOf(outcome);
  const good = rows.filter((row) => row.includes('good')).map((row) => row.split(',')[0]);
  assert.deepEqual(fixture.db1.tables.get('t')?.rows.map(([id]) => id), good);
  assert.deepEqual([receipt.rowsRead, receipt.rowsWritten, receipt.rowsSkipped], [400, good.length, 400 - good.length]);
  assert.equal(fixture.openHandles, 0);
});

test('without the switch the first refusal fails the copy; with it, too many do', async () => {
  const { outcome } = await copy(['1,bad'], false);
  assert.equal(codeOf(outcome), tableErrors.REFUSED.code);
  const refused = new RefusedRows();
  for (let row = 0; row < refusedRowsMax; row++) assert.equal(refused.note(tableErrors.REFUSED.create({ line: 1 })), true);
  assert.deepEqual([...refused.errors.keys()], Array.from({ length: refusedRowsMax }, (_, row) => row));
  assert.throws(() => refused.note(tableErrors.REFUSED.create({ line: 1 })), { code: 'DMG_ENGINE_TOO_MANY_REFUSED' });
  assert.equal(new RefusedRows().note(new Error('no row')), false);
});

test('a line is counted among the rows that were still handed over', () => {
  const refused = new RefusedRows();
  for (const line of [3, 3, 1, 6]) refused.note(tableErrors.REFUSED.create({ line }));
  assert.deepEqual([...refused.errors.keys()], [2, 3, 0, 8]);
});
