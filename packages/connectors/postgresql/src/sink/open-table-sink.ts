import { type ConnectorContext, connectorErrors, type SinkJob, textOf } from '@dmg/connector-api';
import type { CopyEnd } from '@dmg/model';
import { Session } from '../client.ts';
import { connectionSettingsOf } from '../connection-settings.ts';
import { tableOf } from '../table-name.ts';
import { PostgresTableSink, type TableSinkSettings } from './postgres-table-sink.ts';
import { sessionTag } from './session-tag.ts';
import { writeModeOf } from './write-mode.ts';

/** Reads what the activity says of the sink. Throws `BAD_SETTING`. */
export function tableSinkSettings(end: CopyEnd): TableSinkSettings {
  const table = tableOf(end.location);
  if (table === undefined) {
    throw connectorErrors.BAD_SETTING.create({
      name: 'table', reason: 'the dataset names no table', remedy: 'Give schema and table in the dataset of the sink.',
    });
  }
  const option = (textOf(end.settings, 'tableOption') ?? 'none').toLowerCase();
  if (option !== 'none' && option !== 'autocreate') {
    throw connectorErrors.BAD_SETTING.create({ name: 'tableOption', reason: 'it is unknown', remedy: 'Use none or autoCreate.' });
  }
  return {
    table, preCopyScript: textOf(end.settings, 'preCopyScript') ?? '', autoCreate: option === 'autocreate', mode: writeModeOf(end),
  };
}

/** Opens the sink of one attempt. Nothing is asked of the server yet. */
export function openTableSink(
  end: CopyEnd, job: SinkJob, context: ConnectorContext, patience: { readonly blockerPatienceMs?: number } = {},
): PostgresTableSink {
  const settings = connectionSettingsOf(end, context);
  const { clock, logger, callLimitMs } = context;
  // A lock that is held for longer is reported by the server, who knows of it, before the call's own limit ends the session.
  const lockLimitMs = Math.max(1000, Math.floor(callLimitMs * 0.8));
  const options = { settings, clock, logger, callLimitMs, tag: sessionTag(job), lockLimitMs };
  return new PostgresTableSink({
    ...tableSinkSettings(end), ...patience, job, clock, logger,
    open: async (signal) => prepared(await Session.open(options, signal), signal),
  });
}

/** What the server, the database or the role may have set differently, and what writing depends on. */
async function prepared(session: Session, signal: AbortSignal): Promise<Session> {
  try {
    await session.query({ what: 'prepare a session of', signal }, `
      SELECT set_config('default_transaction_isolation', 'read committed', false),
        set_config('default_transaction_read_only', 'off', false),
        CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END`);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}
