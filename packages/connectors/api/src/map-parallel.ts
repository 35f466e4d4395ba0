/**
 * Runs `work` for every item, at most `limit` at once, and returns the results in order. The first failure is thrown after those
 * under way have ended; no further ones are started.
 */
export async function mapParallel<T, R>(items: readonly T[], limit: number, work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const entries = items.entries();
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    for (const [index, item] of entries) {
      if (failures.length > 0) return;
      try {
        results[index] = await work(item, index);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(Math.max(limit, 1), items.length) }, run));
  if (failures.length > 0) throw failures[0];
  return results;
}
