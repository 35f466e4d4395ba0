import type { Mark, Phase, Plan, Receipt } from '@dmg/model';

export interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly lastModifiedMs: number;
}

/** What of a job stands at a memory store. */
export interface MemoryJob {
  phase: Phase;
  plan: Plan | undefined;
  receipt: Receipt | undefined;
  /** By `<target>.<chunk>`. */
  readonly marks: Map<string, { mark: Mark; bytes: Uint8Array }>;
  readonly publishedTargets: Set<number>;
  /** Set when publishing has begun: the receipt of `done`. */
  intent: Receipt | undefined;
}

/** The calls that a test can intercept. */
export type MemoryCall =
  | 'check' | 'list' | 'read' | 'state' | 'bases' | 'insertPlan' | 'marks' | 'openChunk' | 'writePart' | 'mark'
  | 'publish' | 'finish' | 'abort' | 'sideFile';

/** One store in memory: objects by path, jobs by id. Tests look into it and change it directly, as a stranger would. */
export class MemoryStore {
  readonly objects = new Map<string, MemoryObject>();
  readonly jobs = new Map<string, MemoryJob>();
  /** Side files that have ended and are not published, and texts that are kept, by `<job>/<path>`. */
  readonly sideFiles = new Map<string, Uint8Array>();
  /** Every publication, in order: what `exactly once` is checked against. */
  readonly publications: { jobId: string; path: string }[] = [];
  /** Sources, sinks and chunk writers that were opened and not closed yet. */
  openHandles = 0;
  /** Runs before each call to the store; may wait (a slow store) or throw (a failing one). */
  intercept: ((call: MemoryCall, subject: string) => Promise<void> | void) | undefined;
  #etags = 0;

  /** Writes an object as a stranger; returns its ETag. */
  put(path: string, bytes: Uint8Array | string, lastModifiedMs: number = 1_700_000_000_000): string {
    const etag = `"${++this.#etags}"`;
    this.objects.set(path, { bytes: typeof bytes === 'string' ? Buffer.from(bytes) : Uint8Array.from(bytes), etag, lastModifiedMs });
    return etag;
  }

  get(path: string): Uint8Array | undefined {
    return this.objects.get(path)?.bytes;
  }

  delete(path: string): boolean {
    return this.objects.delete(path);
  }

  job(jobId: string): MemoryJob {
    let job = this.jobs.get(jobId);
    if (job === undefined) {
      job = { phase: 'none', plan: undefined, receipt: undefined, marks: new Map(), publishedTargets: new Set(), intent: undefined };
      this.jobs.set(jobId, job);
    }
    return job;
  }
}

/** The stores that memory connectors of one test share, by the `store` property of the connection. */
export class MemoryStores {
  readonly #stores = new Map<string, MemoryStore>();

  store(id: string): MemoryStore {
    let store = this.#stores.get(id);
    if (store === undefined) {
      store = new MemoryStore();
      this.#stores.set(id, store);
    }
    return store;
  }
}
