import type { Call, Session } from '../client.ts';

/** Whatever the server, the database or the role has as default. */
export async function begin(session: Session, call: Call): Promise<void> {
  await session.query(call, 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
}

/** Runs `work` in a transaction of its own; when it throws, nothing of it remains. The outcome of a COMMIT that throws is unknown. */
export async function inTransaction<T>(session: Session, call: Call, work: () => Promise<T>): Promise<T> {
  await begin(session, call);
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await rollback(session);
    throw error;
  }
  await session.query({ ...call, limitMs: session.statementLimitMs }, 'COMMIT');
  return result;
}

/** Leaves a transaction. Never throws: a session that cannot do so is torn down, which rolls it back as well. */
export async function rollback(session: Session): Promise<void> {
  if (session.lost) return;
  try {
    await session.query({ what: 'roll back at' }, 'ROLLBACK');
  } catch {
    // The reason why the transaction is left is what counts; it is on its way to the caller.
    session.destroy();
  }
}
