import { createRequire } from 'node:module';
import { firstLine, systemClock, systemRandom } from '@dmg/base';
import { runRoot } from '@dmg/lifecycle';
import { readProgramConfig, setAzuriteAccounts } from '../config.ts';
import { localCloudErrors } from '../errors.ts';
import { followFlags } from '../output.ts';
import { StateDirectory } from '../state-directory.ts';
import { makeAzuriteDurable } from './durable-azurite.ts';

/** Azurite's blob service in a process of its own. It ends at once: what it confirmed is written. */
const name = 'blob';
const config = followFlags(name, readProgramConfig);

interface AzuriteServer {
  start(): Promise<void>;
}

interface AzuriteFactory {
  readonly BlobServerFactory: new () => { createServer(): Promise<AzuriteServer> };
}

/** An account of our own: Azurite's published key would let any program of this machine in. */
const accountName = 'dmglocal';

await runRoot({
  name,
  clock: systemClock,
  exitWithParent: config.exitWithParent,
  async start() {
    const directory = await StateDirectory.open(config.state);
    const key = await readKey(directory);
    const azuriteRequire = createRequire(import.meta.resolve('azurite'));
    makeAzuriteDurable(azuriteRequire);
    // Azurite reads its accounts and flags from here. The SDK is newer than the versions that it knows; nothing is reported to anybody.
    setAzuriteAccounts(`${accountName}:${key}`);
    const flags = ['--blobHost', '127.0.0.1', '--blobPort', String(config.port), '--location', config.state];
    process.argv = [process.execPath, 'azurite-blob', ...flags, '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
    const { BlobServerFactory } = azuriteRequire('./blob/BlobServerFactory') as AzuriteFactory;
    const server = await new BlobServerFactory().createServer();
    try {
      await server.start();
    } catch (error) {
      throw localCloudErrors.PROGRAM_FAILED.create({ program: 'Azurite', reason: firstLine(error) }, { cause: error });
    }
    const endpoint = `http://127.0.0.1:${config.port}/${accountName}`;
    const connectionString = `DefaultEndpointsProtocol=http;AccountName=${accountName};AccountKey=${key};BlobEndpoint=${endpoint};`;
    return { ready: { pid: process.pid, connectionString }, stop: () => Promise.resolve() };
  },
});

/** Made at the first start, so that clients keep their connection string. */
async function readKey(directory: StateDirectory): Promise<string> {
  const known = await directory.read('account-key');
  if (known !== undefined && known.trim() !== '') return known.trim();
  const key = Buffer.from(systemRandom.bytes(64)).toString('base64');
  await directory.write('account-key', `${key}\n`);
  return key;
}
