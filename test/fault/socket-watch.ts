import { readdir, readFile, readlink } from 'node:fs/promises';
import { sleep, systemClock } from '@dmg/base';

const everyMs = 100;

/** A TCP connection of a process, as the kernel shows it; with its other end. */
interface Seen {
  readonly port: number;
  readonly sinceMs: number;
  lastMs: number;
}

/** What a process did with its connections to one port while it was watched. */
export interface SocketSight {
  /** Connections that it had at the beginning or has made since. */
  readonly connections: number;
  /** The longest life of one, from the beginning of the watch on. */
  readonly oldestMs: number;
}

/**
 * Watches the outgoing connections of a process from outside. A call that waits for a frozen peer shows as a connection that stays; one
 * that has ended by its deadline, and was tried again, as another one.
 */
export class SocketWatch {
  readonly #pid: number;
  readonly #seen = new Map<string, Seen>();
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #most = 0;

  private constructor(pid: number) {
    this.#pid = pid;
    this.#done = this.#run();
    this.#done.catch(() => undefined); // `end` tells.
  }

  static start(pid: number): SocketWatch {
    return new SocketWatch(pid);
  }

  /** The most connections of any kind at one moment. */
  get most(): number {
    return this.#most;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** `idle`: so many of the oldest are left out, as connections on which nobody waits for anything. */
  to(port: number, idle = 0): SocketSight {
    const agesMs = [...this.#seen.values()].filter((seen) => seen.port === port).map(({ sinceMs, lastMs }) => lastMs - sinceMs);
    return { connections: agesMs.length, oldestMs: Math.round(agesMs.toSorted((a, b) => b - a)[idle] ?? 0) };
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const nowMs = systemClock.monotonicMs();
      const open = await connectionsOf(this.#pid);
      this.#most = Math.max(this.#most, open.size);
      for (const [inode, port] of open) {
        const seen = this.#seen.get(inode);
        if (seen === undefined) this.#seen.set(inode, { port, sinceMs: nowMs, lastMs: nowMs });
        else seen.lastMs = nowMs;
      }
      await sleep(systemClock, everyMs, this.#stop.signal).catch(() => undefined); // Ended.
    }
  }
}

/** Ports of the other ends of a process's TCP connections, by the inode of the socket. */
async function connectionsOf(pid: number): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  try {
    const fds = await readdir(`/proc/${pid}/fd`);
    const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    const own = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
    for (const table of ['tcp', 'tcp6']) {
      for (const line of (await readFile(`/proc/${pid}/net/${table}`, 'utf8')).split('\n').slice(1)) {
        // sl, local address, remote address, state, …, inode as the tenth; proc(5). State 0A listens.
        const [, , remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/);
        if (own.has(inode) && state !== '0A') found.set(inode, Number.parseInt(remote.split(':')[1] ?? '', 16));
      }
    }
  } catch (error) {
    // The process has ended.
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return found;
}
