import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { newId, silentLogger, systemClock, systemRandom } from '@dmg/base';
import { azureBlobConnector } from '@dmg/connector-azure-blob';
import { fileConnector } from '@dmg/connector-file';
import { postgresqlConnector } from '@dmg/connector-postgresql';
import { runCopy } from '@dmg/engine';
import type { CopyActivity, Job } from '@dmg/model';

/**
 * One measured copy in a process of its own, as an executor is one: by the engine with all its guarantees, or by the bare SDK loop that
 * it is compared with. Prints one JSON line: milliseconds and CPU seconds of the copy alone, and the
 * process's memory at its highest.
 */
export interface Measurement {
  readonly ms: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly idleMb: number;
  readonly rows: number;
  readonly guarantee: string;
}

interface EndSecrets {
  readonly source: Record<string, string>;
  readonly sink: Record<string, string>;
}

export type Task =
  | { readonly kind: 'engine'; readonly activity: CopyActivity; readonly secrets: EndSecrets }
  | { readonly kind: 'sdk-upload'; readonly file: string; readonly blob: string; readonly container: string; readonly name: string };

function memoryMb(field: 'VmHWM' | 'VmRSS'): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

async function engineCopy(task: Extract<Task, { kind: 'engine' }>): Promise<{ rows: number; guarantee: string }> {
  const job: Job = {
    formatVersion: 1, jobId: newId(systemRandom), gatewayId: 'bench', tryNumber: 1, finalTry: true, activity: task.activity,
    origin: { factoryName: 'bench', pipelineName: 'bench', runId: 'bench', activityName: 'bench', activityRunId: 'bench' },
    policy: { timeoutMs: 3_600_000, retry: 0, retryIntervalMs: 30_000 },
  };
  const outcome = await runCopy({
    job, attemptId: newId(systemRandom), nodeName: 'bench', epoch: '1.bench',
    connectors: new Map([fileConnector, azureBlobConnector, postgresqlConnector].map((connector) => [connector.spec.name, connector])),
    secrets: { source: new Map(Object.entries(task.secrets.source)), sink: new Map(Object.entries(task.secrets.sink)) },
    clock: systemClock, random: systemRandom, logger: silentLogger, signal: new AbortController().signal,
  });
  if (outcome.kind !== 'succeeded') throw new Error(JSON.stringify(outcome));
  return { rows: outcome.receipt.rowsWritten, guarantee: outcome.receipt.guarantee };
}

/** The fastest plain use of the SDK: positioned reads into four reused buffers of 8 MiB, `stageBlock`, one commit; no guarantee. */
async function sdkUpload(task: Extract<Task, { kind: 'sdk-upload' }>): Promise<{ rows: number; guarantee: string }> {
  const container = BlobServiceClient.fromConnectionString(task.blob).getContainerClient(task.container);
  await container.createIfNotExists();
  const blob = container.getBlockBlobClient(task.name);
  const file = await open(task.file);
  const partBytes = 8 * 1024 * 1024;
  const { size } = await file.stat();
  const blockId = (index: number): string => Buffer.from(String(index).padStart(8, '0')).toString('base64');
  const ids = Array.from({ length: Math.max(1, Math.ceil(size / partBytes)) }, (_, index) => blockId(index));
  let next = 0;
  const work = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafe(partBytes);
    for (let part = next++; part < ids.length; part = next++) {
      const { bytesRead } = await file.read(buffer, 0, partBytes, part * partBytes);
      await blob.stageBlock(ids[part] ?? '', buffer.subarray(0, bytesRead), bytesRead);
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  await blob.commitBlockList(ids);
  await file.close();
  return { rows: 0, guarantee: 'none' };
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const idleMb = memoryMb('VmRSS');
const idleCpu = process.cpuUsage();
const startedMs = performance.now();
const { rows, guarantee } = task.kind === 'engine' ? await engineCopy(task) : await sdkUpload(task);
const ms = performance.now() - startedMs;
const cpu = process.cpuUsage(idleCpu);
const measurement: Measurement = {
  ms, rows, guarantee, idleMb, peakMb: memoryMb('VmHWM'), cpuSeconds: (cpu.user + cpu.system) / 1e6,
};
process.stdout.write(`${JSON.stringify(measurement)}\n`);
process.exit(0);
