import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataFactoryManagementClient } from '@azure/arm-datafactory';
import { BlobServiceClient } from '@azure/storage-blob';
import { dataFactoryClient } from '../demo/data-factory.ts';
import { type Rig, startRig } from '../fault/rig.ts';
import { type CleanupContext, onCleanup } from './cleanup.ts';
import { ClusterLog } from './cluster-log.ts';
import { EpochWatch } from './epoch-watch.ts';
import { type MetricSample, readMetrics, sampleOf } from './metrics-text.ts';
import { type Mount, NodeProcess } from './node-process.ts';
import type { ActivityRun, NodeState } from './rest.ts';
import { startTcpFaultProxy, type TcpFaultProxy } from './tcp-fault-proxy.ts';
import { waitFor } from './wait-for.ts';

const container = 'sources';
const blobBytes = 16_384;

/** How copies come by their blobs: `slow` and `held` through proxies whose delays say how long they take; `quick` directly. */
const ways = ['slow', 'held', 'quick'] as const;
export type Way = (typeof ways)[number];

/** A copy of a folder of blobs into a folder of files of its own. */
export interface ClusterJob {
  readonly runId: string;
  readonly jobId: string;
  readonly files: number;
  /** Where its files must be when it has succeeded. */
  readonly target: string;
}

export interface Store {
  /** Name of the linked service. */
  readonly name: string;
  /** The path that nodes are given. */
  readonly host: string;
  /** Where this process sees it. Default: the same place. */
  readonly seenAt?: string;
}

/**
 * A gateway whose nodes are processes of the test's own, and jobs that take as long as the test wants without burning anything: they
 * read small blobs one after another through a proxy that delays each.
 */
export class Cluster {
  readonly rig: Rig;
  readonly log = new ClusterLog();
  readonly watch = new EpochWatch();
  /** Between the slow copies and their blobs. */
  readonly slow: TcpFaultProxy;
  /** The same for others, so that some can end while the rest goes on. */
  readonly held: TcpFaultProxy;
  /** Between the nodes and Redis. */
  readonly redis: TcpFaultProxy;
  readonly client: DataFactoryManagementClient;
  readonly #context: CleanupContext;
  readonly #gatewayKey: string;
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #sources = new Map<number, Promise<void>>();
  readonly #stores = new Map<string, Store>();
  #jobs = 0;

  constructor(context: CleanupContext, parts: Pick<Cluster, 'rig' | 'slow' | 'held' | 'redis'>, gatewayKey: string) {
    this.#context = context;
    this.rig = parts.rig;
    this.slow = parts.slow;
    this.held = parts.held;
    this.redis = parts.redis;
    this.#gatewayKey = gatewayKey;
    this.client = dataFactoryClient(parts.rig.line);
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.#nodes.values()];
  }

  node(name: string): NodeProcess {
    const found = this.#nodes.get(name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  /** A node that is not started yet. `redis`: by another way than the others. */
  addNode(name: string, options: { redis?: TcpFaultProxy; mounts?: readonly Mount[]; env?: Record<string, string> } = {}): NodeProcess {
    const { redis = this.redis, mounts = [], env = {} } = options;
    const up = { ...this.rig.line, redis: `redis://127.0.0.1:${redis.port}` };
    const node = new NodeProcess(this.#context, {
      name, folder: join(this.rig.folder, 'nodes'), up, gatewayKey: this.#gatewayKey, mounts,
      // Nodes share the machine, so they share what was compiled: each has to be as quick as one that was started there before.
      env: { NODE_COMPILE_CACHE: join(this.rig.folder, 'compile-cache'), ...env },
      onLog: (line) => {
        this.log.take(line);
        this.watch.take(line);
      },
    });
    this.#nodes.set(name, node);
    return node;
  }

  /** A place for files that copies write to, with its linked service, dataset and pipelines. */
  async addStore(store: Store): Promise<void> {
    const { rest } = this.rig;
    const { name, host } = store;
    this.#stores.set(name, store);
    await rest.put('linkedServices', name, { type: 'FileServer', typeProperties: { host }, connectVia: via });
    await rest.put('datasets', name, dataset(name, { type: 'FileServerLocation', folderPath: folderParameter }));
    for (const way of ways) await rest.put('pipelines', `${way}-to-${name}`, copyPipeline(way, name));
  }

  /** Starts a copy of so many blobs, one after another, to a folder that no other copy has. */
  async submit(way: Way, files: number, storeName = 'files'): Promise<ClusterJob> {
    const { rest } = this.rig;
    await this.ensureSource(files);
    const store = this.#stores.get(storeName);
    if (store === undefined) throw new Error(`there is no store ${storeName}`);
    const folder = `out-${++this.#jobs}`;
    const runId = await rest.createRun(`${way}-to-${storeName}`, { from: sourceFolder(files), to: folder });
    return { runId, jobId: (await this.activity(runId)).jobId, files, target: join(store.seenAt ?? store.host, folder) };
  }

  async submitMany(count: number, way: Way, files: number, storeName?: string): Promise<ClusterJob[]> {
    await this.ensureSource(files);
    return Promise.all(Array.from({ length: count }, () => this.submit(way, files, storeName)));
  }

  async activity(runId: string): Promise<ActivityRun> {
    const [activity] = await this.rig.rest.activities(runId);
    if (activity === undefined) throw new Error(`run ${runId} has no activity`);
    return activity;
  }

  async statusOf({ runId }: ClusterJob): Promise<string> {
    return (await this.rig.rest.run(runId)).status;
  }

  /** Waits for the ends of all, which must be good, and judges their sinks. Returns the attempts whose work stands, job by job. */
  async succeeded(jobs: readonly ClusterJob[], withinMs = 60_000): Promise<ReadonlyMap<string, readonly string[]>> {
    const attempts = new Map<string, readonly string[]>();
    // One after another: to ask for all of them again and again would take the processor from what is to end.
    for (const job of jobs) {
      const end = await this.ended(job, withinMs);
      const { status, error, output } = await this.activity(job.runId);
      assert.equal(end, 'Succeeded', `job ${job.jobId}: ${status} ${JSON.stringify(error)}`);
      await this.assertSink(job);
      attempts.set(job.jobId, output?.receipt?.attempts ?? []);
    }
    return attempts;
  }

  ended(job: ClusterJob, withinMs: number): Promise<string> {
    return waitFor(`the end of job ${job.jobId}`, async () => {
      const status = await this.statusOf(job);
      return ['Succeeded', 'Failed', 'Cancelled'].includes(status) ? status : undefined;
    }, { withinMs, everyMs: 50 });
  }

  /** Every file is there, unchanged, and nothing else. */
  async assertSink({ target, files }: ClusterJob): Promise<void> {
    const found = new Map<string, string>();
    for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) found.set(entry.name, sha256(await readFile(join(entry.parentPath, entry.name))));
    }
    const expected = new Map(Array.from({ length: files }, (_, index) => [blobName(index), sha256(blobContent(index))]));
    assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
  }

  async nodeState(name: string): Promise<NodeState | undefined> {
    return (await this.rig.rest.nodes()).find(({ nodeName }) => nodeName === name);
  }

  async waitForStatus(status: string, names: readonly string[], withinMs = 30_000): Promise<void> {
    let last: readonly NodeState[] = [];
    try {
      await waitFor('statuses', async () => {
        last = await this.rig.rest.nodes();
        return names.every((name) => last.find(({ nodeName }) => nodeName === name)?.status === status);
      }, { withinMs, everyMs: 100 });
    } catch (error) {
      throw new Error(`${names.join(', ')} are not all ${status}: ${JSON.stringify(last)}`, { cause: error });
    }
  }

  /** Nothing runs on any node, as the control plane was told and as the nodes say themselves. */
  async waitUntilIdle(withinMs = 30_000): Promise<void> {
    await waitFor('all jobs to be over', async () => {
      const isShown = (await this.rig.rest.monitoring()).some(({ concurrentJobsRunning }) => concurrentJobsRunning > 0);
      if (isShown || (await this.rig.rest.load()).queueLength > 0) return false;
      const running = this.nodes.filter(({ pid }) => pid !== 0);
      const samples = await Promise.all(running.map(({ name }) => this.metrics(name)));
      return samples.every((each) => sampleOf(each, 'dmg_worker_slots', { state: 'used' }) === 0);
    }, { withinMs, everyMs: 100 });
  }

  async metrics(name: string): Promise<readonly MetricSample[]> {
    return readMetrics(this.node(name).metricsUrl);
  }

  /** Nodes that say that they hold the lease. */
  async leaders(): Promise<string[]> {
    const running = this.nodes.filter(({ pid }) => pid !== 0);
    const held = await Promise.all(running.map(async ({ name }) => sampleOf(await this.metrics(name), 'dmg_lease_is_leader')));
    return running.flatMap(({ name }, index) => (held[index] === 1 ? [name] : []));
  }

  ensureSource(files: number): Promise<void> {
    const known = this.#sources.get(files) ?? this.#upload(files);
    this.#sources.set(files, known);
    return known;
  }

  async #upload(files: number): Promise<void> {
    const client = BlobServiceClient.fromConnectionString(this.rig.line.blob).getContainerClient(container);
    await client.createIfNotExists();
    for (let index = 0; index < files; index++) {
      const content = blobContent(index);
      await client.getBlockBlobClient(`${sourceFolder(files)}/${blobName(index)}`).upload(content, content.length);
    }
  }
}

/** A gateway without nodes, with the store `files`, which all nodes see. */
export async function startCluster(context: CleanupContext): Promise<Cluster> {
  const rig = await startRig(context, { nodes: 0 });
  const { rest, line } = rig;
  const blobEndpoint = /BlobEndpoint=(?<url>[^;]+)/.exec(line.blob)?.groups?.['url'];
  if (blobEndpoint === undefined) throw new Error('the connection string of the blob store has no BlobEndpoint');
  const [slow, held] = await Promise.all([0, 1].map(() => startTcpFaultProxy(context, { port: Number(new URL(blobEndpoint).port) })));
  if (slow === undefined || held === undefined) throw new Error('two proxies were started');
  const redis = await startTcpFaultProxy(context, { port: Number(new URL(line.redis).port) });
  const keys = (await rest.call('POST', '/integrationRuntimes/local/listAuthKeys', {})) as { authKey1: string };
  const cluster = new Cluster(context, { rig, slow, held, redis }, keys.authKey1);
  const ports: Readonly<Record<Way, number>> = { slow: slow.port, held: held.port, quick: Number(new URL(blobEndpoint).port) };
  for (const way of ways) {
    const value = line.blob.replace(blobEndpoint, blobEndpoint.replace(/:\d+/, `:${ports[way]}`));
    await rest.put('linkedServices', `${way}-blobs`, {
      type: 'AzureBlobStorage', typeProperties: { connectionString: { type: 'SecureString', value } }, connectVia: via,
    });
    await rest.put('datasets', `${way}-blobs`, dataset(`${way}-blobs`, {
      type: 'AzureBlobStorageLocation', container, folderPath: folderParameter,
    }));
  }
  await cluster.addStore({ name: 'files', host: rig.files });
  // A frozen process could not end.
  onCleanup(context, () => cluster.nodes.forEach((node) => void node.signalGroup('SIGCONT')));
  return cluster;
}

const via = { type: 'IntegrationRuntimeReference', referenceName: 'local' };
const folderParameter = { type: 'Expression', value: '@dataset().folder' };

function dataset(linkedService: string, location: object): object {
  return {
    type: 'Binary', linkedServiceName: { type: 'LinkedServiceReference', referenceName: linkedService },
    parameters: { folder: { type: 'String' } }, typeProperties: { location },
  };
}

function copyPipeline(way: Way, store: string): object {
  const reference = (referenceName: string, folder: string): object =>
    ({ type: 'DatasetReference', referenceName, parameters: { folder: `@pipeline().parameters.${folder}` } });
  return {
    parameters: { from: { type: 'String' }, to: { type: 'String' } },
    activities: [{
      name: 'copy', type: 'Copy', inputs: [reference(`${way}-blobs`, 'from')], outputs: [reference(store, 'to')],
      typeProperties: {
        source: { type: 'BinarySource', storeSettings: { type: 'AzureBlobStorageReadSettings', recursive: true } },
        sink: { type: 'BinarySink', storeSettings: { type: 'FileServerWriteSettings' } },
        parallelCopies: 1,
      },
    }],
  };
}

function sourceFolder(files: number): string {
  return `of-${files}`;
}

function blobName(index: number): string {
  return `file-${index}.bin`;
}

function blobContent(index: number): Buffer {
  return Buffer.alloc(blobBytes, `content of blob ${index}. `);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** No node ever took a job beyond its limit, and each node obeyed a growing sequence of dispatchers. */
export function assertAcceptances(log: ClusterLog): void {
  const epochs = new Map<string, number>();
  for (const { node, used, limit, n, jobId } of log.acceptances()) {
    assert.ok(used <= limit, `${node} had ${used} of ${limit} slots used with job ${jobId}`);
    assert.ok(n >= (epochs.get(node) ?? 0), `${node} took job ${jobId} under epoch ${n} after ${epochs.get(node)}`);
    epochs.set(node, n);
  }
}
