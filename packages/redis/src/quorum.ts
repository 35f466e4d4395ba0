import type { Clock } from '@dmg/base';

/** How many of `count` are more than half. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** How long to wait for the others once a majority has answered: a part of a command's deadline, since a slow answer is no answer yet. */
export function graceMsOf(commandTimeoutMs: number): number {
  return commandTimeoutMs / 5;
}

export interface CollectOptions<T> {
  readonly clock: Clock;
  /** How long the others are waited for once a majority has answered, in milliseconds. */
  readonly graceMs: number;
  /** False for an answer that says nothing, such as that there was none. */
  readonly counts: (answer: T) => boolean;
  /** Stands for the answer of one that was not waited for any longer. */
  readonly late: T;
}

/**
 * The answers in the order in which they were asked for: all of them, or, once a majority counts, those that came within the grace.
 * So a master that hangs costs the grace and not its whole deadline. What is asked must not reject.
 */
export function collect<T>(asked: readonly Promise<T>[], { clock, graceMs, counts, late }: CollectOptions<T>): Promise<T[]> {
  return new Promise((resolve, reject) => {
    const answers: T[] = asked.map(() => late);
    let [missing, counted] = [asked.length, 0];
    let grace: { cancel(): void } | undefined;
    const finish = (): void => {
      grace?.cancel();
      resolve([...answers]);
    };
    const take = (answer: T, index: number): void => {
      answers[index] = answer;
      missing--;
      if (counts(answer)) counted++;
      if (missing === 0) finish();
      else if (counted >= majorityOf(asked.length)) grace ??= clock.after(graceMs, finish);
    };
    for (const [index, answer] of asked.entries()) answer.then((value) => take(value, index)).catch(reject);
  });
}

/** Resolves as soon as `judge` can tell from the answers that have come; it must be able to when all have, or throw. */
export function firstVerdict<T, V>(asked: readonly Promise<T>[], judge: (answers: readonly T[]) => V | undefined): Promise<V> {
  return new Promise((resolve, reject) => {
    const answers: T[] = [];
    for (const answer of asked) {
      answer.then((value) => {
        answers.push(value);
        const verdict = judge(answers);
        if (verdict !== undefined) resolve(verdict);
      }).catch(reject);
    }
  });
}
