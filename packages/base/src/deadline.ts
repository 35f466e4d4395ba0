import type { Clock } from './clock.ts';
import { baseErrors } from './errors.ts';

/**
 * Runs `work` under a deadline: when `limitMs` have passed its signal is aborted and the promise rejects with
 * `DMG_BASE_DEADLINE`, whether or not the work listens. Every call to another process goes through here.
 */
export async function withDeadline<T>(
  options: { clock: Clock; limitMs: number; what: string; signal?: AbortSignal | undefined },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, limitMs, what, signal: outer } = options;
  outer?.throwIfAborted();
  const controller = new AbortController();
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    const timer = clock.after(limitMs, () => {
      const error = baseErrors.DEADLINE.create({ what, limitMs });
      controller.abort(error);
      reject(error);
    });
    const onAbort = (): void => {
      controller.abort(outer?.reason);
      reject(outer?.reason as Error);
    };
    outer?.addEventListener('abort', onAbort, { once: true });
    stop = () => {
      timer.cancel();
      outer?.removeEventListener('abort', onAbort);
    };
  });
  stopped.catch(() => undefined);
  try {
    return await Promise.race([work(controller.signal), stopped]);
  } finally {
    stop();
  }
}
