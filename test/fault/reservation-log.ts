interface LogFields {
  readonly msg: string;
  readonly pid: number;
  readonly attemptId: string;
  readonly jobId: string;
  /** Slots that were in use at the reservation, with this one. */
  readonly used?: number;
}

/**
 * Counts reservations as the hosts log them: an attempt occupies its slot from the line `attempt accepted` to `attempt ended` or
 * `attempt lost`, or until its host is gone. At each acceptance a host has at most as many as its limit, by our count and by its own,
 * which knows of slots that executors of an earlier host still hold.
 */
export class ReservationLog {
  readonly #limit: number;
  readonly #running = new Map<number, Set<string>>();
  /** Ends that were told before the acceptance was: it is a line of its own. */
  readonly #endedEarly = new Set<string>();
  readonly #over: string[] = [];
  #accepted = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get over(): readonly string[] {
    return this.#over;
  }

  take(line: string): void {
    // Most lines are others: they are not even parsed.
    if (!line.includes('"attempt ') || !line.startsWith('{')) return;
    const { msg, pid, attemptId, jobId, used = 0 } = JSON.parse(line) as LogFields;
    const running = this.#running.get(pid) ?? new Set<string>();
    this.#running.set(pid, running);
    switch (msg) {
      case 'attempt accepted':
        this.#accepted += 1;
        if (used > this.#limit) this.#over.push(`host ${pid} accepted job ${jobId} into its slot number ${used}`);
        if (this.#endedEarly.delete(attemptId)) break;
        running.add(attemptId);
        if (running.size > this.#limit) this.#over.push(`host ${pid} accepted job ${jobId} as its ${running.size}th`);
        break;
      case 'attempt ended':
      case 'attempt lost':
        if (!running.delete(attemptId)) this.#endedEarly.add(attemptId);
    }
  }
}
