import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, silentLogger, silentMeter, systemClock } from '@dmg/base';
import { connectorErrors, type SideFiles } from '@dmg/connector-api';
import { formatErrors } from '@dmg/formats';
import type { CopyLog, Mark, Plan } from '@dmg/model';
import { defaultEngineLimits } from './engine-limits.ts';
import { RefusedRows } from './refused-rows.ts';
import { sessionLines } from './session-log.ts';
import { csvLine, SkippedRows } from './skipped-rows.ts';
import { StoreCalls } from './store-calls.ts';
import { codeOf, CopyFixture, csv, makeJob, semicolons } from './testing/copy-fixture.ts';

const { signal } = new AbortController();

/** Skipped rows that go to a file in memory. */
function skippedRows() {
  const pieces: Buffer[] = [];
  const ends: string[] = [];
  const files: SideFiles = {
    create: () => Promise.resolve({
      append: (bytes) => Promise.resolve(void pieces.push(Buffer.from(bytes))),
      end: () => Promise.resolve(void ends.push('end')),
      discard: () => Promise.resolve(void ends.push('discard')),
    }),
    keep: () => Promise.resolve(), kept: () => Promise.resolve(undefined), publish: () => Promise.resolve(true),
    clear: () => Promise.resolve(), close: () => Promise.resolve(),
  };
  const calls = new StoreCalls({
    clock: systemClock, random: seededRandom(1), logger: silentLogger, meter: silentMeter, limits: defaultEngineLimits,
  });
  const log = { path: 'x', form: 'rows' as const, open: () => Promise.resolve(files) };
  return { pieces, ends, rows: new SkippedRows({ log, calls, clock: systemClock }) };
}

const error = connectorErrors.BAD_SETTING.create({ name: 'n', reason: 'r', remedy: '' });

test('redirected rows are written as they are, byte for byte, and not kept in memory', async () => {
  const { pieces, ends, rows } = skippedRows();
  const text = Buffer.concat([Buffer.from([0xff, 0xe9]), Buffer.alloc(100_000, 'x')]);
  for (let row = 1; row <= 40; row++) {
    rows.take({ error, row, text });
    await rows.flush(signal);
  }
  assert.ok(pieces.length > 1, 'much is written before the end');
  assert.equal(await rows.end(signal), 40);
  const written = Buffer.concat(pieces);
  assert.equal(written.at(-1), 10);
  assert.equal(written.toString('latin1').split('\n').length, 42);
  assert.ok(written.includes(Buffer.concat([Buffer.from('\n'), text, Buffer.from(',DMG_')])));
  assert.deepEqual(ends, ['end']);
  const small = skippedRows();
  for (let row = 1; row <= 3; row++) {
    small.rows.take({ error, row, text: Buffer.from('short') });
    await small.rows.flush(signal);
  }
  assert.equal(small.pieces.length, 0, 'little is written at once');
  const given = skippedRows();
  given.rows.take({ error, row: 1, text: Buffer.alloc(5_000_000, 'y') });
  await given.rows.flush(signal);
  await given.rows.discard();
  assert.deepEqual(given.ends, ['discard']);
});

test('a field of the log is quoted where it has to be', () => {
  assert.equal(csvLine(['a', ' b', 'c ', 'd"e', 'f\ng', 'h,i', 'j\rk']).toString(), 'a," b","c ","d""e","f\ng","h,i","j\rk"\n');
});

test('only a refusal that names one row of the chunk makes it written again without that row', () => {
  const refused = new RefusedRows();
  const facts = { column: 'c', row: 1, file: 'f', position: 0, sourceType: 'String', sinkType: 'Int32', reason: 'r', value: 'v' };
  const row = (line: number): Error => formatErrors.INVALID_VALUE.create({ ...facts, line });
  assert.equal(refused.note(error), false);
  assert.equal(refused.note(new Error('line 1')), false);
  assert.equal(refused.note(row(0)), false);
  assert.equal(refused.note(row(2)), true);
  assert.equal(refused.note(row(2)), true);
  assert.deepEqual([...refused.errors.keys()], [1, 2]);
});

test('a session log says nothing of reading and writing where a file was skipped, and calls a table a table', () => {
  const source = { path: 'a', sizeBytes: 3, identity: 'i' };
  const plan: Plan = {
    formatVersion: 1, jobId: 'j', generation: 1, activityDigest: '', sourceKind: 'addressable', representation: 'bytes', partBytes: 1,
    targets: [{ target: 0, path: 'a', base: 'absent', sources: [source], cutting: { kind: 'streams' } }],
  };
  const mark: Mark = { target: 0, chunk: 0, attemptId: 'x', bytes: 0, rows: 0, hash: '0'.repeat(16), sourceStart: 0, sourceEnd: 3 };
  const level: CopyLog['level'] = 'Info';
  const names = (marks: Mark[], sourceType: 'Binary' | 'Table'): string[] => {
    const { activity } = makeJob(sourceType === 'Table' ? { sourceFormat: { type: 'Table' } } : {});
    const lines = sessionLines({ plan, marks: [marks], activity, level, clock: systemClock });
    return lines.slice(1).map((line) => line.toString().split(',')[2] ?? '');
  };
  assert.deepEqual(names([{ ...mark, fileSkipped: 'missing' }], 'Binary'), ['FileSkip']);
  assert.deepEqual(names([mark], 'Binary'), ['FileRead', 'FileWrite']);
  assert.deepEqual(names([mark], 'Table'), ['TabularRead', 'FileWrite']);
});

test('without the switch the first bad row fails the copy', async () => {
  const fixture = new CopyFixture();
  fixture.source.put('in/t.csv', 'id,name\n1,a\n2,b,c\n');
  assert.match(codeOf(await fixture.run(makeJob({ sourceFormat: csv, sinkFormat: semicolons }))), /^DMG_FORMATS_/);
});
