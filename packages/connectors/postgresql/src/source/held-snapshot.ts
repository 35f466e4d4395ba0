import type { Call, Session } from '../client.ts';
import { sqlStateOf } from '../errors.ts';
import { quoteLiteral } from '../table-name.ts';

/*
 * A snapshot lives as long as a transaction that sees it, and every such transaction can export it again: so the snapshot of a plan
 * outlives its first exporter as long as somebody holds it (DESIGN-RULES 2). Holders are found on the server itself, by the
 * `application_name` of their sessions, which holds the snapshot's random name and the identifier to import. Sessions of other users,
 * databases and servers are not seen, and cannot be imported from; neither can any behind a pooler that leads elsewhere.
 */

/** The session that keeps a snapshot open. */
export interface HeldSnapshot {
  readonly session: Session;
  /** By which it is imported. */
  readonly snapshotId: string;
  /** 32 hex digits, by which those who hold the same find each other. */
  readonly key: string;
}

/** A session, of whatever attempt, that holds a snapshot. */
export interface Holder {
  readonly processId: number;
  readonly tag: string;
  readonly snapshotId: string;
}

/** Of the 63 bytes of an application_name 24 are left for the identifier, which has about 19. */
function tagPrefix(key: string): string {
  return `dmg:s:${key}:`;
}

/** Answers to the import of a snapshot whose transaction has ended: invalid identifier, source transaction not running. */
const goneStates = ['22023', '55000'];

export function isGone(error: unknown): boolean {
  return goneStates.includes(sqlStateOf(error));
}

/** Exports the snapshot of the session's transaction, and says so to whoever looks for it. Gives the identifier. */
export async function exportSnapshot(session: Session, key: string, call: Call): Promise<string> {
  const [row] = await session.query(call, 'SELECT pg_catalog.pg_export_snapshot() AS id');
  const snapshotId = row?.['id'] ?? '';
  await session.query(call, `SET application_name = ${quoteLiteral(tagPrefix(key) + snapshotId)}`);
  return snapshotId;
}

/** Begins a transaction that sees the snapshot. An error for which `isGone` holds is the driver's own. */
export async function importSnapshot(session: Session, snapshotId: string, call: Call): Promise<void> {
  const sql = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotId)}`;
  await session.query({ ...call, keep: isGone }, sql);
}

/** Everybody who holds the snapshot, the oldest first. */
export async function findHolders(session: Session, key: string, call: Call): Promise<Holder[]> {
  const prefix = tagPrefix(key);
  const rows = await session.query(call, `SELECT pid::text AS pid, application_name AS tag FROM pg_catalog.pg_stat_activity
WHERE left(application_name, length($1)) = $1 AND datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
ORDER BY xact_start, pid`, [prefix]);
  return rows.map((row) => ({ processId: Number(row['pid']), tag: row['tag'] ?? '', snapshotId: (row['tag'] ?? '').slice(prefix.length) }));
}

/** True when that session has held the snapshot all the time. What the server tells of sessions stands still within a transaction. */
export async function isStillHeld(session: Session, { processId, tag }: Holder, call: Call): Promise<boolean> {
  await session.query(call, 'SELECT pg_catalog.pg_stat_clear_snapshot()');
  const sql = 'SELECT pid::text AS pid FROM pg_catalog.pg_stat_activity WHERE pid = $1::int4 AND application_name = $2';
  return (await session.query(call, sql, [processId, tag])).length > 0;
}
