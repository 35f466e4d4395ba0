import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { DataFactoryManagementClient } from '@azure/arm-datafactory';
import { type LogFields, type Logger, silentMeter, systemClock, systemRandom } from '@dmg/base';
import { azureBlobSpec } from '@dmg/connector-azure-blob/spec';
import { fileSpec } from '@dmg/connector-file/spec';
import { postgresqlSpec } from '@dmg/connector-postgresql/spec';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../control-plane.ts';
import { FakeNode } from './fake-node.ts';
import { RecordingSender } from './recording-sender.ts';

export const subscriptionId = '00000000-0000-0000-0000-000000000000';
export const group = 'local';
export const factory = 'fab';
export const gateway = 'gateway-1';
export const blobSecret =
  'DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=Y2FuYXJ5LXNlY3JldC1rZXk=;EndpointSuffix=core.windows.net';

export interface RawOptions {
  readonly body?: string;
  /** Undefined: none is sent. Left out: the right one. */
  readonly token?: string | undefined;
}

export interface Fixture {
  readonly controlPlane: ControlPlane;
  readonly sender: RecordingSender;
  readonly client: DataFactoryManagementClient;
  readonly token: string;
  readonly stateFolder: string;
  readonly logLines: string[];
  /** Stops it and starts it on the same state; the client goes on working, because the port is kept. */
  restart(change?: Partial<ControlPlaneOptions>, between?: () => Promise<void>): Promise<void>;
  readonly raw: (method: string, path: string, options?: RawOptions) => Promise<{ status: number; body: unknown; headers: Headers }>;
}

/** A control plane in this process over real HTTPS, its state in a folder of its own, and the unmodified client. */
export async function startFixture(t: TestContext, change: Partial<ControlPlaneOptions> = {}): Promise<Fixture> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'dmg-control-plane-'));
  // Set up before the start, which may fail: the folder goes in any case.
  let stop = (): Promise<void> => Promise.resolve();
  t.after(async () => {
    await stop();
    await rm(stateFolder, { recursive: true });
  });
  const sender = new RecordingSender();
  const logLines: string[] = [];
  const options: ControlPlaneOptions = {
    stateFolder, host: '127.0.0.1', port: 0, names: [], sender, specs: [fileSpec, azureBlobSpec, postgresqlSpec],
    clock: systemClock, random: systemRandom,
    logger: recordingLogger(logLines), meter: silentMeter, ...change,
  };
  let controlPlane = await startControlPlane(options);
  stop = () => controlPlane.close();
  trust(controlPlane.caPem);
  const { endpoint } = controlPlane;
  const token = (await readFile(controlPlane.tokenFile, 'utf8')).trim();
  return {
    get controlPlane() {
      return controlPlane;
    },
    sender, token, stateFolder, logLines,
    client: armClient(endpoint, token),
    async restart(restartChange = {}, between) {
      await controlPlane.close();
      await between?.();
      controlPlane = await startControlPlane({ ...options, ...restartChange });
    },
    async raw(method, path, rawOptions = {}) {
      const bearer = 'token' in rawOptions ? rawOptions.token : token;
      const response = await fetch(`${endpoint}${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) },
        ...(rawOptions.body === undefined ? {} : { body: rawOptions.body }),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers };
    },
  };
}

export function trust(caPem: string): void {
  setDefaultCACertificates([...getCACertificates('default'), caPem]);
}

export function armClient(endpoint: string, token: string): DataFactoryManagementClient {
  const credential = { getToken: () => Promise.resolve({ token, expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) };
  return new DataFactoryManagementClient(credential, subscriptionId, { endpoint, $host: endpoint, retryOptions: { maxRetries: 0 } });
}

function recordingLogger(lines: string[]): Logger {
  const write = (level: string) => (fields: LogFields, message: string) => {
    const shown = JSON.stringify(
      { level, message, ...fields },
      (_key, value: unknown) => (value instanceof Error ? { text: String(value), stack: value.stack, cause: String(value.cause) } : value),
    );
    lines.push(shown);
  };
  const logger: Logger = { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug'), child: () => logger };
  return logger;
}

/** Factory, gateway, a folder and a blob account as linked services, a dataset for each, and a pipeline `copy` between them. */
export async function seed(fixture: Fixture): Promise<void> {
  const { client } = fixture;
  const connectVia = { type: 'IntegrationRuntimeReference', referenceName: gateway } as const;
  await client.factories.createOrUpdate(group, factory, { location: 'local' });
  await client.integrationRuntimes.createOrUpdate(group, factory, gateway, { properties: { type: 'SelfHosted' } });
  await client.linkedServices.createOrUpdate(group, factory, 'Folder', { properties: { type: 'FileServer', host: '/data', connectVia } });
  await client.linkedServices.createOrUpdate(group, factory, 'Blob', {
    properties: { type: 'AzureBlobStorage', connectionString: { type: 'SecureString', value: blobSecret }, connectVia },
  });
  await client.datasets.createOrUpdate(group, factory, 'In', {
    properties: {
      type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'Folder' },
      location: { type: 'FileServerLocation', folderPath: 'in' },
    },
  });
  await client.datasets.createOrUpdate(group, factory, 'Out', {
    properties: {
      type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: 'Blob' },
      location: { type: 'AzureBlobStorageLocation', container: 'out', folderPath: 'x' },
    },
  });
  await client.pipelines.createOrUpdate(group, factory, 'copy', { activities: [copyActivity('Copy1')] });
}

export function copyActivity(
  name: string, change: { dependsOn?: { activity: string; dependencyConditions: string[] }[]; retry?: number } = {},
) {
  return {
    name,
    type: 'Copy' as const,
    inputs: [{ type: 'DatasetReference' as const, referenceName: 'In' }],
    outputs: [{ type: 'DatasetReference' as const, referenceName: 'Out' }],
    source: { type: 'BinarySource' as const, storeSettings: { type: 'FileServerReadSettings' as const, recursive: true } },
    sink: { type: 'BinarySink' as const, storeSettings: { type: 'AzureBlobStorageWriteSettings' as const } },
    policy: { retry: change.retry ?? 0, retryIntervalInSeconds: 30, timeout: '0.01:00:00' },
    ...(change.dependsOn === undefined ? {} : { dependsOn: change.dependsOn }),
  };
}

export async function registeredNode(fixture: Fixture, name = 'node-1', keys?: FakeNode['keys']): Promise<FakeNode> {
  const { authKey1 } = await fixture.client.integrationRuntimes.listAuthKeys(group, factory, gateway);
  const node = await FakeNode.create(fixture.controlPlane.endpoint, name, keys);
  const answer = await node.register(authKey1 ?? '');
  if (answer.status !== 200) throw new Error(`registration was refused: ${JSON.stringify(answer.body)}`);
  return node;
}

/** The activity runs of a run. */
export async function activityRuns(fixture: Fixture, runId: string) {
  const answer = await fixture.client.activityRuns.queryByPipelineRun(group, factory, runId, {
    lastUpdatedAfter: new Date('2000-01-01'), lastUpdatedBefore: new Date('2100-01-01'),
  });
  return answer.value;
}
