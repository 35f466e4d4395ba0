import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CleanupScope } from '../harness/cleanup.ts';
import { type RunningProcess, spawnProcess, startProcess, startRoot } from '../harness/processes.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { waitFor, within } from '../harness/wait-for.ts';

// What a newcomer types, on a real `dmg up`. The tests build on each other, in this order.
const bin = fileURLToPath(new URL('../../packages/cli/bin/dmg.js', import.meta.url));
const scope = new CleanupScope();
let state: string;
let up: RunningProcess;
let ready: Record<string, unknown>;

async function startUp(nodes: number): Promise<void> {
  ({ process: up, ready } = await startRoot(scope, 'cli', {
    args: ['up', '--nodes', String(nodes), '--state', state],
    readyWithinMs: 60_000,
    stopWithinMs: 30_000,
  }));
}

before(
  async () => {
    state = await tempDir(scope);
    await startUp(1);
  },
  { timeout: 90_000 },
);
after(() => scope.close(), { timeout: 60_000 });

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(context: CleanupScope, args: readonly string[], env: Record<string, string> = {}): RunningProcess {
  return spawnProcess(context, { name: 'dmg', args: [bin, ...args], env: { DMG_STATE: state, ...env } });
}

async function dmg(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const local = new CleanupScope();
  const child = start(local, args, env);
  try {
    const { code } = await within(`dmg ${args.join(' ')}`, 60_000, child.exited);
    assert.ok(!/\n\s+at /.test(child.stderr), `no stack traces: ${child.stderr}`);
    return { code, out: child.stdout.join('\n'), err: child.stderr };
  } finally {
    await local.close();
  }
}

/** The result of a command that must succeed: without a terminal it is one line of JSON. */
async function ask<T>(...args: readonly string[]): Promise<T> {
  const { code, out, err } = await dmg(args);
  assert.equal(code, 0, err);
  assert.equal(err, '');
  return JSON.parse(out) as T;
}

interface Run {
  readonly runId: string;
  readonly status: string;
}

test('`dmg up` says where everything is in one line', () => {
  for (const key of ['endpoint', 'ca', 'token', 'subscriptionId', 'resourceGroupName', 'redis', 'serviceBus', 'blob']) {
    assert.equal(typeof ready[key], 'string', key);
  }
  const nodes = ready['nodes'] as { name: string; pid: number; metrics: string }[];
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ['node-1'],
  );
  assert.equal(up.stdout.length, 1);
});

test('the metrics of the node are served', async () => {
  const [node] = ready['nodes'] as { metrics: string }[];
  const text = await (await fetch(node?.metrics ?? '')).text();
  assert.match(text, /dmg_worker_slots\{state="free"\} \d/);
});

test('apply, run --wait, runs and gateway status do what the README says', async () => {
  const target = await tempDir(scope);
  const folder = await tempDir(scope);
  const example = fileURLToPath(new URL('../../docs/example/', import.meta.url));
  for (const name of await readdir(example)) {
    await writeFile(join(folder, name), (await readFile(join(example, name), 'utf8')).replace('/tmp/dmg-example', target));
  }
  assert.equal((await ask<{ applied: unknown[] }>('apply', '-f', folder)).applied.length, 5);
  const ended = await ask<Run>('run', 'copy-folder', '--wait');
  assert.equal(ended.status, 'Succeeded');
  assert.ok((await readdir(join(target, 'licences'))).length > 3);
  assert.ok((await ask<{ value: Run[] }>('runs')).value.some(({ runId }) => runId === ended.runId));
  const one = await ask<{ activities: { activityName: string }[] }>('runs', ended.runId);
  assert.deepEqual(
    one.activities.map(({ activityName }) => activityName),
    ['copy-licences'],
  );
  const status = JSON.stringify(await ask('gateway', 'status'));
  assert.match(status, /"nodeName":"node-1"/);
  assert.match(status, /"state":"Online"/);
});

test('errors say what, why and what to do, with the exit codes of the manual; --json makes them JSON', async () => {
  const anywhere = ['--endpoint', 'https://127.0.0.1:1', '--ca', String(ready['ca'])];
  const here = ['--endpoint', String(ready['endpoint']), '--ca', String(ready['ca'])];
  const broken = join(await tempDir(scope), 'broken.json');
  await writeFile(broken, '{"name": "x", "properties": {"type": 7}}');
  const cases: { args: string[]; env?: Record<string, string>; code: number; err: RegExp }[] = [
    { args: ['runs', '--hours', 'many'], code: 2, err: /DMG_CLI_USAGE: .*whole number from 1/ },
    { args: ['rus'], code: 2, err: /DMG_CLI_USAGE: .*unknown command 'rus' \(Did you mean/ },
    { args: ['run'], code: 2, err: /DMG_CLI_USAGE: .*missing required argument 'pipeline'/ },
    { args: ['gateway'], code: 2, err: /Usage: dmg gateway/ },
    { args: ['run', 'no-such-pipeline'], code: 4, err: /Cannot find the pipeline no-such-pipeline/ },
    { args: ['gateway', 'delete', 'no-such-gateway'], code: 4, err: /no-such-gateway/ },
    { args: ['runs', ...anywhere], env: { DMG_TOKEN: 'x' }, code: 3, err: /DMG_HTTPS_UNREACHABLE: Cannot reach https:\/\/127.0.0.1:1/ },
    { args: ['runs', ...here], env: { DMG_TOKEN: 'wrong' }, code: 4, err: /DMG_HTTPS_REFUSED/ },
    { args: ['runs', ...here], code: 2, err: /DMG_CLI_INCOMPLETE_CONTEXT: .*no token is given/ },
    { args: ['runs', '--endpoint', 'http://127.0.0.1:1'], code: 2, err: /DMG_CLI_INCOMPLETE_CONTEXT: .*no https address/ },
    { args: ['runs', '--state', '/nowhere'], code: 2, err: /DMG_CLI_NO_CONTEXT: .*\/nowhere\/up\.json/ },
    { args: ['apply', '-f', broken], code: 2, err: /DMG_CLI_BAD_DEFINITION: Cannot apply .*broken\.json/ },
    { args: ['up'], env: { DMG_LOG_LEVEL: 'loud' }, code: 2, err: /DMG_LIFECYCLE_BAD_SETTING: .*DMG_LOG_LEVEL/ },
    { args: ['up'], code: 4, err: /^up: DMG_CLI_ALREADY_UP_REFUSED: .*already running on the state folder .*\n {2}Use the one that runs/ },
  ];
  await Promise.all(
    cases.map(async ({ args, env, code, err }) => {
      const ended = await dmg(args, env);
      assert.equal(ended.code, code, `dmg ${args.join(' ')}: ${ended.err}`);
      assert.match(ended.err, err);
      assert.equal(ended.out, '');
    }),
  );
  for (const args of [
    ['--json', 'rus'],
    ['--json', 'run', 'no-such-pipeline'],
  ]) {
    const { error } = JSON.parse((await dmg(args)).err) as { error: { code: string; message: string; fix: string } };
    assert.match(error.code, /^DMG_/);
    assert.ok(error.message !== '' && error.fix !== '');
  }
  assert.ok(existsSync(join(state, 'up.json')), 'the second `dmg up` left the files of the first alone');
});

test('a run that fails tells its activity, the cause and the remedy, and its exit code is 1', async () => {
  const folder = await tempDir(scope);
  const example = fileURLToPath(new URL('../../docs/example/', import.meta.url));
  const missing = (await readFile(join(example, 'dataset.licences.json'), 'utf8')).replace('common-licenses', 'no-such-folder');
  await writeFile(join(folder, 'dataset.json'), missing.replace('"name": "licences"', '"name": "missing"'));
  const pipeline = (await readFile(join(example, 'pipeline.copy-folder.json'), 'utf8')).replace('"retry": 1', '"retry": 0');
  await writeFile(join(folder, 'pipeline.json'), pipeline.replace('"copy-folder"', '"copy-missing"').replace('"licences"', '"missing"'));
  await ask('apply', '-f', folder);
  const { code, out } = await dmg(['run', 'copy-missing', '--wait']);
  assert.equal(code, 1);
  const [activity] = (JSON.parse(out) as { activities: { error: { errorCode: string; message: string; fix: string } }[] }).activities;
  assert.equal(activity?.error.errorCode, 'DMG_CONNECTOR_SOURCE_NOT_FOUND');
  assert.match(activity.error.message, /no-such-folder/);
  assert.match(activity.error.fix, /Check the folder/);
});

/** Two copies into one folder: rows of which one is redirected, and files of which every byte is read again, with a session log. */
async function applyToleratingCopies(root: string): Promise<void> {
  const folder = await tempDir(scope);
  const define = (kind: string, name: string, properties: object): Promise<void> =>
    writeFile(join(folder, `${kind}.${name}.json`), JSON.stringify({ name, properties }));
  const reference = (referenceName: string, type: string): object => ({ referenceName, type: `${type}Reference` });
  const store = reference('tolerant', 'LinkedService');
  const dataset = (name: string, type: string, location: object, more: object = {}): Promise<void> => define('dataset', name, {
    type, linkedServiceName: store, typeProperties: { location: { type: 'FileServerLocation', ...location }, ...more },
  });
  const copy = (name: string, ends: [string, string], type: string, more: object, dependsOn: object[] = []): object => ({
    name, type: 'Copy', dependsOn,
    inputs: [reference(ends[0], 'Dataset')], outputs: [reference(ends[1], 'Dataset')],
    typeProperties: { source: { type: `${type}Source` }, sink: { type: `${type}Sink` }, ...more },
  });
  await define('linked-service', 'tolerant', {
    type: 'FileServer', typeProperties: { host: root }, connectVia: reference('local', 'IntegrationRuntime'),
  });
  await dataset('rows-in', 'DelimitedText', { folderPath: 'in', fileName: 'rows.csv' }, { firstRowAsHeader: true });
  await dataset('rows-out', 'DelimitedText', { folderPath: 'out', fileName: 'rows.csv' }, { firstRowAsHeader: true });
  await dataset('raw-in', 'Binary', { folderPath: 'raw' });
  await dataset('raw-out', 'Binary', { folderPath: 'out' });
  const rows = copy('rows', ['rows-in', 'rows-out'], 'DelimitedText', {
    enableSkipIncompatibleRow: true, redirectIncompatibleRowSettings: { linkedServiceName: store, path: 'bad' },
  });
  const raw = copy('raw', ['raw-in', 'raw-out'], 'Binary', {
    validateDataConsistency: true, skipErrorFile: { fileMissing: true, dataInconsistency: true },
    logSettings: { copyActivityLogSettings: { logLevel: 'Info' }, logLocationSettings: { linkedServiceName: store, path: 'logs' } },
  }, [{ activity: 'rows', dependencyConditions: ['Succeeded'] }]);
  await define('pipeline', 'tolerant', { activities: [rows, raw] });
  await ask('apply', '-f', folder);
}

test('what a copy left out, where its logs stand and how it was verified is in the output; its receipt can be verified later', async () => {
  const root = await tempDir(scope);
  await mkdir(join(root, 'in'));
  await mkdir(join(root, 'raw'));
  await writeFile(join(root, 'in/rows.csv'), 'id,name\n1,a\n2,b,c\n3,d\n');
  await writeFile(join(root, 'raw/data.bin'), Buffer.alloc(300_000, 'data '));
  await applyToleratingCopies(root);
  const run = await ask<Run & { activities: { activityName: string; output: Record<string, unknown> }[] }>('run', 'tolerant', '--wait');
  assert.equal(run.status, 'Succeeded');
  const [rows, raw] = ['rows', 'raw'].map((name) => run.activities.find(({ activityName }) => activityName === name)?.output);
  assert.ok(rows !== undefined && raw !== undefined);
  const common = [
    'dataRead', 'dataWritten', 'filesRead', 'filesWritten', 'filesSkipped', 'sourcePeakConnections', 'sinkPeakConnections', 'copyDuration',
    'throughput', 'errors', 'effectiveIntegrationRuntime', 'usedParallelCopies', 'durationInQueue', 'executionDetails', 'billingReference',
    'perfRecommendation', 'dataConsistencyVerification', 'receipt',
  ];
  assert.deepEqual([...common, 'rowsRead', 'rowsCopied', 'rowsSkipped', 'redirectRowPath'].filter((name) => rows[name] === undefined), []);
  assert.deepEqual([...common, 'logFilePath'].filter((name) => raw[name] === undefined), []);
  assert.deepEqual([rows['rowsRead'], rows['rowsCopied'], rows['rowsSkipped'], raw['filesSkipped']], [3, 2, 1, 0]);
  assert.deepEqual(rows['dataConsistencyVerification'], { VerificationResult: 'NotVerified' });
  assert.deepEqual(raw['dataConsistencyVerification'], { VerificationResult: 'Verified', InconsistentData: 'None' });
  const logOf = async (path: unknown): Promise<string> => {
    const [name = ''] = await readdir(join(root, String(path)));
    return readFile(join(root, String(path), name), 'utf8');
  };
  assert.match(await logOf(rows['redirectRowPath']), /^OriginalRow,.*\n"2,b,c",DMG_FORMATS_/);
  assert.match(await logOf(raw['logFilePath']), /,Info,FileRead,data\.bin,.*\n.*,Info,FileWrite,data\.bin,/);

  const file = join(root, 'receipts.json');
  await writeFile(file, JSON.stringify(await ask('receipt', 'show', run.runId)));
  const verify = ['receipt', 'verify', file, '--reread', join(root, 'out')];
  assert.equal((await ask<{ verified: boolean }>(...verify)).verified, true);
  const changed = await readFile(join(root, 'out/data.bin'));
  changed[1000] = 0;
  await writeFile(join(root, 'out/data.bin'), changed);
  const { code, out } = await dmg(verify);
  assert.equal(code, 1);
  assert.match(out, /data\.bin: chunk 0.* has other bytes/);
});

/** A pipeline `long` whose copy takes minutes; its source takes no space. */
async function applyLongCopy(): Promise<void> {
  const files = await tempDir(scope);
  const folder = await tempDir(scope);
  await mkdir(join(files, 'in'));
  for (let index = 0; index < 200; index++) {
    const file = await open(join(files, 'in', `file-${index}.bin`), 'w');
    await file.truncate(100_000_000);
    await file.close();
  }
  const reference = (type: string, referenceName: string): object => ({ type: `${type}Reference`, referenceName });
  const dataset = (folderPath: string): object => ({
    type: 'Binary',
    linkedServiceName: reference('LinkedService', 'long-files'),
    typeProperties: { location: { type: 'FileServerLocation', folderPath } },
  });
  const definitions: Record<string, object> = {
    'long-files': { type: 'FileServer', typeProperties: { host: files }, connectVia: reference('IntegrationRuntime', 'local') },
    'long-in': dataset('in'),
    'long-out': dataset('out'),
    long: {
      activities: [
        {
          name: 'copy',
          type: 'Copy',
          inputs: [reference('Dataset', 'long-in')],
          outputs: [reference('Dataset', 'long-out')],
          typeProperties: {
            source: { type: 'BinarySource', storeSettings: { type: 'FileServerReadSettings' } },
            sink: { type: 'BinarySink', storeSettings: { type: 'FileServerWriteSettings' } },
          },
        },
      ],
    },
  };
  for (const [name, properties] of Object.entries(definitions))
    await writeFile(join(folder, `${name}.json`), JSON.stringify({ name, properties }));
  await ask('apply', '-f', folder);
}

test('Ctrl-C ends the waiting, not the run; cancel ends the run', async () => {
  await applyLongCopy();
  const local = new CleanupScope();
  try {
    const waiting = start(local, ['run', 'long', '--wait']);
    const newest = async (): Promise<Run | undefined> =>
      (await ask<{ value: Run[] }>('runs')).value.find(({ status }) => status === 'InProgress');
    const { runId } = await waitFor('the run to be under way', newest, { withinMs: 20_000 });
    // As a terminal under a parent that passes signals on does it. A second one that comes while the process is ending ends it: the same
    // to a shell, and the sentence has been said.
    waiting.signal('SIGINT');
    waiting.signal('SIGINT');
    const { code, signal } = await within('the waiting to end', 5000, waiting.exited);
    assert.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`);
    assert.match(waiting.stderr, new RegExp(`the run ${runId} goes on.*dmg runs ${runId}`));
    assert.equal((await ask<Run>('runs', runId)).status, 'InProgress');
    await ask('cancel', runId);
    await waitFor('the run to be cancelled', async () => (await ask<Run>('runs', runId)).status === 'Cancelled');
  } finally {
    await local.close();
  }
});

test('a node registers by key file, refuses a wrong key without showing it, and no living node loses its name', async () => {
  const nodeState = await tempDir(scope);
  const keyFile = join(nodeState, 'key');
  await writeFile(keyFile, 'DMG@x@authKey1@ServiceEndpoint=127.0.0.1:1@AAAA@canary-secret');
  const refused = await dmg(['node', 'register', '--name', 'other', '--key-file', keyFile, '--state', nodeState]);
  assert.notEqual(refused.code, 0);
  assert.ok(!refused.err.includes('canary-secret'));
  await writeFile(keyFile, (await ask<{ authKey1: string }>('gateway', 'keys')).authKey1);
  const taken = await dmg(['node', 'register', '--key-file', keyFile, '--state', nodeState], { DMG_NODE_NAME: 'node-1' });
  assert.equal(taken.code, 4, taken.err);
  assert.match(taken.err, /DMG_CONTROLPLANE_NODE_NAME_TAKEN.*node-1/);
  const status = await ask<{ nodeName: string; running: boolean }>('node', 'status', '--state', join(state, 'nodes', 'node-1'));
  assert.deepEqual([status.nodeName, status.running], ['node-1', true]);
});

test('`dmg up` on the same state has the same ports, runs and node; a node may be started beside it', async (t) => {
  const before = ready;
  const { value: runsBefore } = await ask<{ value: Run[] }>('runs');
  assert.equal((await up.terminate(30_000)).code, 0);
  assert.ok(!existsSync(join(state, 'up.json')), 'the file with the token is gone');
  await startUp(0);
  for (const key of ['endpoint', 'ca', 'token', 'redis', 'serviceBus', 'blob']) assert.equal(ready[key], before[key], key);
  assert.deepEqual(
    (await ask<{ value: Run[] }>('runs')).value.map(({ runId }) => runId),
    runsBefore.map(({ runId }) => runId),
  );
  const { process: node, ready: nodeReady } = await startProcess(t, {
    name: 'dmg node start',
    args: [bin, 'node', 'start', '--state', join(state, 'nodes', 'node-1'), '--metrics-port', '0'],
    env: { DMG_STATE: state },
  });
  assert.equal(nodeReady['name'], 'node-1');
  assert.equal((await ask<Run>('run', 'copy-folder', '--wait')).status, 'Succeeded');
  node.signal('SIGINT');
  assert.deepEqual(await within('the node to stop', 10_000, node.exited), { code: 0, signal: null });
});
