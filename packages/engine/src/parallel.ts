/** A signal that follows `outer` and can be aborted by itself. `unlink` ends the following. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  unlink(): void;
}

export function linkedSignal(outer: AbortSignal): LinkedSignal {
  const controller = new AbortController();
  const follow = (): void => controller.abort(outer.reason);
  if (outer.aborted) follow();
  else outer.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => outer.removeEventListener('abort', follow),
  };
}

/**
 * Runs `work` for each item, at most `count` at once, in order of start. The first failure aborts the others' signal; the promise
 * rejects with it when all have ended.
 */
export async function forEachParallel<T>(
  items: readonly T[],
  options: { count: number; signal: AbortSignal },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const link = linkedSignal(options.signal);
  const queue = items.values();
  let failure: { error: unknown } | undefined;
  const runner = async (): Promise<void> => {
    for (const item of queue) {
      if (failure !== undefined) return;
      try {
        link.signal.throwIfAborted();
        await work(item, link.signal);
      } catch (error) {
        failure ??= { error };
        link.abort(error);
        return;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(options.count, items.length) }, runner));
  } finally {
    link.unlink();
  }
  // TypeScript does not see the assignments inside the runners.
  const failed = failure as { error: unknown } | undefined;
  if (failed !== undefined) throw failed.error;
}
