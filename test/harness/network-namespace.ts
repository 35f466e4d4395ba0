import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
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
 * A network of a test's own, with nothing in it but its loopback and a device into which packets disappear. It exists as long as the
 * process which holds it, and so ends with the test whatever happens; nothing of the machine's own network is touched.
 */
export class NetworkNamespace {
  readonly #context: CleanupContext;
  readonly #pid: number;
  readonly #gate: string;
  readonly #open = new Set<Socket>();
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
    const server = this.#joining(() => {
      const inner = connect(this.#gate);
      inner.write(`in ${port}\n`);
      return inner;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** A port of the namespace's loopback that leads to a port of this machine's. */
  async offer(port: number): Promise<number> {
    const path = `${this.#gate}-${port}`;
    const server = this.#joining(() => connect(port, '127.0.0.1'));
    server.listen(path);
    await once(server, 'listening');
    const asking = connect(this.#gate);
    asking.write(`out ${path}\n`);
    return Number(await text(asking));
  }

  /** A server whose connections are joined with others. */
  #joining(reach: () => Socket): Server {
    const server = createServer((caller) => {
      const other = reach();
      caller.on('error', () => other.destroy()).on('close', () => other.destroy());
      other.on('error', () => caller.destroy()).on('close', () => caller.destroy());
      caller.pipe(other).pipe(caller);
      this.#open.add(caller);
      caller.once('close', () => this.#open.delete(caller));
    });
    onCleanup(this.#context, () => {
      server.close();
      for (const socket of this.#open) socket.destroy();
    });
    return server;
  }

  async #run(command: string, ...args: readonly string[]): Promise<void> {
    const inside = this.inside(command, args);
    await run(inside.command, [...inside.args], { timeout: 10_000 });
  }
}
