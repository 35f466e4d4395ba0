import { type Clock, hasCode, withDeadline } from '@dmg/base';
import type { TextStream } from '@dmg/connector-api';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { CopyOut, type RowEnd } from './copy-out.ts';

export interface CopyStreamOptions {
  /** In the transaction in which the statement is to run. */
  readonly session: Session;
  /** `COPY … TO STDOUT …`. */
  readonly sql: string;
  readonly rowEnd: RowEnd;
  /** The table, for messages. */
  readonly path: string;
  readonly clock: Clock;
  /** After so long without a byte, `probe` is asked whether the server is still there. */
  readonly silenceMs: number;
  /** Throws when the server cannot be reached. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  /** Asked in the session when all rows have come; throws when they do not count. */
  readonly confirm?: (signal: AbortSignal) => Promise<void>;
  /** Takes the session back: free for the next partition when the stream was read to its end, else abandoned. Never throws. */
  readonly giveBack: (session: Session, complete: boolean) => Promise<void>;
}

/** One partition being read. A server that computes for long is waited for as long as it answers otherwise. */
export class CopyStream implements TextStream {
  readonly #options: CopyStreamOptions;
  readonly #copy: CopyOut;
  #over = false;
  #closed: Promise<void> | undefined;

  /** Takes the session for itself and starts the statement. */
  constructor(options: CopyStreamOptions) {
    this.#options = options;
    const { session, sql, rowEnd } = options;
    const release = session.hold();
    this.#copy = new CopyOut(sql, rowEnd, release);
    session.client.query(this.#copy);
  }

  get rows(): number {
    return this.#copy.rows;
  }

  async next(signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { session, path } = this.#options;
    try {
      for (;;) {
        if (signal.aborted) throw signal.reason;
        const block = this.#copy.take();
        if (block === undefined && !this.#over) {
          await this.#options.confirm?.(signal);
          this.#over = true;
        }
        if (block !== 'wait') return block;
        await this.#wait(signal);
      }
    } catch (error) {
      // The server may still be at it, and its session is in the middle of a transaction: it ends now, not when somebody closes.
      void this.close();
      throw session.mapped(error, { what: 'read', path, doing: 'read', signal });
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#options.giveBack(this.#options.session, this.#over);
    return this.#closed;
  }

  /** Waits for a block. Time without a single byte counts against the statement's limit and makes us ask for a sign of life. */
  async #wait(signal: AbortSignal): Promise<void> {
    const { session, path, clock, silenceMs, probe } = this.#options;
    const changed = this.#copy.changed();
    let silentSinceMs = clock.monotonicMs();
    for (;;) {
      const received = this.#copy.received;
      const limitMs = Math.min(silenceMs, session.statementLimitMs);
      try {
        await withDeadline({ clock, limitMs, what: `read ${path}`, signal }, () => changed);
        return;
      } catch (error) {
        if (signal.aborted || !hasCode(error, 'DMG_BASE_DEADLINE')) throw error;
      }
      const silentMs = clock.monotonicMs() - silentSinceMs;
      if (this.#copy.received !== received) {
        silentSinceMs = clock.monotonicMs();
      } else if (silentMs >= session.statementLimitMs) {
        const reason = `no row came within the ${Math.round(session.statementLimitMs / 1000)} s of commandTimeout`;
        throw postgresqlErrors.CANCELLED.create({ path, reason });
      } else {
        await probe(signal);
      }
    }
  }
}
