import type { NodeLogLine } from './node-process.ts';
import { within } from './wait-for.ts';

/** A job that a worker took, by the line with which it says so. */
export interface Acceptance {
  readonly node: string;
  readonly atMs: number;
  readonly jobId: string;
  readonly attemptId: string;
  readonly step: string;
  /** First part of the epoch under which it came. */
  readonly n: number;
  /** Slots of the node at that instant, this one included. */
  readonly used: number;
  readonly limit: number;
}

export interface AttemptEnd {
  readonly node: string;
  readonly atMs: number;
  readonly jobId: string;
  readonly attemptId: string;
  readonly outcome: string;
}

interface Waiter {
  readonly accept: (line: NodeLogLine) => boolean;
  readonly found: (line: NodeLogLine) => void;
}

/** Everything that the nodes of a cluster log, in the order of arrival, to be awaited and to be judged afterwards. */
export class ClusterLog {
  readonly #lines: NodeLogLine[] = [];
  #waiters: Waiter[] = [];

  take(line: NodeLogLine): void {
    this.#lines.push(line);
    this.#waiters = this.#waiters.filter(({ accept, found }) => {
      if (!accept(line)) return true;
      found(line);
      return false;
    });
  }

  /** How many lines there are: a place from which later ones are counted. */
  get mark(): number {
    return this.#lines.length;
  }

  /** The first line from `mark` on that `accept` takes, also one that is still to come. */
  async next(what: string, accept: (line: NodeLogLine) => boolean, options: { mark: number; withinMs: number }): Promise<NodeLogLine> {
    const known = this.#lines.slice(options.mark).find(accept);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<NodeLogLine>();
    const waiter: Waiter = { accept, found: resolve };
    this.#waiters.push(waiter);
    try {
      return await within(what, options.withinMs, promise);
    } finally {
      this.#waiters = this.#waiters.filter((each) => each !== waiter);
    }
  }

  /** The next job that a worker takes and that `wanted` takes. */
  async nextAcceptance(
    what: string, wanted: (one: Acceptance) => boolean, options: { mark: number; withinMs: number },
  ): Promise<Acceptance> {
    const line = await this.next(what, (each) => acceptanceOf(each).some(wanted), options);
    const [found] = acceptanceOf(line);
    if (found === undefined) throw new Error('a line was found that is none');
    return found;
  }

  /** Jobs taken from `mark` on. */
  acceptances(mark = 0): Acceptance[] {
    return this.#lines.slice(mark).flatMap(acceptanceOf);
  }

  ends(mark = 0): AttemptEnd[] {
    return this.#lines.slice(mark).flatMap(endOf);
  }

  /** Lines with this message. */
  lines(msg: string, mark = 0): NodeLogLine[] {
    return this.#lines.slice(mark).filter((line) => line.msg === msg);
  }
}

function acceptanceOf({ node, atMs, msg, fields }: NodeLogLine): Acceptance[] {
  if (msg !== 'attempt accepted') return [];
  const { jobId, attemptId, step, epoch, used, limit } = fields;
  return [{
    node, atMs, jobId: String(jobId), attemptId: String(attemptId), step: String(step), n: Number(String(epoch).split('.', 1)[0]),
    used: Number(used), limit: Number(limit),
  }];
}

function endOf({ node, atMs, msg, fields }: NodeLogLine): AttemptEnd[] {
  if (msg !== 'attempt ended' && msg !== 'attempt lost') return [];
  const { jobId, attemptId, outcome } = fields;
  return [{ node, atMs, jobId: String(jobId), attemptId: String(attemptId), outcome: String(outcome) }];
}
