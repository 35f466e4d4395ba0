import type { NodeLogLine } from './node-process.ts';
import { within } from './wait-for.ts';

/** Who leads, as the nodes' own logs say it. */
export interface Leader {
  readonly node: string;
  /** First part of the epoch: it grows with every grant. */
  readonly n: number;
  /** When the line that says so arrived. */
  readonly atMs: number;
}

/** The first job that a worker accepted under an epoch. */
export interface FirstDispatch {
  readonly worker: string;
  readonly n: number;
  readonly atMs: number;
}

/**
 * Follows leadership by two lines of the nodes' logs: `dispatcher leads` of the one that does, and `attempt accepted` of whoever obeys
 * it. Each line carries the epoch.
 */
export class EpochWatch {
  #leader: Leader | undefined;
  #waiting: { take(line: NodeLogLine, n: number): boolean }[] = [];

  get leader(): Leader | undefined {
    return this.#leader;
  }

  take(line: NodeLogLine): void {
    const { msg, fields, node, atMs } = line;
    if (msg !== 'dispatcher leads' && msg !== 'attempt accepted') return;
    const n = Number(String(fields['epoch']).split('.', 1)[0]);
    if (!Number.isInteger(n)) throw new Error(`a log line has no epoch: ${JSON.stringify(fields)}`);
    if (msg === 'dispatcher leads' && n > (this.#leader?.n ?? 0)) this.#leader = { node, n, atMs };
    this.#waiting = this.#waiting.filter((waiter) => !waiter.take(line, n));
  }

  /** The next grant larger than `above`; also one that is there already. */
  leaderAfter(above: number, withinMs: number): Promise<Leader> {
    if (this.#leader !== undefined && this.#leader.n > above) return Promise.resolve(this.#leader);
    return this.#next(`a dispatcher after epoch ${above}`, 'dispatcher leads', above, withinMs).then(({ line, n }) => ({
      node: line.node, n, atMs: line.atMs,
    }));
  }

  /** The first job that is accepted under an epoch larger than `above`, from now on. */
  firstDispatchAfter(above: number, withinMs: number): Promise<FirstDispatch> {
    return this.#next(`a job under an epoch after ${above}`, 'attempt accepted', above, withinMs).then(({ line, n }) => ({
      worker: line.node, n, atMs: line.atMs,
    }));
  }

  #next(what: string, msg: string, above: number, withinMs: number): Promise<{ line: NodeLogLine; n: number }> {
    const { promise, resolve } = Promise.withResolvers<{ line: NodeLogLine; n: number }>();
    this.#waiting.push({
      take: (line, n) => {
        if (line.msg !== msg || n <= above) return false;
        resolve({ line, n });
        return true;
      },
    });
    return within(what, withinMs, promise);
  }
}
