import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyEnd, JsonObject } from '@dmg/model';
import { Findings } from './findings.ts';
import { resolveSkipFiles } from './skip-files.ts';
import { binaryCopy, pipelineOf, refuses, resolve, textCopy, warningsOf, withValue } from './testing/fixtures.ts';

const day = { parameters: { day: 'd' } };

function skipping(value: JsonObject, activity: JsonObject = binaryCopy) {
  return resolve(pipelineOf(withValue(activity, 'typeProperties.skipErrorFile', value), { day: { type: 'String' } }), day)[0];
}

test('skipErrorFile names what is skipped; missing files are, unless it says no', () => {
  const all = { fileMissing: true, fileForbidden: true, dataInconsistency: true };
  assert.deepEqual(skipping({})?.activity.skipFiles, ['missing']);
  assert.deepEqual(skipping(all)?.activity.skipFiles, ['missing', 'forbidden', 'changed']);
  assert.equal(skipping({ fileMissing: false })?.activity.skipFiles, undefined);
  const one = skipping(all, textCopy);
  assert.equal(one?.activity.skipFiles, undefined);
  assert.ok(warningsOf(one?.warnings ?? []).some((text) => text.includes('names a single file')));
});

test('files that are merged are not skipped, and names are not left to chance', () => {
  const findings = new Findings();
  const end = (type: 'Binary' | 'Table', settings: JsonObject = {}): CopyEnd =>
    ({ connector: 'disk', connection: {}, location: {}, settings, format: { type } });
  const skips = { reasons: ['missing'] as const, at: 'skipErrorFile' };
  resolveSkipFiles(skips, { source: end('Binary'), sink: end('Binary', { copyBehavior: 'MergeFiles' }) }, findings);
  resolveSkipFiles(skips, { source: end('Binary'), sink: end('Table') }, findings);
  assert.equal(findings.failed, true);
  assert.deepEqual(findings.problems.map(({ message }) => /MergeFiles|table /.exec(message)?.[0]), ['MergeFiles', 'table ']);
  refuses(() => skipping({ invalidFileName: true }), 'INVALID_DEFINITION', 'invalidFileName is not supported');
});
