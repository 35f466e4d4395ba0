/** Where things that must be undone are registered: a `TestContext`, `{ after }` of `node:test` for a whole file, or a scope. */
export interface CleanupContext {
  after(undo: () => void | Promise<void>): void;
}

const stacks = new WeakMap<CleanupContext, (() => void | Promise<void>)[]>();

/**
 * Registers `undo` to run when `context` ends. `node:test` runs `after` hooks first in, first out; these run last in, first
 * out, so that a folder outlives the process that writes to it. All run; the first error is thrown.
 */
export function onCleanup(context: CleanupContext, undo: () => void | Promise<void>): void {
  const known = stacks.get(context);
  if (known !== undefined) {
    known.push(undo);
    return;
  }
  const stack = [undo];
  stacks.set(context, stack);
  context.after(() => unwind(stack));
}

/** A context for programs that are no tests (demo, benchmarks): they call `close()` themselves. */
export class CleanupScope implements CleanupContext {
  #undos: (() => void | Promise<void>)[] = [];

  after(undo: () => void | Promise<void>): void {
    this.#undos.push(undo);
  }

  async close(): Promise<void> {
    const undos = this.#undos;
    this.#undos = [];
    await unwind(undos);
  }
}

async function unwind(stack: (() => void | Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (let undo = stack.pop(); undo !== undefined; undo = stack.pop()) {
    try {
      await undo();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
