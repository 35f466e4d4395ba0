import { withSettingsFile } from '@dmg/lifecycle';

/** The only place where this root reads its environment. */
export type Environment = Readonly<
  Partial<
    Record<
      | 'DMG_STATE' | 'DMG_ENDPOINT' | 'DMG_CA' | 'DMG_TOKEN' | 'DMG_SUBSCRIPTION' | 'DMG_RESOURCE_GROUP' | 'DMG_FACTORY'
      | 'DMG_GATEWAY_KEY' | 'DMG_LOG_LEVEL' | 'DMG_EXIT_WITH_PARENT' | 'DMG_REDIS' | 'DMG_SERVICE_BUS' | 'XDG_STATE_HOME'
      | 'DMG_NODE_NAME' | 'DMG_METRICS_PORT' | 'DMG_METRICS_HOST' | 'DMG_CONFIG' | 'DMG_SHARE_MACHINE' | 'DMG_GRPC_HOST' | 'DMG_GRPC_PORT'
      | 'DMG_ADVERTISE' | 'DMG_CLUSTER_ENCRYPTION' | 'DMG_DRAIN_GRACE' | 'DMG_LEASE_MS' | 'DMG_LEASE_RENEW_MS',
      string
    >
  >
>;

/** With what `dmg.json` says below it. */
export function readEnvironment(): Environment {
  return withSettingsFile(process.env);
}

/** `DMG_TEST_MARK` lets a test find every process that came of what it started. */
const passedOn: ReadonlySet<string> = new Set(['DMG_REDIS_SERVER', 'DMG_LOG_LEVEL', 'DMG_TEST_MARK']);

/** What children need of our environment besides what we set for them: nothing of `DMG_*` leaks by accident. */
export function childEnvironment(added: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && (!name.startsWith('DMG_') || passedOn.has(name))) kept[name] = value;
  }
  return { ...kept, ...added };
}
