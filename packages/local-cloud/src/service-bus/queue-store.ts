import type { Clock, Logger } from '@dmg/base';
import { Journal, type JournalEntry } from './journal.ts';
import { QueueState } from './queue-state.ts';
import type { Area, QueueRecord, QueueSettings } from './queue-types.ts';

/** Part of a queue that a link or a request can address. */
export interface Entity {
  readonly queue: QueueState;
  readonly area: Area;
  /** As Service Bus writes it: `name`, or `name/$DeadLetterQueue`. */
  readonly path: string;
}

export interface QueueStoreOptions {
  readonly directory: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly settings: QueueSettings;
  /** Queues that exist from the start. */
  readonly queueNames: readonly string[];
  /** Names that come into being when first used, with `*` for any text. */
  readonly autoCreatePattern: string | undefined;
  readonly onFailure: (error: unknown) => void;
  readonly compactionBytesMin?: number;
}

interface JournalHead {
  readonly q: string;
  readonly r: QueueRecord;
}

/** All queues and their journal. Names are compared without regard to case, as Service Bus does. */
export class QueueStore {
  readonly #options: QueueStoreOptions;
  readonly #queues = new Map<string, QueueState>();
  readonly #autoCreate: RegExp | undefined;
  readonly #wallStartMs: number;
  readonly #monotonicStartMs: number;
  #journal: Journal | undefined;

  private constructor(options: QueueStoreOptions) {
    this.#options = options;
    this.#autoCreate = options.autoCreatePattern === undefined ? undefined : patternToRegExp(options.autoCreatePattern);
    this.#wallStartMs = options.clock.wallMs();
    this.#monotonicStartMs = options.clock.monotonicMs();
  }

  static async open(options: QueueStoreOptions): Promise<QueueStore> {
    const store = new QueueStore(options);
    const journal = await Journal.open({
      directory: options.directory,
      logger: options.logger,
      replay: (entry) => store.#replay(entry),
      snapshot: () => store.#snapshot(),
      onFailure: options.onFailure,
      ...(options.compactionBytesMin === undefined ? {} : { compactionBytesMin: options.compactionBytesMin }),
    });
    store.#journal = journal;
    for (const queue of store.#queues.values()) queue.recover(store.nowMs());
    for (const name of options.queueNames) store.create(name);
    await journal.flushed();
    return store;
  }

  /** Wall time that does not jump while the process lives, so that a changed clock neither loses nor prolongs a lock. */
  nowMs(): number {
    return Math.round(this.#wallStartMs + this.#options.clock.monotonicMs() - this.#monotonicStartMs);
  }

  /** The queue of that name; made on the spot when its name matches the pattern. */
  find(name: string): QueueState | undefined {
    const queue = this.#queues.get(name.toLowerCase());
    return queue === undefined && this.#autoCreate?.test(name) === true ? this.create(name) : queue;
  }

  create(name: string, settings?: QueueSettings): QueueState {
    const queue = this.#queues.get(name.toLowerCase()) ?? this.#add(name);
    if (settings !== undefined) queue.configure(settings);
    return queue;
  }

  /** Resolves an address such as `name`, `name/$DeadLetterQueue` or either with `/$management`. */
  entity(address: string): Entity | undefined {
    const path = address.replace(/^\//, '').replace(/\/\$management$/i, '');
    const area: Area = /\/\$deadletterqueue$/i.test(path) ? 'dead' : 'main';
    const queue = this.find(path.replace(/\/\$deadletterqueue$/i, ''));
    if (queue === undefined) return undefined;
    return { queue, area, path: area === 'dead' ? `${queue.name}/$DeadLetterQueue` : queue.name };
  }

  all(): QueueState[] {
    return [...this.#queues.values()];
  }

  /** Resolves when everything that happened so far is on disk. */
  durable(): Promise<void> {
    return this.#journal?.flushed() ?? Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }

  #add(name: string): QueueState {
    const queue = new QueueState({
      name,
      settings: this.#options.settings,
      emit: (record, payload) => this.#journal?.append({ head: { q: name, r: record } satisfies JournalHead, body: payload }),
    });
    this.#queues.set(name.toLowerCase(), queue);
    return queue;
  }

  #replay(entry: JournalEntry): void {
    const head = entry.head as JournalHead;
    (this.#queues.get(head.q.toLowerCase()) ?? this.#add(head.q)).apply(head.r, entry.body);
  }

  *#snapshot(): Generator<JournalEntry> {
    for (const queue of this.#queues.values()) {
      for (const { record, payload } of queue.snapshot()) yield { head: { q: queue.name, r: record } satisfies JournalHead, body: payload };
    }
  }
}

function patternToRegExp(pattern: string): RegExp {
  const text = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '[^/]*');
  return new RegExp(`^${text}$`, 'i');
}
