import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep, systemClock } from '@dmg/base';
import { nodesOf, type Rig } from './rig.ts';

const lookIntervalMs = 40;

/**
 * Watches the slots of a rig's nodes where nobody can lie about them: each is a name in the kernel that the executor occupying it has
 * bound (unix(7), abstract names; proc(5) lists them with `@`). A node whose limit is N never has more than N of them.
 */
export class SlotWatch {
  readonly #ids: ReadonlyMap<string, string>;
  readonly #limit: number;
  readonly #stop = new AbortController();
  readonly #over: string[] = [];
  readonly #done: Promise<void>;
  #most = 0;

  private constructor(ids: ReadonlyMap<string, string>, limit: number) {
    this.#ids = ids;
    this.#limit = limit;
    this.#done = this.#watch();
    this.#done.catch(() => undefined); // `end` tells.
  }

  /** All nodes have the limit from now on. */
  static async start(rig: Rig, limit: number): Promise<SlotWatch> {
    const ids = new Map<string, string>();
    for (const { name, state } of await nodesOf(rig)) {
      const text = await readFile(join(state, 'registration.json'), 'utf8');
      ids.set((JSON.parse(text) as { nodeId: string }).nodeId, name);
    }
    return new SlotWatch(ids, limit);
  }

  /** The most slots that a node had at once: a watch that saw none has watched nothing. */
  get most(): number {
    return this.#most;
  }

  /** Moments at which a node had more slots than it may. */
  async end(): Promise<readonly string[]> {
    this.#stop.abort();
    await this.#done;
    return this.#over;
  }

  /** Slots that are held now; none may be when the gateway has ended. */
  async held(): Promise<string[]> {
    const listing = await readFile('/proc/net/unix', 'latin1');
    return [...listing.matchAll(/@dmg\/([\w.-]+)\/slot\/(\d+)$/gm)]
      .filter(([, id = '']) => this.#ids.has(id))
      .map(([, id = '', slot = '']) => `${this.#ids.get(id)} slot ${slot}`);
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const counts = new Map<string, Set<string>>();
      for (const entry of await this.held()) {
        const node = entry.split(' ', 1)[0] ?? '';
        counts.set(node, (counts.get(node) ?? new Set()).add(entry));
      }
      for (const [node, slots] of counts) {
        this.#most = Math.max(this.#most, slots.size);
        if (slots.size > this.#limit) this.#over.push(`${node} held ${slots.size} slots: ${[...slots].join(', ')}`);
      }
      await sleep(systemClock, lookIntervalMs, this.#stop.signal).catch(() => undefined); // Ended.
    }
  }
}
