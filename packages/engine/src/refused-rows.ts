import { type DmgError, isDmgError } from '@dmg/base';
import { engineErrors } from './errors.ts';

/** Each row that a sink refuses costs another writing of its chunk, so that this many in one chunk are taken for a wrong mapping. */
export const refusedRowsMax = 100;

/**
 * Rows of one chunk that the sink itself has refused (a type, a length, a constraint of the table). A refusal ends the chunk's
 * transaction, so the chunk is written again without the row: the table says which line of the chunk it was, and that line is counted
 * among the rows that were still handed over.
 */
export class RefusedRows {
  readonly #errors = new Map<number, DmgError>();

  /** By the row's place, from 0, among those of the chunk that could be written. */
  get errors(): ReadonlyMap<number, DmgError> {
    return this.#errors;
  }

  /** True: the error names a row, and the chunk is to be written again without it. Throws where there are too many. */
  note(error: unknown): boolean {
    if (!isDmgError(error) || error.scope !== 'row') return false;
    const { line } = error.params;
    if (typeof line !== 'number' || line < 1) return false;
    if (this.#errors.size >= refusedRowsMax) throw engineErrors.TOO_MANY_REFUSED.create({ limit: refusedRowsMax }, { cause: error });
    let place = -1;
    for (let left = line; left > 0;) if (!this.#errors.has(++place)) left--;
    this.#errors.set(place, error);
    return true;
  }
}
