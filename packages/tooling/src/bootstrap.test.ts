import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type RunningProcess, spawnProcess } from '../../../test/harness/processes.ts';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { waitFor } from '../../../test/harness/wait-for.ts';

const script = fileURLToPath(new URL('../../../deploy/bootstrap.sh', import.meta.url));
/** What the script uses besides the programs that a test replaces. */
const systemPrograms = [
  'sh',
  'cat',
  'chmod',
  'cmp',
  'cp',
  'date',
  'dirname',
  'find',
  'flock',
  'grep',
  'mkdir',
  'mv',
  'rm',
  'rmdir',
  'sleep',
  'touch',
  'uname',
];

/** A clone in which every program that could change the machine is a fake that writes down how it was called. */
class Clone {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  static async make(t: TestContext): Promise<Clone> {
    const clone = new Clone(await tempDir(t));
    await mkdir(join(clone.root, 'bin'));
    await mkdir(join(clone.root, 'deploy'));
    await mkdir(join(clone.root, 'etc'));
    await copyFile(script, join(clone.root, 'deploy/bootstrap.sh'));
    await writeFile(join(clone.root, 'package-lock.json'), '{"version":1}');
    await writeFile(join(clone.root, 'calls'), '');
    for (const name of [...systemPrograms, 'node']) await clone.systemProgram(name);
    await clone.program('id', 'echo 1000');
    await clone.program('npm', 'rm -rf node_modules; mkdir -p node_modules/.bin; cp bin/node node_modules/.bin/node');
    return clone;
  }

  /** A file of our own that starts the machine's program: a link to it could be written through. */
  async systemProgram(name: string): Promise<void> {
    await writeFile(join(this.root, 'bin', name), `#!/bin/sh\nexec ${findProgram(name)} "$@"\n`, { mode: 0o755, flag: 'wx' });
  }

  async program(name: string, body: string): Promise<void> {
    const path = join(this.root, 'bin', name);
    await rm(path, { force: true });
    await writeFile(path, `#!/bin/sh\necho "${name} $*" >>"${this.root}/calls"\n${body}\n`, { mode: 0o755, flag: 'wx' });
  }

  /** A Debian where root may install: `install` puts the program in place, as the real one would. */
  async debian(): Promise<void> {
    await this.program('id', 'echo 0');
    await this.program('apt-cache', 'echo "  Candidate: 5:7.0.15-1"');
    const install = `"${this.policy}" redis-server start; echo "policy $?" >>"${this.root}/calls"; cp bin/node bin/redis-server`;
    const postgresql = `"${this.policy}" postgresql start; echo "policy $?" >>"${this.root}/calls"
      echo "cluster $(cat "${this.noCluster}")" >>"${this.root}/calls"
      mkdir -p "${this.postgresql}/15/bin"
      cp bin/node "${this.postgresql}/15/bin/initdb"; cp bin/node "${this.postgresql}/15/bin/postgres"`;
    await this.program('apt-get', `case "$*" in *install*postgresql) ${postgresql} ;; *install*) ${install} ;; esac`);
  }

  /** Where Debian puts the versions of PostgreSQL. */
  get postgresql(): string {
    return join(this.root, 'lib/postgresql');
  }

  /** The setting that keeps Debian's package from making a database cluster. */
  get noCluster(): string {
    return join(this.root, 'etc/postgresql-common/createcluster.d/dmg-bootstrap.conf');
  }

  get policy(): string {
    return join(this.root, 'etc/policy-rc.d');
  }

  start(t: TestContext, args: string[] = [], env: Record<string, string> = {}): RunningProcess {
    return spawnProcess(t, {
      name: 'bootstrap',
      command: 'sh',
      args: [join(this.root, 'deploy/bootstrap.sh'), ...args],
      env: {
        PATH: join(this.root, 'bin'),
        DMG_TEST_POLICY_RC_D: this.policy,
        DMG_TEST_POSTGRESQL_LIB: this.postgresql,
        DMG_TEST_CREATECLUSTER_D: dirname(this.noCluster),
        ...env,
      },
    });
  }

  async run(t: TestContext, args: string[] = [], env: Record<string, string> = {}): Promise<{ code: number | null; stderr: string }> {
    const started = this.start(t, args, env);
    const { code } = await started.exited;
    assert.deepEqual(started.stdout, [], 'standard output belongs to the program that follows');
    return { code, stderr: started.stderr };
  }

  async calls(): Promise<string[]> {
    return (await readFile(join(this.root, 'calls'), 'utf8')).split('\n').filter((line) => line !== '');
  }
}

function findProgram(name: string): string {
  if (name === 'node') return process.execPath;
  const folder = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].find((each) => existsSync(join(each, name)));
  if (folder === undefined) throw new Error(`this machine has no ${name}`);
  return join(folder, name);
}

const npmCi = 'npm ci --loglevel=error --include=dev --include=optional --no-audit --no-fund';

test('packages are installed when they are absent, once, and again when the lockfile differs', async (t) => {
  const clone = await Clone.make(t);
  const first = await clone.run(t);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /installing the npm packages[^\n]*\n[^]*installed in \d+ s/);
  assert.deepEqual(await clone.calls(), [npmCi]);

  assert.deepEqual(await clone.run(t), { code: 0, stderr: '' });
  assert.equal((await clone.calls()).length, 1);

  await writeFile(join(clone.root, 'package-lock.json'), '{"version":2}');
  assert.equal((await clone.run(t)).code, 0);
  assert.equal((await clone.calls()).length, 2);
});

test('packages that somebody installed by hand are taken as they are while the lockfile is older', async (t) => {
  const clone = await Clone.make(t);
  await mkdir(join(clone.root, 'node_modules/.bin'), { recursive: true });
  await copyFile(join(clone.root, 'bin/node'), join(clone.root, 'node_modules/.bin/node'));
  await writeFile(join(clone.root, 'node_modules/.package-lock.json'), '{}');
  await utimes(join(clone.root, 'package-lock.json'), 1, 1);
  assert.deepEqual(await clone.run(t), { code: 0, stderr: '' });
  await utimes(join(clone.root, 'package-lock.json'), 2 ** 31, 2 ** 31);
  assert.equal((await clone.run(t)).code, 0);
  assert.deepEqual(await clone.calls(), [npmCi]);
});

test('a failed or a forbidden installation is told, and is not taken for done', async (t) => {
  const clone = await Clone.make(t);
  const forbidden = await clone.run(t, [], { DMG_NO_INSTALL: '1' });
  assert.equal(forbidden.code, 3);
  assert.match(forbidden.stderr, /DMG_NO_INSTALL=1 forbids/);
  assert.deepEqual(await clone.calls(), []);

  await clone.program('npm', 'mkdir -p node_modules/.bin; cp bin/node node_modules/.bin/node; exit 1');
  const failed = await clone.run(t);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /Cannot install the npm packages: npm ci failed/);
  assert.equal((await clone.run(t)).code, 1, 'it is tried again');
});

test('a signal ends npm and the bootstrap, and the next start installs again', async (t) => {
  const clone = await Clone.make(t);
  await clone.program('npm', 'mkdir -p node_modules/.bin; cp bin/node node_modules/.bin/node; touch begun; exec sleep 600');
  const started = clone.start(t);
  await waitFor('npm to have begun', () => existsSync(join(clone.root, 'begun')));
  started.signal('SIGTERM');
  assert.deepEqual(await started.exited, { code: 143, signal: null });
  await started.assertNoneLeft(200);
  await clone.program('npm', 'exit 0');
  assert.equal((await clone.run(t)).code, 0);
  assert.equal((await clone.calls()).length, 2);
});

test('a second bootstrap waits for the first and finds everything done', async (t) => {
  const clone = await Clone.make(t);
  await clone.program(
    'npm',
    'touch begun; while [ ! -e go ]; do sleep 0.02; done; mkdir -p node_modules/.bin; cp bin/node node_modules/.bin/node',
  );
  const first = clone.start(t);
  await waitFor('npm to have begun', () => existsSync(join(clone.root, 'begun')));
  const second = clone.start(t);
  await waitFor('the second to wait', () => second.stderr.includes('waiting for it'));
  await writeFile(join(clone.root, 'go'), '');
  assert.equal((await first.exited).code, 0);
  assert.equal((await second.exited).code, 0);
  assert.equal((await clone.calls()).length, 1);
});

test('a Node that is not the pinned one is refused clearly', async (t) => {
  const clone = await Clone.make(t);
  await clone.program(
    'npm',
    `mkdir -p node_modules/.bin; printf '#!/bin/sh\\necho v18.0.0\\n' >node_modules/.bin/node; chmod 755 node_modules/.bin/node`,
  );
  const { code, stderr } = await clone.run(t);
  assert.equal(code, 3);
  assert.match(stderr, /Cannot find the pinned Node 24 in node_modules \(found: v18\.0\.0\)/);
});

test('Redis is looked for, and installed from Debian with its service forbidden', async (t) => {
  const clone = await Clone.make(t);
  await clone.debian();
  const { code, stderr } = await clone.run(t, ['--need', 'redis']);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /redis-server is missing; installing Debian's package[^]*redis-server installed/);
  assert.ok((await clone.calls()).includes('policy 101'), 'while apt-get works the service may not be started');
  assert.ok((await clone.calls()).some((call) => /^apt-get .* install -y --no-install-recommends redis-server$/.test(call)));
  assert.ok(!(await clone.calls()).some((call) => call.includes('update')), 'known lists are not fetched again');
  assert.equal(existsSync(clone.policy), false);
  assert.deepEqual(await clone.run(t, ['--need', 'redis']), { code: 0, stderr: '' });
});

test('PostgreSQL is looked for, and installed from Debian without its service and without a database', async (t) => {
  const clone = await Clone.make(t);
  await clone.debian();
  const { code, stderr } = await clone.run(t, ['--need', 'postgresql', '--need', 'redis']);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /postgresql is missing; installing Debian's package[^\n]* No database is created\.\n[^]*postgresql installed/);
  const calls = await clone.calls();
  assert.ok(calls.some((call) => /^apt-get .* install -y --no-install-recommends postgresql$/.test(call)));
  assert.equal(calls.filter((call) => call === 'policy 101').length, 2, 'while apt-get works no service may be started');
  assert.ok(calls.includes('create_main_cluster = false'), 'while apt-get works no cluster may be created');
  assert.ok(existsSync(join(clone.root, 'bin/redis-server')));
  assert.equal(existsSync(join(clone.root, 'etc/postgresql-common')), false, 'nothing of it is left');
  assert.deepEqual(await clone.run(t, ['--need', 'postgresql']), { code: 0, stderr: '' });
});

test('a PostgreSQL that is there is taken, also one that DMG_POSTGRES_BIN names; half of one is none', async (t) => {
  const clone = await Clone.make(t);
  await clone.run(t);
  const bin = join(clone.postgresql, '17/bin');
  await mkdir(bin, { recursive: true });
  await copyFile(join(clone.root, 'bin/node'), join(bin, 'initdb'));
  const half = await clone.run(t, ['--need', 'postgresql']);
  assert.equal(half.code, 3);
  assert.match(half.stderr, /Cannot install postgresql: [^]*DMG_POSTGRES_BIN/);
  assert.equal((await clone.run(t, ['--need', 'postgresql'], { DMG_POSTGRES_BIN: bin })).code, 3);
  await copyFile(join(clone.root, 'bin/node'), join(bin, 'postgres'));
  assert.deepEqual(await clone.run(t, ['--need', 'postgresql']), { code: 0, stderr: '' });
  assert.deepEqual(await clone.run(t, ['--need', 'postgresql'], { DMG_POSTGRES_BIN: bin }), { code: 0, stderr: '' });
  assert.equal((await clone.run(t, ['--need', 'postgresql'], { DMG_POSTGRES_BIN: '/nowhere' })).code, 3);
  // What a kill -9 of an installation left goes at the next start.
  await mkdir(dirname(clone.noCluster), { recursive: true });
  await writeFile(clone.noCluster, 'create_main_cluster = false\n');
  assert.deepEqual(await clone.run(t, ['--need', 'postgresql']), { code: 0, stderr: '' });
  assert.equal(existsSync(clone.noCluster), false);
});

test('after a signal and after a failure databases may be created again, and what else stood there stays', async (t) => {
  const clone = await Clone.make(t);
  await clone.debian();
  const own = join(dirname(clone.noCluster), 'own.conf');
  await mkdir(dirname(own), { recursive: true });
  await writeFile(own, '# ours');
  await clone.program('apt-get', `touch begun; while [ ! -e go ]; do sleep 0.02; done; exit 1`);
  const started = clone.start(t, ['--need', 'postgresql']);
  await waitFor('apt-get to have begun', () => existsSync(join(clone.root, 'begun')));
  assert.match(await readFile(clone.noCluster, 'utf8'), /create_main_cluster = false/);
  started.signal('SIGTERM');
  await waitFor('the answer to the signal', () => started.stderr.includes('apt-get is let finish first'));
  assert.ok(existsSync(clone.noCluster), 'while apt-get works');
  await writeFile(join(clone.root, 'go'), '');
  assert.equal((await started.exited).code, 143);
  assert.equal(existsSync(clone.noCluster), false);
  assert.equal((await clone.run(t, ['--need', 'postgresql'])).code, 1, 'apt-get fails');
  assert.equal(existsSync(clone.noCluster), false);
  assert.equal(await readFile(own, 'utf8'), '# ours');
  assert.equal(existsSync(clone.policy), false);
});

test('package lists are fetched when they are absent', async (t) => {
  const clone = await Clone.make(t);
  await clone.debian();
  await clone.program('apt-cache', 'echo "  Candidate: (none)"');
  assert.equal((await clone.run(t, ['--need', 'redis'])).code, 0);
  const order = (await clone.calls())
    .filter((call) => call.startsWith('apt-get'))
    .map((call) => call.replace(/.*(update|install).*/, '$1'));
  assert.deepEqual(order, ['update', 'install']);
});

test('the service policy that stood there is put back after success, failure and a signal', async (t) => {
  const clone = await Clone.make(t);
  await clone.debian();
  const allowing = '#!/bin/sh\nexit 0\n';
  await writeFile(clone.policy, allowing, { mode: 0o755 });
  await clone.program('apt-get', `touch begun; while [ ! -e go ]; do sleep 0.02; done; exit 1`);
  const started = clone.start(t, ['--need', 'redis']);
  await waitFor('apt-get to have begun', () => existsSync(join(clone.root, 'begun')));
  assert.match(await readFile(clone.policy, 'utf8'), /exit 101/);
  started.signal('SIGINT');
  await waitFor('the answer to the signal', () => started.stderr.includes('apt-get is let finish first'));
  assert.match(await readFile(clone.policy, 'utf8'), /exit 101/, 'while apt-get works its services stay forbidden');
  await writeFile(join(clone.root, 'go'), '');
  assert.equal((await started.exited).code, 130);
  assert.equal(await readFile(clone.policy, 'utf8'), allowing);

  assert.equal((await clone.run(t, ['--need', 'redis'])).code, 1, 'apt-get fails');
  assert.equal(await readFile(clone.policy, 'utf8'), allowing);
  await clone.debian();
  assert.equal((await clone.run(t, ['--need', 'redis'])).code, 0);
  assert.equal(await readFile(clone.policy, 'utf8'), allowing);
  assert.equal(existsSync(`${clone.policy}.dmg-saved`), false);
});

test('a policy that forbids already is not touched; one of ours that a kill -9 left is removed', async (t) => {
  const clone = await Clone.make(t);
  await clone.debian();
  const forbidding = '#!/bin/sh\n# of the image\nexit 101\n';
  await writeFile(clone.policy, forbidding, { mode: 0o755 });
  assert.equal((await clone.run(t, ['--need', 'redis'])).code, 0);
  assert.equal(await readFile(clone.policy, 'utf8'), forbidding);

  const killed = await Clone.make(t);
  await killed.debian();
  await writeFile(killed.policy, '#!/bin/sh\n# dmg-bootstrap: temporary, may be deleted\nexit 101\n', { mode: 0o755 });
  await writeFile(`${killed.policy}.dmg-saved`, forbidding, { mode: 0o755 });
  assert.equal((await killed.run(t, ['--need', 'redis'])).code, 0);
  assert.equal(await readFile(killed.policy, 'utf8'), forbidding);
  assert.equal(existsSync(`${killed.policy}.dmg-saved`), false);
});

test('what is missing and cannot be installed is told with the way to get it', async (t) => {
  const clone = await Clone.make(t);
  const noDebian = await clone.run(t, ['--need', 'redis']);
  assert.equal(noDebian.code, 3);
  assert.match(noDebian.stderr, /not a Debian system[^]*sudo apt-get install/);
  await clone.debian();
  await clone.program('id', 'echo 1000');
  const noRoot = await clone.run(t, ['--need', 'redis']);
  assert.equal(noRoot.code, 3);
  assert.match(noRoot.stderr, /only root may[^]*sudo apt-get install[^]*DMG_REDIS_SERVER/);
  await clone.debian();
  const forbidden = await clone.run(t, ['--need', 'redis'], { DMG_NO_INSTALL: '1' });
  assert.equal(forbidden.code, 3);
  assert.match(forbidden.stderr, /redis-server is missing, and DMG_NO_INSTALL=1 forbids installing it/);
  assert.equal((await clone.run(t, ['--need', 'redis'], { DMG_REDIS_SERVER: process.execPath })).code, 0);
  assert.equal((await clone.run(t, ['--need', 'redis'], { DMG_REDIS_SERVER: '/nowhere/redis' })).code, 3);
  assert.ok(!(await clone.calls()).some((call) => call.startsWith('apt-get')));
});

test('it becomes the command that follows, with its arguments as they are', async (t) => {
  const clone = await Clone.make(t);
  const command = 'console.log(JSON.stringify([process.pid, ...process.argv.slice(1)]))';
  const started = clone.start(t, ['--', process.execPath, '-e', command, '--', 'two words', '--need', '$HOME']);
  assert.equal((await started.exited).code, 0);
  assert.deepEqual(JSON.parse(started.stdout[0] ?? ''), [started.pid, 'two words', '--need', '$HOME']);
});

test('unknown arguments are refused', async (t) => {
  const clone = await Clone.make(t);
  assert.equal((await clone.run(t, ['--need', 'everything'])).code, 2);
  assert.equal((await clone.run(t, ['--help'])).code, 2);
  assert.deepEqual(await clone.calls(), []);
});
