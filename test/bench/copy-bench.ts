import { spawn } from 'node:child_process';
import { createCipheriv, randomBytes } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Translator } from '@dmg/model';
import { BlobServiceClient } from '@azure/storage-blob';
import { type CleanupContext, onCleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { tempDir } from '../harness/temp-dir.ts';
import { waitFor } from '../harness/wait-for.ts';
import {
  blobEnd, container, type CopyBenchOptions, delimited, fileEnd, findProgram, megabyte, peakMb, runEngine, runProgram, runTask, type Stores,
} from './bench-task.ts';
import type { Measurement } from './copy-process.ts';
import { median, round } from './result.ts';
import { tableBench } from './table-bench.ts';

/** Copies between files, blobs and tables beside what people use for them, interleaved. */
export async function copyBench(context: CleanupContext, options: CopyBenchOptions): Promise<void> {
  const stores = await startStores(context);
  if (options.only !== 'tables') await fileBench(stores, options);
  if (options.only !== 'files') await tableBench(context, stores, options);
}

/** File → blob beside the bare SDK loop and rclone, into a discarding store and into Azurite; CSV → CSV; memory at two sizes. */
async function fileBench(stores: Stores, options: CopyBenchOptions): Promise<void> {
  const { root } = stores;
  options.say('making source files');
  await makeBinary(join(root, '1g.bin'), 1024 * megabyte);
  await makeBinary(join(root, '256m.bin'), 256 * megabyte);
  await makeBinary(join(root, '200m.bin'), 200 * megabyte);
  await makeCsv(join(root, 'rows.csv'), 256 * megabyte);
  await uploadBench(stores, 'discarding', '1g.bin', options);
  await uploadBench(stores, 'azurite', '256m.bin', options);
  await csvBench(stores, options);
  await makeBinary(join(root, '2g.bin'), 2048 * megabyte);
  for (const file of ['200m.bin', '2g.bin']) await memoryBench(stores, file, options);
}

async function uploadBench(stores: Stores, store: 'discarding' | 'azurite', file: string, options: CopyBenchOptions): Promise<void> {
  const blob = stores[store];
  const megabytes = await sizeMb(join(stores.root, file));
  const rclone = findProgram('rclone');
  const rates: Record<string, number[]> = { ours: [], sdk: [], rclone: [] };
  const details: Measurement[] = [];
  for (let run = 0; run < options.runs; run++) {
    options.say(`${store} ${file} run ${run + 1} of ${options.runs}`);
    const [source, sink] = [fileEnd(stores.root, '', file), blobEnd('up', `ours-${run}.bin`)];
    const measured = await runEngine({ source, sink, secrets: { sink: { connectionString: blob } } });
    details.push(measured);
    rates['ours']?.push(megabytes / (measured.ms / 1000));
    const sdk = await runTask({ kind: 'sdk-upload', file: join(stores.root, file), blob, container, name: `up/sdk-${run}.bin` });
    rates['sdk']?.push(megabytes / (sdk.ms / 1000));
    if (rclone !== undefined) {
      const seconds = await rcloneUpload(rclone, join(stores.root, file), blob, `up/rclone-${run}.bin`);
      rates['rclone']?.push(megabytes / seconds);
    }
  }
  const ours = median(rates['ours'] ?? []);
  for (const [peer, goal] of [['sdk', 1], ['rclone', 1.5]] as const) {
    const theirs = rates[peer] ?? [];
    if (theirs.length === 0) {
      options.say(`no figure for ${peer}: it is not installed (apt-get install ${peer})`);
      continue;
    }
    const ratio = ours / median(theirs);
    options.print({
      bench: 'copy', case: `file → blob (${store}), ${Math.round(megabytes)} MB`, ours: round(ours, 1), unit: 'MB/s',
      peer: peer === 'sdk' ? 'bare SDK stageBlock loop' : 'rclone copyto',
      theirs: round(median(theirs), 1), ratio: round(ratio), goal, met: ratio >= goal,
      peakMB: peakMb(details), guarantees: details[0]?.guarantee ?? '',
    });
  }
}

async function csvBench(stores: Stores, options: CopyBenchOptions): Promise<void> {
  const megabytes = await sizeMb(join(stores.root, 'rows.csv'));
  const translator: Translator = {
    mappings: ['id', 'amount', 'comment', 'day'].map((name) => ({ source: { name }, sink: { name: name.toUpperCase() } })),
    typeConversion: false,
    typeConversionSettings: { allowDataTruncation: true, treatBooleanAsNumber: false },
  };
  const typed: Translator = {
    ...translator, typeConversion: true,
    mappings: [['id', 'Int64'], ['amount', 'Decimal'], ['comment', 'String'], ['day', 'DateTime']].map(([name, type]) => (
      { source: { name, type }, sink: { name: name?.toUpperCase(), type } }) as Translator['mappings'][number]),
  };
  const discarding = { connectionString: stores.discarding };
  for (const [label, chosen, sink, secrets] of [
    ['CSV → CSV file, 4 of 6 columns', translator, fileEnd(stores.root, 'out', 'rows.psv', delimited('|')), {}],
    ['CSV → CSV file, typed', typed, fileEnd(stores.root, 'out', 'typed.psv', delimited('|')), {}],
    ['CSV → CSV blob (discarding)', translator, blobEnd('csv', 'rows.psv', delimited('|')), discarding],
  ] as const) {
    const measured: Measurement[] = [];
    for (let run = 0; run < options.runs; run++) {
      options.say(`${label} run ${run + 1} of ${options.runs}`);
      const source = fileEnd(stores.root, '', 'rows.csv', delimited(','));
      measured.push(await runEngine({ source, sink, secrets: { sink: secrets }, translator: chosen }));
    }
    const cpuPerMRows = median(measured.map((item) => item.cpuSeconds / (item.rows / 1e6)));
    options.print({
      bench: 'copy', case: label, ours: round(median(measured.map((item) => megabytes / (item.ms / 1000))), 1), unit: 'MB/s',
      cpuPerMRows: round(cpuPerMRows), peakMB: peakMb(measured), guarantees: measured[0]?.guarantee ?? '',
    });
  }
}

async function memoryBench(stores: Stores, file: string, options: CopyBenchOptions): Promise<void> {
  options.say(`memory with ${file}`);
  const secrets = { sink: { connectionString: stores.discarding } };
  const measured = await runEngine({ source: fileEnd(stores.root, '', file), sink: blobEnd('memory', file), secrets });
  const ours = round(measured.peakMb - measured.idleMb, 0);
  const megabytes = Math.round(await sizeMb(join(stores.root, file)));
  options.print({
    bench: 'copy', case: `memory above the idle executor, ${megabytes} MB file → blob`, ours, unit: 'MB', limit: 150,
    met: ours <= 150, peakMB: round(measured.peakMb, 0), guarantees: measured.guarantee,
  });
}

/** Seconds that rclone took. Debian's version takes only a SAS URL for a store at another address. */
async function rcloneUpload(rclone: string, file: string, connectionString: string, name: string): Promise<number> {
  const service = BlobServiceClient.fromConnectionString(connectionString);
  const sas = await service.getContainerClient(container).generateSasUrl({
    permissions: { toString: () => 'racwdl' } as never, expiresOn: new Date(Date.now() + 3_600_000),
  });
  const startedMs = performance.now();
  const flags = ['--azureblob-sas-url', sas, '--azureblob-chunk-size', '8M', '--azureblob-upload-concurrency', '4', '--retries', '1'];
  await runProgram(rclone, ['copyto', file, `:azureblob:${container}/${name}`, '--config', '/dev/null', ...flags]);
  return (performance.now() - startedMs) / 1000;
}

async function startStores(context: CleanupContext): Promise<Stores> {
  const root = await tempDir(context, 'dmg-bench-');
  await mkdir(join(root, 'out'));
  const discarding = await startDiscarding(context);
  const azurite = await startAzurite(context, join(root, 'azurite'));
  return { root, discarding, azurite };
}

async function startDiscarding(context: CleanupContext): Promise<string> {
  const main = fileURLToPath(new URL('./discarding-blob-server.ts', import.meta.url));
  const child = spawn(process.execPath, [main], { stdio: ['pipe', 'pipe', 'inherit'] });
  onCleanup(context, () => void child.kill('SIGKILL'));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the discarding server ended with ${code}`)));
  });
  return (JSON.parse(line) as { blob: string }).blob;
}

async function startAzurite(context: CleanupContext, location: string): Promise<string> {
  const port = await freePort();
  const folder = dirname(createRequire(import.meta.url).resolve('azurite/package.json'));
  const flags = ['--blobPort', String(port), '--location', location, '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
  const key = randomBytes(64).toString('base64');
  const child = spawn(process.execPath, [join(folder, 'dist/src/blob/main.js'), ...flags], {
    stdio: 'ignore', env: { ...process.env, AZURITE_ACCOUNTS: `bench:${key}` },
  });
  onCleanup(context, async () => {
    child.kill('SIGKILL');
    await rm(location, { recursive: true, force: true });
  });
  await waitFor('Azurite to listen', () => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => undefined), { withinMs: 30_000 });
  return `DefaultEndpointsProtocol=http;AccountName=bench;AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/bench;`;
}

async function makeBinary(path: string, bytes: number): Promise<void> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 3), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 * megabyte);
  const file = await open(path, 'w');
  for (let written = 0; written < bytes; written += zeros.length) {
    await file.write(cipher.update(zeros.subarray(0, Math.min(zeros.length, bytes - written))));
  }
  await file.close();
}

async function makeCsv(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  await file.write('id,name,amount,day,comment,flag\r\n');
  let row = 0;
  for (let written = 0; written < bytes; ) {
    const lines: string[] = [];
    for (let index = 0; index < 20_000; index++, row++) {
      const comment = row % 12 === 0 ? `"quoted, with ""marks"" ${row}"` : `plain comment of row ${row}`;
      const amount = `${row % 100_000}.${String(row % 100).padStart(2, '0')}`;
      const day = `2024-0${1 + (row % 9)}-1${row % 10}`;
      lines.push(`${row},customer name ${row % 9973},${amount},${day},${comment},${row % 2 === 0}`);
    }
    const text = Buffer.from(`${lines.join('\r\n')}\r\n`);
    await file.write(text);
    written += text.length;
  }
  await file.close();
}

async function sizeMb(path: string): Promise<number> {
  const file = await open(path);
  const { size } = await file.stat();
  await file.close();
  return size / 1e6;
}
