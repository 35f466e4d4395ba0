import { backoffMs, type Logger, sleep } from '@dmg/base';
import { type ChildRoot, type ChildRootOptions, startChildRoot } from './child-root.ts';

export interface SupervisedRoot {
  readonly name: string;
  /** The child as it is now; another one after a restart. */
  current(): ChildRoot;
  /** Called after each restart. */
  onRestart(listen: (child: ChildRoot) => void): void;
  stop(): Promise<void>;
}

/**
 * Keeps a root alive as a service manager does: when it dies it is started again, at once (50 to 100 ms) if it had been well for
 * 10 s, otherwise with growing delays. The first start is not repeated: what cannot start at all is the caller's error to show.
 */
export async function superviseRoot(
  options: ChildRootOptions & {
    readonly logger: Logger;
    readonly random: () => number;
    /** False: it is not started again, and what has ended stays ended. Default true. */
    readonly restart?: boolean;
  },
): Promise<SupervisedRoot> {
  const { clock, logger, name, restart = true } = options;
  const stopping = new AbortController();
  const listeners: ((child: ChildRoot) => void)[] = [];
  let current = await startChildRoot(options);
  const healthyMs = 10_000;

  const keepAlive = async (): Promise<void> => {
    let failures = 0;
    for (;;) {
      const startedMs = clock.monotonicMs();
      const { code, signal } = await current.exited;
      if (stopping.signal.aborted) return;
      if (!restart) {
        logger.warn({ name, code, signal }, 'process ended and is not started again');
        return;
      }
      failures = clock.monotonicMs() - startedMs > healthyMs ? 0 : failures + 1;
      logger.warn({ name, code, signal, failures }, 'process ended and is started again');
      for (;;) {
        await sleep(clock, backoffMs(failures, options.random(), { firstMs: 100, factor: 2, maxMs: 5000 }), stopping.signal);
        try {
          current = await startChildRoot({ ...options, signal: stopping.signal });
          break;
        } catch (error) {
          if (stopping.signal.aborted) throw error;
          failures += 1;
          logger.error({ name, failures, error }, 'process could not be started again');
        }
      }
      for (const listen of listeners) listen(current);
    }
  };
  // Ends by the abort of `stopping` only; its rejection is that abort.
  const kept = keepAlive().catch(() => undefined);

  return {
    name,
    current: () => current,
    onRestart: (listen) => void listeners.push(listen),
    async stop() {
      stopping.abort();
      await current.stop();
      await kept;
    },
  };
}
