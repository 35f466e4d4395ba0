import { hasCode, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import type { FileSkipReason, Mark, PlanTarget } from '@dmg/model';

/**
 * Files that a copy leaves out because something is wrong with them. The mark of a chunk says so (`Mark.fileSkipped`): whoever is first
 * with a chunk decides, and one such mark stands for the whole file, so that no attempt decides otherwise later and nothing of a file
 * that was copied in part is published.
 */
export class FileSkips {
  readonly #wanted: ReadonlySet<FileSkipReason>;
  readonly #skipped = new Map<number, FileSkipReason>();
  /** The sink may refuse something by the same code, and that is no reason to leave a file out. */
  readonly #ofSource = new WeakSet();

  constructor(wanted: readonly FileSkipReason[] = []) {
    this.#wanted = new Set(wanted);
  }

  /** Notes and returns an error that reading the source has brought. */
  ofSource(error: unknown): unknown {
    if (isDmgError(error)) this.#ofSource.add(error);
    return error;
  }

  /** Takes note of the marks of a target. */
  learn(target: PlanTarget, marks: readonly Mark[]): void {
    const reason = marks.find((mark) => mark.fileSkipped !== undefined)?.fileSkipped;
    if (reason !== undefined) this.#skipped.set(target.target, reason);
  }

  /** Why the file of a target is known to be left out. */
  reasonOf(target: PlanTarget): FileSkipReason | undefined {
    return this.#skipped.get(target.target);
  }

  /** Is the file of a target to be left out for this error? A target that is made of several files, or a table, needs all of it. */
  decide(target: PlanTarget, error: unknown): FileSkipReason | undefined {
    if (target.sources.length !== 1 || target.columns !== undefined) return undefined;
    if (!isDmgError(error) || !this.#ofSource.has(error)) return undefined;
    const reason = reasonFor(error);
    if (reason === undefined || !this.#wanted.has(reason)) return undefined;
    this.#skipped.set(target.target, reason);
    return reason;
  }
}

function reasonFor(error: Error): FileSkipReason | undefined {
  if (hasCode(error, connectorErrors.ACCESS_DENIED.code)) return 'forbidden';
  if (!isDmgError(error) || !hasCode(error, connectorErrors.SOURCE_CHANGED.code)) return undefined;
  return error.params['missing'] === true ? 'missing' : 'changed';
}
