import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type CleanupContext, onCleanup } from './cleanup.ts';
import { type ProcessOptions, startProcess } from './processes.ts';
import { tempDir } from './temp-dir.ts';

const run = promisify(execFile);

/** Why there can be no network namespace here; undefined: there can. */
export function namespaceObstacle(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'a network of the test\'s own needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)';
}

/**
 * A network of a test's own, with nothing in it but its loopback and a device into which packets disappear. It exists as long as the process
 * which holds it, and so ends with the test whatever happens; nothing of the machine's own network is touched.
 */
export class NetworkNamespace {
  readonly #context: CleanupContext;
  readonly #pid: number;
  readonly #gate: string;
  #cuts = 0;

  private constructor(context: CleanupContext, pid: number, gate: string) {
    this.#context = context;
    this.#pid = pid;
    this.#gate = gate;
  }

  static async open(context: CleanupContext): Promise<NetworkNamespace> {
    const gate = join(await tempDir(context, 'dmg-net-'), 'gate');
    const program = fileURLToPath(new URL('./namespace-gate.ts', import.meta.url));
    const { process: holder } = await startProcess(context, {
      name: 'network namespace', command: 'unshare', args: ['--net', process.execPath, program, gate],
    });
    const namespace = new NetworkNamespace(context, holder.pid, gate);
    await namespace.#run('ip', 'link', 'set', 'lo', 'up');
    await namespace.#run('tc', 'qdisc', 'add', 'dev', 'lo', 'clsact');
    await namespace.#run('ip', 'link', 'add', 'hole', 'type', 'veth', 'peer', 'name', 'hole-end');
    await namespace.#run('ip', 'link', 'set', 'hole', 'up', 'arp', 'off');
    await namespace.#run('ip', 'link', 'set', 'hole-end', 'up');
    return namespace;
  }

  /** How a program is started inside; it keeps its pid. */
  inside(command: string, args: readonly string[]): Required<Pick<ProcessOptions, 'command' | 'args'>> {
    return { command: 'nsenter', args: [`--net=/proc/${this.#pid}/ns/net`, '--', command, ...args] };
  }

  /** Lets every TCP packet to or from a port disappear without an answer, of open connections too. Returns what ends that. */
  async cut(port: number): Promise<() => Promise<void>> {
    const priority = String(++this.#cuts);
    for (const side of ['dport', 'sport']) {
      await this.#run(
        'tc', 'filter', 'add', 'dev', 'lo', 'egress', 'pref', priority, 'protocol', 'ip', 'u32',
        'match', 'ip', 'protocol', '6', '0xff', 'match', 'ip', side, String(port), '0xffff',
        'action', 'mirred', 'egress', 'redirect', 'dev', 'hole',
      );
    }
    return () => this.#run('tc', 'filter', 'del', 'dev', 'lo', 'egress', 'pref', priority);
  }

  /** A port of this machine's loopback that leads to a port of the namespace's. */
  async forward(port: number): Promise<number> {
    const server = createServer((outer) => {
      const inner = connect(this.#gate);
      inner.write(`${port}\n`);
      outer.on('error', () => inner.destroy()).on('close', () => inner.destroy());
      inner.on('error', () => outer.destroy()).on('close', () => outer.destroy());
      outer.pipe(inner).pipe(outer);
      onCleanup(this.#context, () => void outer.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onCleanup(this.#context, () => void server.close());
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
    return address.port;
  }

  async #run(command: string, ...args: readonly string[]): Promise<void> {
    const inside = this.inside(command, args);
    await run(inside.command, [...inside.args], { timeout: 10_000 });
  }
}
