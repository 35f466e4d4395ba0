import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { readFileSync } from 'node:fs';
import { type ActivityRun, DataFactoryManagementClient } from '@azure/arm-datafactory';

/** Where the control plane is, as `dmg up --json` says it. */
export interface Endpoint {
  readonly endpoint: string;
  readonly ca: string;
  readonly token: string;
  readonly subscriptionId: string;
  readonly resourceGroupName: string;
}

/**
 * The unmodified client of Azure Data Factory, told nothing but another endpoint. The control plane's CA becomes one of this
 * process's, as `NODE_EXTRA_CA_CERTS` would do it.
 */
export function dataFactoryClient(up: Endpoint): DataFactoryManagementClient {
  setDefaultCACertificates([...getCACertificates('default'), readFileSync(up.ca, 'utf8')]);
  const credential = { getToken: () => Promise.resolve({ token: up.token, expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) };
  return new DataFactoryManagementClient(credential, up.subscriptionId, { endpoint: up.endpoint, retryOptions: { maxRetries: 2 } });
}

/** All activity runs of a pipeline run. */
export async function activityRuns(
  client: DataFactoryManagementClient,
  up: Endpoint,
  factoryName: string,
  runId: string,
): Promise<ActivityRun[]> {
  const hour = 3600 * 1000;
  const window = { lastUpdatedAfter: new Date(Date.now() - hour), lastUpdatedBefore: new Date(Date.now() + hour) };
  return (await client.activityRuns.queryByPipelineRun(up.resourceGroupName, factoryName, runId, window)).value;
}
