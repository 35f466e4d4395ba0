import { sleep, systemClock } from '@dmg/base';
import { blobHashes, defineFolderCopy, fileHashes, makeFiles, type Rig, waitForEnd } from './rig.ts';

interface LoadJob {
  readonly number: number;
  readonly runId: string;
  readonly source: string;
  readonly sink: { readonly store: 'file' | 'blob'; readonly folder: string };
}

export interface LoadVerdict {
  readonly jobs: number;
  readonly succeeded: number;
  /** Files that a sink lacks or holds changed, and files that it holds beyond what it should. */
  readonly lost: number;
  readonly doubled: number;
  /** Jobs that did not end exactly once Succeeded, and sinks that are not exact, in words. */
  readonly problems: readonly string[];
}

const megabyte = 1024 * 1024;
/** What the sources hold: most copies take a moment, some long enough to be struck several times. */
const sources: Readonly<Record<string, readonly number[]>> = {
  'in/small': [2 * megabyte, 200_000, 0, 1],
  'in/many': [300_000, 300_001, 300_002, 300_003, 300_004, 300_005],
  'in/large': [20 * megabyte, megabyte],
};
/** A pattern of sources: large ones in between. */
const pattern = ['in/small', 'in/many', 'in/small', 'in/large', 'in/many'] as const;
const openMax = 10;
/** From one job to the next: soon while hardly any is open, however fast this machine copies. */
const everyMs = { busy: 250, idle: 25 };
const openMin = 4;

/** Keeps a gateway at work: copies to files and blobs, always some of them open, each into a sink of its own. */
export class ClusterLoad {
  readonly #rig: Rig;
  readonly #stop = new AbortController();
  readonly #jobs: LoadJob[] = [];
  readonly #ends = new Map<number, string>();
  #open = 0;
  #done: Promise<void> = Promise.resolve();

  private constructor(rig: Rig) {
    this.#rig = rig;
  }

  static async start(rig: Rig): Promise<ClusterLoad> {
    const load = new ClusterLoad(rig);
    let salt = 0;
    for (const [folder, sizes] of Object.entries(sources)) await makeFiles(rig, folder, sizes, ++salt);
    load.#done = load.#run();
    load.#done.catch(() => undefined); // `end` tells.
    return load;
  }

  get open(): number {
    return this.#open;
  }

  get count(): number {
    return this.#jobs.length;
  }

  /** Makes no more jobs, waits until all have ended, and judges every sink. */
  async end(endWithinMs = 180_000): Promise<LoadVerdict> {
    this.#stop.abort();
    await this.#done;
    for (const { number, runId } of this.#jobs) this.#ends.set(number, await waitForEnd(this.#rig, runId, endWithinMs));
    const expected = new Map<string, Record<string, string>>();
    for (const folder of Object.keys(sources)) expected.set(folder, await fileHashes(this.#rig, folder));
    const problems: string[] = [];
    let [lost, doubled, succeeded] = [0, 0, 0];
    for (const job of this.#jobs) {
      const wanted = expected.get(job.source) ?? {};
      const found = await (job.sink.store === 'blob' ? blobHashes(this.#rig, job.sink.folder) : fileHashes(this.#rig, job.sink.folder));
      const missing = Object.entries(wanted).filter(([path, hash]) => found[path] !== hash).length;
      const surplus = Object.keys(found).filter((path) => wanted[path] === undefined).length;
      const ended = await this.#endProblem(job);
      if (ended === undefined) succeeded += 1;
      lost += missing;
      doubled += surplus;
      const words = [ended ?? [], missing + surplus === 0 ? [] : `${missing} lost, ${surplus} doubled`].flat();
      if (words.length > 0) problems.push(`job ${job.number} (${job.source} to ${job.sink.store}, run ${job.runId}): ${words.join('; ')}`);
    }
    return { jobs: this.#jobs.length, succeeded, lost, doubled, problems };
  }

  /** Every job has one activity run, and that has succeeded. */
  async #endProblem({ number, runId }: LoadJob): Promise<string | undefined> {
    const activities = await this.#rig.rest.activities(runId);
    const [only] = activities;
    if (activities.length === 1 && only?.status === 'Succeeded' && this.#ends.get(number) === 'Succeeded') return undefined;
    const each = activities.map(({ status, error }) => `${status} ${error?.errorCode ?? ''} ${error?.message ?? ''}`.trim());
    return `ended ${this.#ends.get(number) ?? '?'} with activities [${each.join(', ')}]`;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (this.#open < openMax) await this.#submit();
      await sleep(systemClock, this.#open < openMin ? everyMs.idle : everyMs.busy, this.#stop.signal).catch(() => undefined); // Ended.
    }
  }

  async #submit(): Promise<void> {
    const number = this.#jobs.length + 1;
    const source = pattern[number % pattern.length] ?? pattern[0];
    const store = number % 2 === 0 ? 'blob' : 'file';
    const sink = { store, folder: store === 'blob' ? `load/${number}` : `out/load/${number}` } as const;
    const runId = await this.#rig.rest.createRun(await defineFolderCopy(this.#rig, `load-${number}`, source, sink));
    const job: LoadJob = { number, runId, source, sink };
    this.#jobs.push(job);
    this.#open += 1;
    // How it ended is asked again at the end; here it only makes room for the next.
    const ended = waitForEnd(this.#rig, runId, 300_000).catch(() => undefined);
    void ended.then(() => (this.#open -= 1));
  }
}
