import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Redis of the test's own: on a free loopback port, in a directory of its own, never the machine's. */
export class RedisProcess {
  readonly port: number;
  readonly #directory: string;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL');

  private constructor(port: number, directory: string, settings: readonly string[]) {
    this.port = port;
    this.#directory = directory;
    this.#settings = settings;
    process.once('exit', this.#onExit);
  }

  /** `settings` are further lines of redis.conf as arguments, such as `['--maxmemory-policy', 'allkeys-lru']`. */
  static async start(settings: readonly string[] = []): Promise<RedisProcess> {
    const redis = new RedisProcess(await freePort(), await mkdtemp(join(tmpdir(), 'dmg-redis-')), settings);
    await redis.#spawn();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** SIGKILL; waits until the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** SIGKILL, then a new process on the same port: empty, unless the settings keep data on disk. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#spawn();
  }

  async stop(): Promise<void> {
    await this.kill();
    process.off('exit', this.#onExit);
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #spawn(): Promise<void> {
    const binary = process.env['DMG_REDIS_SERVER'] ?? 'redis-server';
    const child = spawn(binary, [
      '--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory, '--save', '', '--appendonly', 'no', ...this.#settings,
    ], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    const said: string[] = [];
    const ready = new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${binary} ended with ${code}: ${said.slice(-3).join(' | ')}`)));
      lines.on('line', (line) => {
        said.push(line);
        if (line.includes('Ready to accept connections')) resolve();
      });
    });
    await ready;
    lines.removeAllListeners('line');
    child.stdout.resume();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
