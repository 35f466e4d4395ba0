import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { JsonObject } from '@dmg/model';
import { Client, type QueryResultRow } from 'pg';

/** Where the undoing is registered: a `TestContext`, `{ after }` of `node:test` for a whole file, or a scope. */
export interface ServerOwner {
  after(undo: () => void | Promise<void>): void;
}

/** `fast`: clients are disconnected. `immediate`: the server recovers at its next start. */
export type StopMode = 'fast' | 'immediate';

const host = '127.0.0.1';
const database = 'dmg';
const user = 'dmg';

/**
 * A PostgreSQL of the caller's own: on a free loopback port, in a folder of its own under the temporary directory, with a database
 * `dmg` that the ordinary role `dmg` owns (no superuser), passwords by SCRAM and no encryption. `settings` are lines of
 * postgresql.conf. It is stopped and its folder removed when the owner ends.
 */
export async function startPostgres(owner: ServerOwner, settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'dmg-postgres-'));
  const server = new PostgresServer(folder, await binaryFolder(), settings);
  owner.after(() => server.remove());
  await server.create();
  return server;
}

export class PostgresServer {
  readonly host = host;
  readonly database = database;
  readonly user = user;
  readonly password = randomBytes(12).toString('hex');
  readonly #folder: string;
  readonly #binaries: string;
  readonly #settings: Readonly<Record<string, string>>;
  #port = 0;
  /** The database exists. */
  #ready = false;
  #child: ChildProcess | undefined;
  #clients = new Set<Client>();
  #ownClients = new Map<string, Promise<Client>>();
  /** A client carries out one query at a time. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #onExit = (): void => void this.#child?.kill('SIGQUIT');

  constructor(folder: string, binaries: string, settings: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#binaries = binaries;
    this.#settings = settings;
    process.once('exit', this.#onExit);
  }

  get port(): number {
    return this.#port;
  }

  /** Properties of the linked service, for `CopyEnd.connection`; the password stands in `secrets`. */
  get connection(): JsonObject {
    return { server: host, port: this.#port, database, username: user, sslMode: 0 };
  }

  /** For `ConnectorContext.secrets`. */
  get secrets(): ReadonlyMap<string, string> {
    return new Map([['password', this.password]]);
  }

  /** The same as one secret connection string. */
  get connectionString(): string {
    return `Host=${host};Port=${this.#port};Database=${database};Username=${user};Password=${this.password};SSL Mode=Disable`;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Runs SQL as the role `dmg`; several statements only without values. Gives the rows, of the last statement if there are several. */
  query<R extends QueryResultRow = QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    return this.#run<R>(user, sql, values);
  }

  /** The same as the superuser. */
  admin<R extends QueryResultRow = QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    return this.#run<R>('postgres', sql, values);
  }

  /** A session of its own, ended with the server; it may be ended before. */
  async client(role: string = user): Promise<Client> {
    const client = new Client({
      host, port: this.#port, database: this.#ready ? database : 'postgres', user: role, password: this.password, ssl: false,
    });
    this.#clients.add(client);
    client.once('end', () => this.#clients.delete(client));
    // Its next query tells; without a listener the end of the server would end the test process.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** Makes the database and starts the server. Called once, by `startPostgres`. */
  async create(): Promise<void> {
    const ids = await serverIds();
    if (ids !== undefined) await chown(this.#folder, ids.uid, ids.gid);
    const passwordFile = join(this.#folder, 'password');
    await writeFile(passwordFile, this.password, { mode: 0o600 });
    if (ids !== undefined) await chown(passwordFile, ids.uid, ids.gid);
    await run(join(this.#binaries, 'initdb'), [
      '-D', this.#data, '--no-sync', '--no-instructions', '--encoding=UTF8', '--locale=C.UTF-8', '--username=postgres',
      '--auth=scram-sha-256', `--pwfile=${passwordFile}`,
    ], ids);
    const lines = Object.entries({ ...fixedSettings, ...this.#settings }).map(([name, value]) => `${name} = '${value}'\n`);
    await writeFile(join(this.#data, 'postgresql.auto.conf'), lines.join(''));
    await this.#startOnFreePort();
    await this.admin(`CREATE ROLE ${user} LOGIN PASSWORD '${this.password}'`);
    await this.admin(`CREATE DATABASE ${database} OWNER ${user}`);
    await this.#endClients();
    this.#ready = true;
  }

  /** Stops the server; its data stays. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    if (mode === 'fast') await this.#endClients();
    await ended(child, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await this.#endClients();
  }

  /** SIGKILL to the server and all its processes at once, as at a loss of power; waits until they are gone. */
  async kill9(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const children = await childrenOf(child.pid);
    const gone = ended(child, 'SIGKILL');
    for (const pid of children) killIfThere(pid);
    await gone;
    for (const pid of children) await untilGone(pid);
    await this.#endClients();
  }

  /** Starts the server again on its port and data, after `stop` or `kill9`; stops it first when it runs. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#start(this.#port);
  }

  /** Stops the server and removes everything. */
  async remove(): Promise<void> {
    process.off('exit', this.#onExit);
    await this.stop('immediate');
    await this.#removeSharedMemory();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  async #run<R extends QueryResultRow>(role: string, sql: string, values: readonly unknown[]): Promise<R[]> {
    const before = this.#turns.get(role) ?? Promise.resolve();
    const running = before.then(async () => {
      const client = await this.#ownClient(role);
      const answer: unknown = await (values.length === 0 ? client.query<R>(sql) : client.query<R>(sql, [...values]));
      return answer;
    });
    // The next one has its turn whether or not this one fails.
    this.#turns.set(role, running.catch(() => undefined));
    const result = await running;
    const last = Array.isArray(result) ? (result.at(-1) as { rows: R[] }) : (result as { rows: R[] });
    return last.rows;
  }

  #ownClient(role: string): Promise<Client> {
    const known = this.#ownClients.get(role);
    if (known !== undefined) return known;
    const opened = this.client(role);
    this.#ownClients.set(role, opened);
    const forget = (): void => void (this.#ownClients.get(role) === opened && this.#ownClients.delete(role));
    opened.then((client) => client.once('end', forget).once('error', forget), forget);
    return opened;
  }

  async #endClients(): Promise<void> {
    this.#ownClients.clear();
    const clients = [...this.#clients];
    this.#clients.clear();
    // A session that the server has ended already answers with an error, which says nothing.
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }

  async #startOnFreePort(): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      const port = await freePort();
      try {
        await this.#start(port);
        return;
      } catch (error) {
        // Another process may have taken the port between the look and the start.
        if (attempts === 5 || !String(error).includes('in use')) throw error;
      }
    }
  }

  async #start(port: number): Promise<void> {
    const ids = await serverIds();
    const child = spawn(join(this.#binaries, 'postgres'), ['-D', this.#data, '-p', String(port)], {
      stdio: ['ignore', 'ignore', 'pipe'], cwd: this.#folder, env: { LANG: 'C.UTF-8' }, ...ids,
    });
    const said: string[] = [];
    const lines = createInterface({ input: child.stderr });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`postgres ended with ${code}: ${said.slice(-5).join(' | ')}`)));
      lines.on('line', (line) => {
        said.push(line);
        if (line.includes('ready to accept connections')) resolve();
      });
    });
    lines.removeAllListeners('line');
    child.stderr.resume();
    this.#port = port;
    this.#child = child;
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
  }

  /** A server that was killed leaves a segment of shared memory; its id stands in the lock file. */
  async #removeSharedMemory(): Promise<void> {
    const lock = await readFile(join(this.#data, 'postmaster.pid'), 'utf8').catch(() => '');
    const id = lock.split('\n')[6]?.trim().split(/\s+/)[1];
    if (id === undefined || !/^\d+$/.test(id)) return;
    // The segment may be gone, or `ipcrm` not installed: a few bytes stay until the machine restarts.
    await run('ipcrm', ['-m', id], undefined).catch(() => undefined);
  }
}

/** Without a flush to the disk nothing is lost at a kill of the processes, only at one of the machine. */
const fixedSettings = {
  listen_addresses: host,
  unix_socket_directories: '',
  dynamic_shared_memory_type: 'mmap',
  shared_buffers: '32MB',
  max_connections: '60',
  fsync: 'off',
  full_page_writes: 'off',
  log_destination: 'stderr',
  logging_collector: 'off',
  lc_messages: 'C',
};

let foundFolder: Promise<string> | undefined;

/** The newest PostgreSQL of the machine, or the one in the folder that `DMG_POSTGRES_BIN` names. */
function binaryFolder(): Promise<string> {
  foundFolder ??= findFolder();
  return foundFolder;
}

async function findFolder(): Promise<string> {
  const given = process.env['DMG_POSTGRES_BIN'];
  if (given !== undefined) return given;
  const root = '/usr/lib/postgresql';
  const versions = (await readdir(root).catch(() => [])).map(Number).filter(Number.isInteger).sort((a, b) => b - a);
  if (versions[0] === undefined) throw new Error('Cannot start PostgreSQL: none is installed. Run `apt-get install postgresql`.');
  return join(root, String(versions[0]), 'bin');
}

let foundIds: Promise<{ uid: number; gid: number } | undefined> | undefined;

/** The server refuses to run as root; then it runs as `postgres`. */
function serverIds(): Promise<{ uid: number; gid: number } | undefined> {
  foundIds ??= findIds();
  return foundIds;
}

async function findIds(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('Cannot start PostgreSQL: there is no user `postgres`.');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Below the range from which the kernel gives ports to clients, so that none of theirs can take it while the server is down. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(21_000, 31_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, host, () => resolve(true));
    });
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}

async function run(command: string, args: readonly string[], ids: { uid: number; gid: number } | undefined): Promise<void> {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', env, ...ids });
  let said = '';
  child.stdout.resume();
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${said}`);
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** The server's processes set their own title; `stat` names the parent after the closing bracket. */
async function childrenOf(parent: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    if (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(parent)) found.push(Number(name));
  }
  return found;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** They are not our children, so their end cannot be awaited. */
async function untilGone(pid: number): Promise<void> {
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
    if (stat === '' || state === 'Z' || state === 'X') return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
