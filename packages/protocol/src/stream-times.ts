import type { BackoffPolicy } from '@dmg/base';

/** How streams keep time. Both sides of a stream go by their own. */
export interface StreamTimes {
  /** Each side sends its facts so often. */
  readonly heartbeatIntervalMs: number;
  /** A side that has heard nothing for so long takes the stream for dead. Four heartbeats: one late one is no death. */
  readonly silenceLimitMs: number;
  /** For a TCP connection to come about. */
  readonly connectLimitMs: number;
  /** For TLS and the first frames. */
  readonly openLimitMs: number;
  /** Between two tries when the other machine says that nobody listens there: cheap, and its node may be back any moment. */
  readonly refusedRetryMs: number;
  /** Between two tries in all other cases. */
  readonly backoff: BackoffPolicy;
  /** For the answers. A dispatch may wait for an executor to start. */
  readonly helloLimitMs: number;
  readonly dispatchLimitMs: number;
  readonly cancelLimitMs: number;
  readonly credentialKeyLimitMs: number;
  /** What was said before a close may take so long to leave. */
  readonly closeLimitMs: number;
}

export const defaultStreamTimes: StreamTimes = {
  heartbeatIntervalMs: 500,
  silenceLimitMs: 2_000,
  connectLimitMs: 1_000,
  openLimitMs: 2_000,
  refusedRetryMs: 250,
  backoff: { firstMs: 100, factor: 2, maxMs: 1_000 },
  helloLimitMs: 2_000,
  dispatchLimitMs: 10_000,
  cancelLimitMs: 5_000,
  credentialKeyLimitMs: 2_000,
  closeLimitMs: 500,
};
