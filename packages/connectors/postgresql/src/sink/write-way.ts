import type { Mark, Plan, PlanTarget } from '@dmg/model';
import type { Session } from '../client.ts';
import type { TableName } from '../table-name.ts';

/** How the rows of a job get into its table: in which transaction, and through which tables. */
export interface WriteWay {
  /** True when ending the job moves all its rows, which may take as long as it likes. */
  readonly endsSlowly: boolean;
  /**
   * In the transaction of the plan: checks what can be checked, and makes what chunks are written into. Gives the target's object
   * id; undefined when the table is made at the end.
   */
  prepare(session: Session, plan: Plan, signal: AbortSignal): Promise<string | undefined>;
  /** The table that the chunks of a target are copied into. */
  intoTable(plan: Plan, target: PlanTarget): TableName;
  /**
   * In the transaction that ends the job, which is open and has all its marks. `tableOid`: what `prepare` gave. Throws
   * `TARGET_CHANGED` when that table is not there any more.
   */
  publish(session: Session, job: { plan: Plan; marks: readonly Mark[]; tableOid: string | undefined }, signal: AbortSignal): Promise<void>;
  /** Removes what was made for a job that is over, or for a generation before `plan`. In no transaction. Never throws. */
  clear(session: Session, keep: Plan | undefined, signal: AbortSignal): Promise<void>;
}
