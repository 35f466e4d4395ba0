import { type Connector, connectorErrors } from '@dmg/connector-api';
import { Session } from './client.ts';
import { connectionSettingsOf } from './connection-settings.ts';
import { openTableSink } from './sink/open-table-sink.ts';
import { PostgresTableSource } from './source/postgres-table-source.ts';
import { sourceSettingsOf } from './source/source-settings.ts';
import { postgresqlSpec } from './spec.ts';

/** `PostgreSql`, `PostgreSqlV2`, `AzurePostgreSql`: tables and queries of a PostgreSQL server, from version 11 on. */
export const postgresqlConnector: Connector = {
  spec: postgresqlSpec,

  async check(end, context) {
    const { clock, logger, callLimitMs } = context;
    const session = await Session.open({ settings: connectionSettingsOf(end, context), clock, logger, callLimitMs, tag: 'dmg:check' });
    await session.close();
  },

  async openSource() {
    throw connectorErrors.BAD_SETTING.create({
      name: 'type', reason: 'PostgreSQL has tables, not files', remedy: 'Use a dataset of a PostgreSQL table with a PostgreSQL source.',
    });
  },

  async openTableSource(end, context) {
    const { clock, random, logger, callLimitMs } = context;
    const connection = connectionSettingsOf(end, context);
    return new PostgresTableSource({ connection, settings: sourceSettingsOf(end), clock, random, logger, callLimitMs });
  },

  async openSink(end, job, context) {
    return openTableSink(end, job, context);
  },
};
