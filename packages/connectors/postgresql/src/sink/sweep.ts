import { firstLine, type Logger } from '@dmg/base';
import type { Session } from '../client.ts';
import { quoteTableName, type TableName } from '../table-name.ts';
import { dropStages, leftoverStages } from './staging.ts';

/** Jobs and staging tables that are removed with one plan, so that a plan never waits for long. */
const jobsMax = 20;
const stagesMax = 10;
/** A job is sent again for seven days at most; its end is remembered for longer than that. */
const keptFor = '30 days';

/**
 * Removes what jobs of long ago have left: their rows in our tables, and staging tables that could not be removed at the end of
 * their job. Jobs that are open are never touched, nor what another session is about to remove. Never throws.
 */
export async function sweep(
  session: Session, tables: { jobs: TableName; chunks: TableName; logger: Logger }, signal: AbortSignal,
): Promise<void> {
  const { jobs, chunks, logger } = tables;
  try {
    await dropStages(session, await leftoverStages(session, { jobs, countMax: stagesMax }, signal), signal);
    const rows = await session.query({ what: 'remove old jobs at', signal, limitMs: session.statementLimitMs }, `
      WITH old AS (
        SELECT job_id FROM ${quoteTableName(jobs)}
        WHERE phase IN ('done', 'aborted') AND updated_at < now() - interval '${keptFor}'
        ORDER BY updated_at LIMIT ${jobsMax} FOR UPDATE SKIP LOCKED),
      marks AS (DELETE FROM ${quoteTableName(chunks)} c USING old WHERE c.job_id = old.job_id)
      DELETE FROM ${quoteTableName(jobs)} j USING old WHERE j.job_id = old.job_id RETURNING j.job_id`);
    if (rows.length > 0) logger.info({ jobs: rows.length }, 'jobs that ended long ago were removed at the sink');
  } catch (error) {
    logger.info({ reason: firstLine(error) }, 'what old jobs have left could not be removed');
  }
}
