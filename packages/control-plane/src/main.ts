import { firstLine, silentMeter, systemClock, systemRandom } from '@dmg/base';
import { azureBlobSpec } from '@dmg/connector-azure-blob/spec';
import { fileSpec } from '@dmg/connector-file/spec';
import { postgresqlSpec } from '@dmg/connector-postgresql/spec';
import { bearStrayErrors, runRoot, type RunningRoot } from '@dmg/lifecycle';
import { isStrayClientError, ServiceBusJobSender } from '@dmg/service-bus';
import { createLogger, createMeter, startMetricsServer } from '@dmg/telemetry';
import { controlPlaneHelp, type ControlPlaneConfig, exitsWithParent, readConfig } from './config.ts';
import { startControlPlane } from './control-plane.ts';

/** Accepted like any other; what `dmg up` and the demo use. */
const defaultSubscriptionId = '00000000-0000-0000-0000-000000000000';
const defaultResourceGroup = 'local';

await runRoot({
  name: 'control-plane',
  clock: systemClock,
  exitWithParent: exitsWithParent(),
  start: async () => {
    const config = readConfig();
    if (config.help) {
      process.stdout.write(controlPlaneHelp);
      process.exit(0);
    }
    return start(config);
  },
});

async function start(config: ControlPlaneConfig): Promise<RunningRoot> {
  const logger = createLogger({ component: 'control-plane', level: config.logLevel });
  bearStrayErrors(isStrayClientError, (error) => logger.warn({ reason: firstLine(error) }, 'queue client failed behind our back'));
  const meter = config.metricsPort === undefined ? undefined : createMeter();
  const controlPlane = await startControlPlane({
    stateFolder: config.stateFolder,
    host: config.host,
    port: config.port,
    names: config.names,
    sender: new ServiceBusJobSender({ connection: { connectionString: config.serviceBus }, clock: systemClock, logger }),
    specs: [fileSpec, azureBlobSpec, postgresqlSpec],
    token: config.token,
    masterSecret: config.masterSecret,
    ...(config.resendAfterMs === undefined ? {} : { resend: { quietMs: config.resendAfterMs } }),
    clock: systemClock,
    random: systemRandom,
    logger,
    meter: meter ?? silentMeter,
  });
  let health = await controlPlane.healthy();
  const describe = (): { ok: boolean; evidence: string } =>
    ({ ok: health, evidence: health ? 'the database answers' : 'the database does not answer' });
  const metrics =
    meter === undefined
      ? undefined
      : await startMetricsServer({
          host: '127.0.0.1',
          port: config.metricsPort ?? 0,
          meter,
          live: () => {
            void controlPlane.healthy().then((ok) => (health = ok));
            return describe();
          },
          ready: describe,
        });
  logger.info({ endpoint: controlPlane.endpoint, stateFolder: config.stateFolder }, 'control plane is ready');
  return {
    ready: {
      endpoint: controlPlane.endpoint,
      ca: controlPlane.caFile,
      tokenFile: controlPlane.tokenFile,
      subscriptionId: defaultSubscriptionId,
      resourceGroupName: defaultResourceGroup,
      pid: process.pid,
      ...(metrics === undefined ? {} : { metrics: metrics.url }),
    },
    async stop() {
      await metrics?.close();
      await controlPlane.close();
    },
  };
}
