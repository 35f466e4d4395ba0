import type { Session } from '../client.ts';
import { postgresqlErrors, serverFault, withoutValues } from '../errors.ts';

/** Classes of SQLSTATE that may pass by themselves: connection, transaction, resources, operator. Everything else is the script's. */
const passing = /^(?:08|40|53|57|58|XX)|^55P03/;

/**
 * Runs a script in the caller's transaction. It goes through the server's own procedural language, since there a COMMIT in it is
 * refused: it would make the plan durable before the script has ended.
 */
export async function runScript(session: Session, { path, script }: { path: string; script: string }, signal: AbortSignal): Promise<void> {
  if (script.trim() === '') return;
  let refusal: Error | undefined;
  const keep = (error: unknown): boolean => {
    const { sqlState, message } = serverFault(error);
    if (sqlState !== '' && !passing.test(sqlState)) {
      refusal = postgresqlErrors.SCRIPT_FAILED.create({ path, reason: withoutValues(message), sqlState });
    }
    return false;
  };
  const call = { what: 'run the pre-copy script for', path, signal };
  await session.query(call, "SELECT set_config('dmg.script', $1, true)", [script]);
  try {
    await session.query({ ...call, limitMs: session.statementLimitMs, keep }, "DO $$BEGIN EXECUTE current_setting('dmg.script'); END$$");
  } catch (error) {
    throw refusal ?? error;
  }
}
