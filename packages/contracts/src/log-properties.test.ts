import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, JsonValue } from '@dmg/model';
import { logPathOf } from './log-properties.ts';
import { binaryCopy, pipelineOf, refuses, resolve, textCopy, warningsOf, withValue } from './testing/fixtures.ts';

const store = { referenceName: 'store', type: 'LinkedServiceReference' };
const day = { parameters: { day: 'd' } };

function copyWith(values: JsonObject, activity: JsonObject = textCopy) {
  const changed = Object.entries(values).reduce((json, [name, value]) => withValue(json, `typeProperties.${name}`, value), activity);
  return resolve(pipelineOf(changed, { day: { type: 'String' } }), day)[0];
}

function wrong(values: Record<string, JsonValue>, ...parts: string[]): void {
  refuses(() => copyWith(values), parts.some((part) => /no such|no store/.test(part)) ? 'CANNOT_RUN' : 'INVALID_DEFINITION', ...parts);
}

test('skipped rows are redirected to a file or blob store, in the forms of both versions', () => {
  const place = { linkedServiceName: store, path: '/bad/rows/' };
  const blob = copyWith({ enableSkipIncompatibleRow: true, redirectIncompatibleRowSettings: place });
  assert.equal(blob?.activity.skipIncompatibleRows, true);
  const { log } = blob.activity;
  assert.deepEqual([log?.form, log?.store.connector, log?.store.location], ['rows', 'blob', { container: 'bad', folderPath: 'rows' }]);
  assert.ok(log !== undefined && 'connectionString' in log.store.connection);
  assert.equal(logPathOf(log, 'run'), 'bad/rows/run/');
  const disk = copyWith({ enableSkipIncompatibleRow: true, redirectIncompatibleRowSettings: { linkedServiceName: 'files', path: 'bad' } });
  assert.deepEqual(disk?.activity.log?.store.location, { folderPath: 'bad' });
});

test('a session log has a level and a place', () => {
  const settings = { enableCopyActivityLog: true, logLocationSettings: { linkedServiceName: store, path: 'logs' } };
  assert.deepEqual(
    [copyWith({ logSettings: settings })?.activity.log?.level, copyWith({ logSettings: settings })?.activity.log?.form],
    ['Warning', 'session'],
  );
  const details = { logLevel: 'info', enableReliableLogging: true };
  assert.equal(copyWith({ logSettings: { ...settings, copyActivityLogSettings: details } })?.activity.log?.level, 'Info');
  assert.equal(copyWith({ logSettings: { ...settings, enableCopyActivityLog: false } })?.activity.log, undefined);
  const older = copyWith({ logStorageSettings: { linkedServiceName: store, path: 'logs', logLevel: 'Info' } });
  assert.deepEqual([older?.activity.log?.level, older?.activity.log?.form], ['Info', 'session']);
  assert.equal(copyWith({ enableSkipIncompatibleRow: true }, binaryCopy)?.activity.skipIncompatibleRows, undefined);
});

test('what is wrong with a log is told before anything runs', () => {
  wrong({ logSettings: {} }, 'logLocationSettings is missing');
  const at = (place: JsonObject): Record<string, JsonValue> => ({ logSettings: { logLocationSettings: place } });
  wrong(at({ linkedServiceName: { ...store, referenceName: 'nobody' }, path: 'x' }), 'nobody', 'no such linked service');
  wrong(at({ linkedServiceName: { ...store, referenceName: 'house' }, path: 'x' }), 'no store of files');
  refuses(() => copyWith(at({ linkedServiceName: store })), 'CANNOT_RUN', 'path is missing; give CONTAINER');
  wrong(at({ linkedServiceName: store, path: 'c/../d' }), '`..`');
  const redirect = { linkedServiceName: store, path: 'x' };
  wrong({ ...at(redirect), enableSkipIncompatibleRow: true, redirectIncompatibleRowSettings: redirect }, 'cannot stand beside logSettings');
  const idle = copyWith({ redirectIncompatibleRowSettings: redirect });
  assert.equal(idle?.activity.log, undefined);
  assert.ok(warningsOf(idle?.warnings ?? []).some((text) => text.includes('enableSkipIncompatibleRow is not true')));
});
