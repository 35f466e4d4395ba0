/**
 * A request of the SDK whose connection dies is given up after 60 s, whatever is closed meanwhile, and its timer keeps the
 * process alive until then. Programs end by `process.exit`; a test file must end by itself, so here such timers do not count.
 */
export function letSdkTimersGo(): void {
  const original = globalThis.setTimeout;
  const patched = (...args: Parameters<typeof original>): NodeJS.Timeout => {
    const timer = original(...args);
    if (typeof args[1] === 'number' && args[1] > 50_000) timer.unref();
    return timer;
  };
  globalThis.setTimeout = Object.assign(patched, original);
}
