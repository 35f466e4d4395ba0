import { connectorErrors } from '@dmg/connector-api';
import type { Plan } from '@dmg/model';
import type { Session } from '../client.ts';
import { postgresqlErrors } from '../errors.ts';
import { formatTableName, type TableName } from '../table-name.ts';
import { runScript } from './pre-copy-script.ts';
import { checkPlanColumns, createTable, isEmptied, readTable } from './target-table.ts';
import type { WriteWay } from './write-way.ts';

export interface DirectWayOptions {
  readonly table: TableName;
  readonly preCopyScript: string;
  readonly autoCreate: boolean;
  readonly jobs: TableName;
  readonly jobId: string;
}

/** Chunks are copied into the target itself; the script and the making of the table belong to the plan. */
export class DirectWay implements WriteWay {
  readonly endsSlowly = false;
  readonly #options: DirectWayOptions;
  readonly #path: string;

  constructor(options: DirectWayOptions) {
    this.#options = options;
    this.#path = formatTableName(options.table);
  }

  async prepare(session: Session, plan: Plan, signal: AbortSignal): Promise<string | undefined> {
    const { table, preCopyScript, autoCreate } = this.#options;
    const [first] = plan.targets;
    // The script has run and the table was made with the first plan.
    const isFirst = plan.generation === 1;
    if (isFirst && autoCreate && first !== undefined && (await readTable(session, table, signal)) === undefined) {
      const wanted = plan.targets.find((target) => (target.columns ?? []).length > 0)?.columns ?? [];
      await createTable(session, { name: table, columns: wanted }, signal);
    }
    if (isFirst) await runScript(session, { path: this.#path, script: preCopyScript }, signal);
    if (first === undefined) return undefined;
    const made = await readTable(session, table, signal);
    if (made === undefined) throw postgresqlErrors.TABLE_MISSING.create({ path: this.#path, store: session.store });
    checkPlanColumns(table, made, plan);
    return made.oid;
  }

  intoTable(): TableName {
    return this.#options.table;
  }

  async publish(session: Session, { plan, tableOid }: { plan: Plan; tableOid: string | undefined }, signal: AbortSignal): Promise<void> {
    if (plan.targets.length === 0) return;
    const found = await readTable(session, this.#options.table, signal);
    if (found === undefined || found.oid !== tableOid) throw connectorErrors.TARGET_CHANGED.create({ path: this.#path });
    const { table, jobs, jobId } = this.#options;
    if (await isEmptied(session, { path: this.#path, oid: found.oid, jobs, jobId }, signal)) {
      throw postgresqlErrors.ROWS_LOST.create({ path: formatTableName(table) });
    }
  }

  /** Rows that are in stay. */
  async clear(): Promise<void> {
    return undefined;
  }
}
