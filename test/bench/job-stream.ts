import { sleep, systemClock } from '@dmg/base';
import type { Rig } from '../fault/rig.ts';

/** How many requests may be on their way: a control plane that is slow is not overrun. */
const atOnceMax = 16;

/** Runs of one pipeline, made at an even pace until it is ended. */
export class JobStream {
  /** Between two runs, in milliseconds; may be changed at any time. */
  everyMs: number;
  readonly #rig: Rig;
  readonly #pipeline: string;
  readonly #parameters: (index: number) => Readonly<Record<string, string>>;
  #made = 0;
  readonly #stop = new AbortController();
  readonly #open = new Set<Promise<void>>();
  readonly #runIds: string[] = [];
  #failure: unknown;
  readonly #done: Promise<void>;

  /** `parameters`: of the run of this number, from 1. */
  constructor(rig: Rig, pipeline: string, everyMs: number, parameters: (index: number) => Readonly<Record<string, string>> = () => ({})) {
    this.#rig = rig;
    this.#parameters = parameters;
    this.#pipeline = pipeline;
    this.everyMs = everyMs;
    this.#done = this.#run();
  }

  /** Runs that were made so far. */
  get runIds(): readonly string[] {
    return this.#runIds;
  }

  /** One more, now. */
  push(): void {
    if (this.#open.size >= atOnceMax) return;
    const made = this.#rig.rest.createRun(this.#pipeline, this.#parameters(++this.#made)).then(
      (runId) => void this.#runIds.push(runId),
      (error: unknown) => {
        this.#failure ??= error;
      },
    );
    this.#open.add(made);
    void made.finally(() => this.#open.delete(made));
  }

  /** Makes no more; throws what went wrong on the way. */
  async end(): Promise<readonly string[]> {
    this.#stop.abort();
    await this.#done;
    await Promise.all(this.#open);
    if (this.#failure !== undefined) throw this.#failure as Error;
    return this.#runIds;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.push();
      await sleep(systemClock, this.everyMs, this.#stop.signal).catch(() => undefined); // Ended.
    }
  }
}
