import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { firstLine, systemClock } from '@dmg/base';
import { runRoot } from '@dmg/lifecycle';
import { readProgramConfig } from '../config.ts';
import { localCloudErrors } from '../errors.ts';
import { followFlags } from '../output.ts';
import { makeAzuriteDurable } from './durable-azurite.ts';

/** Azurite's blob service in a process of its own. It ends at once: what it confirmed is written. */
const name = 'blob';
const config = followFlags(name, readProgramConfig);

interface AzuriteServer {
  start(): Promise<void>;
}

/** The account that every Azurite has; its key is public and opens nothing but this. */
const account = {
  name: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
};

await runRoot({
  name,
  clock: systemClock,
  exitWithParent: config.exitWithParent,
  async start() {
    await mkdir(config.state, { recursive: true, mode: 0o700 });
    const azuriteRequire = createRequire(import.meta.resolve('azurite'));
    makeAzuriteDurable(azuriteRequire);
    // Azurite reads its flags from here. The SDK is newer than the versions that it knows; nothing is reported to anybody.
    const flags = ['--blobHost', '127.0.0.1', '--blobPort', String(config.port), '--location', config.state];
    process.argv = [process.execPath, 'azurite-blob', ...flags, '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
    const { BlobServerFactory } = azuriteRequire('./blob/BlobServerFactory') as { BlobServerFactory: new () => { createServer(): Promise<AzuriteServer> } };
    const server = await new BlobServerFactory().createServer();
    try {
      await server.start();
    } catch (error) {
      throw localCloudErrors.PROGRAM_FAILED.create({ program: 'Azurite', reason: firstLine(error) }, { cause: error });
    }
    const endpoint = `http://127.0.0.1:${config.port}/${account.name}`;
    const connectionString = `DefaultEndpointsProtocol=http;AccountName=${account.name};AccountKey=${account.key};BlobEndpoint=${endpoint};`;
    return { ready: { pid: process.pid, connectionString }, stop: () => Promise.resolve() };
  },
});
