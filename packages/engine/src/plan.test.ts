import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyActivity, DataFormat, Job, Plan, SourceObject } from '@dmg/model';
import { activityDigest } from './activity-digest.ts';
import { engineErrors } from './errors.ts';
import { negotiate } from './negotiation.ts';
import { checkOverlap } from './overlap.ts';
import { checkPlan, makePlan, type PlanDraft } from './plan.ts';
import { layoutTargets } from './target-layout.ts';
import { csv, type JobShape, makeJob, semicolons } from './testing/copy-fixture.ts';

const objects = (...paths: string[]): SourceObject[] => paths.map((path) => ({ path, sizeBytes: 5, identity: 'x' }));
const layout = (shape: JobShape, sources: SourceObject[]): string[] => {
  const job = makeJob(shape);
  return layoutTargets({ jobId: job.jobId, activity: job.activity, sources }).map((target) => target.path);
};

test('negotiation', () => {
  const binary: DataFormat = { type: 'Binary' };
  const mappings = [{ source: { name: 'a' }, sink: { name: 'b' } }];
  const translator = { mappings, typeConversion: true, typeConversionSettings: { allowDataTruncation: true, treatBooleanAsNumber: false } };
  const table: [string, DataFormat, DataFormat, Partial<CopyActivity>, JobShape, 'bytes' | 'rows' | 'refused'][] = [
    ['binary', binary, binary, {}, {}, 'bytes'],
    ['binary merged', binary, binary, {}, { copyBehavior: 'mergefiles' }, 'bytes'],
    ['same text', csv, csv, {}, {}, 'bytes'],
    ['same text, conversion without mapping', csv, csv, { translator: { ...translator, mappings: [] } }, {}, 'bytes'],
    ['same text, mapping', csv, csv, { translator }, {}, 'rows'],
    ['same text merged', csv, csv, {}, { copyBehavior: 'MergeFiles' }, 'rows'],
    ['another delimiter', csv, semicolons, {}, {}, 'rows'],
    ['lines to skip', { ...csv, skipLineCount: 1 }, csv, {}, {}, 'rows'],
    ['all quoted', csv, { ...csv, quoteAllText: true }, {}, {}, 'rows'],
    ['binary to text', binary, csv, {}, {}, 'refused'],
    ['text to binary', csv, binary, {}, {}, 'refused'],
  ];
  for (const [name, sourceFormat, sinkFormat, activity, shape, expected] of table) {
    const run = (): string => negotiate(makeJob({ sourceFormat, sinkFormat, activity, ...shape }).activity);
    if (expected === 'refused') assert.throws(run, { code: engineErrors.FORMATS_MIXED.code }, name);
    else assert.equal(run(), expected, name);
  }
});

test('targets keep their place, are flattened to distinct names, or merged', () => {
  assert.deepEqual(layout({}, objects('a.csv', 'b/c.csv')), ['a.csv', 'b/c.csv']);
  assert.deepEqual(layout({}, []), []);
  const flat = layout({ copyBehavior: 'flattenhierarchy' }, objects('x/a.csv', 'y/a.csv', 'a'));
  assert.equal(new Set(flat).size, 3);
  assert.match(flat[0] ?? '', /^a_[0-9a-f]{12}\.csv$/);
  assert.deepEqual(flat, layout({ copyBehavior: 'FlattenHierarchy' }, objects('x/a.csv', 'y/a.csv', 'a')));
  assert.deepEqual(layout({ copyBehavior: 'MergeFiles', sinkFile: 'all.csv' }, objects('a', 'b')), ['all.csv']);
  assert.match(layout({ copyBehavior: 'MergeFiles' }, objects('a.csv', 'b.csv'))[0] ?? '', /^data_[0-9a-f]{12}\.csv$/);
});

test('a file name at the sink names one file only', () => {
  assert.deepEqual(layout({ sinkFile: 'new.csv' }, objects('b/old.csv')), ['new.csv']);
  assert.throws(() => layout({ sinkFile: 'new.csv' }, objects('a', 'b')), { code: engineErrors.ONE_NAME_FOR_MANY.code });
  assert.throws(() => layout({}, objects('a', 'a')), { code: engineErrors.TARGET_TWICE.code });
  assert.throws(() => layout({ copyBehavior: 'Sideways' }, objects('a')), { code: engineErrors.COPY_BEHAVIOR.code });
});

test('a copy onto one of its own sources is refused, beside them it is not', () => {
  const check = (shape: JobShape, secrets: { source: string; sink: string } = { source: '', sink: '' }): void => {
    const { activity } = makeJob(shape);
    const layouts = layoutTargets({ jobId: 'j', activity, sources: objects('a.csv', 'b/c.csv') });
    checkOverlap(activity, layouts, { source: new Map([['key', secrets.source]]), sink: new Map([['key', secrets.sink]]) });
  };
  const refused = { code: engineErrors.SOURCE_IS_TARGET.code };
  check({});
  check({ sinkStore: 'a' });
  assert.throws(() => check({ sinkStore: 'a', sinkFolder: 'in' }), refused);
  assert.throws(() => check({ sinkStore: 'a', sinkFolder: '/in/' }), refused);
  check({ sinkStore: 'a', sinkFolder: 'in/b' });
  check({ sinkStore: 'b', sinkFolder: 'in' });
  assert.throws(() => check({ sinkStore: 'a', sinkFolder: 'in', sinkFile: 'a.csv', copyBehavior: 'MergeFiles' }), refused);
  // Ciphertexts of one secret differ; what counts is the secret.
  const end = makeJob({ sinkStore: 'a', sinkFolder: 'in' }).activity;
  const encrypted = (text: string) => ({ store: 'a', key: { encryptedCredential: text } });
  const activity = { source: { ...end.source, connection: encrypted('c1') }, sink: { ...end.sink, connection: encrypted('c2') } };
  assert.throws(() => check({ activity }, { source: 's', sink: 's' }), refused);
  check({ activity }, { source: 's', sink: 'other' });
  // A file server's host is a folder: the same path under another root.
  const hosts = {
    source: { ...end.source, connection: { host: '/data/x' } },
    sink: { ...end.sink, connection: { host: '/data' }, location: { folderPath: 'x/in' } },
  };
  assert.throws(() => check({ activity: hosts }), refused);
});

test('the digest depends on the definition, not on the encryption of its secrets or the order of its keys', () => {
  const { activity } = makeJob();
  const withSecret = (text: string): CopyActivity => {
    const connection = { key: { encryptedCredential: text }, store: 'a' };
    return { ...activity, source: { ...activity.source, connection } };
  };
  assert.equal(activityDigest(withSecret('one')), activityDigest(withSecret('two')));
  assert.notEqual(activityDigest(withSecret('one')), activityDigest(activity));
  const reordered = Object.fromEntries(Object.entries(activity).reverse()) as CopyActivity;
  assert.equal(activityDigest(reordered), activityDigest(activity));
  assert.notEqual(activityDigest({ ...activity, parallelCopies: 3 }), activityDigest(activity));
});

test('a standing plan of another definition or version is refused', () => {
  const job = makeJob();
  const draft: PlanDraft = { representation: 'bytes', sourceKind: 'addressable', partBytes: 10, targets: [] };
  const make = (of: Job) => makePlan({ job: of, draft, bases: new Map() });
  const plan = make(job);
  checkPlan(plan, job);
  checkPlan(plan, { ...job, tryNumber: 2, finalTry: false });
  assert.throws(() => checkPlan(make(makeJob({ sinkFolder: 'else' })), job), { code: engineErrors.PLAN_MISMATCH.code });
  const later = JSON.parse(JSON.stringify({ ...plan, formatVersion: 2 })) as Plan;
  assert.throws(() => checkPlan(later, job), { code: engineErrors.PLAN_VERSION.code });
});
