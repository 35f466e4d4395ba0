import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { newId, systemRandom } from '@dmg/base';
import { connectorErrors, isOwnPath } from '@dmg/connector-api';
import { type ConnectorFixture, testContext } from '@dmg/connector-testkit';
import type { CopyEnd, JsonObject } from '@dmg/model';
import { azureBlobConnector } from '../azure-blob-connector.ts';
import type { Azurite } from './azurite.ts';

const wrongKey = Buffer.from('a wrong key that must not be shown').toString('base64');

export function blobEnd(container: string, location: JsonObject = {}, settings: JsonObject = {}): CopyEnd {
  return { connector: 'azure-blob', connection: {}, location: { container, ...location }, settings, format: { type: 'Binary' } };
}

/** A container of its own; the stranger's way to it is the SDK with Put Blob. */
export async function blobFixture(azurite: Azurite): Promise<ConnectorFixture & { container: ContainerClient }> {
  const name = `c${newId(systemRandom)}`;
  const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(name);
  await container.create();
  const context = testContext({ connectionString: azurite.connectionString });
  const bad = (title: string, secrets: Record<string, string>, code: string) => ({
    name: title, end: blobEnd(name), context: testContext(secrets), code,
  });
  const wrong = azurite.connectionString.replace(/AccountKey=[^;]+/, `AccountKey=${wrongKey}`);
  return {
    container,
    connector: azureBlobConnector,
    context,
    sourceEnd: (location, settings) => blobEnd(name, location, settings),
    sinkEnd: (location) => blobEnd(name, location),
    partBytes: 1024,
    hasFolders: false,
    badEnds: [
      bad('wrong key', { connectionString: wrong }, connectorErrors.ACCESS_DENIED.code),
      bad('key that is none', { connectionString: wrong.replace(wrongKey, '%%%') }, connectorErrors.BAD_SETTING.code),
      bad(
        'nobody listens', { connectionString: azurite.connectionString.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1') },
        connectorErrors.UNREACHABLE.code,
      ),
      bad(
        'unknown host', { connectionString: `AccountName=x;AccountKey=${wrongKey};BlobEndpoint=https://no-such-host.invalid` },
        connectorErrors.UNREACHABLE.code,
      ),
      bad(
        'plain http to another machine', { connectionString: `AccountName=x;AccountKey=${wrongKey};BlobEndpoint=http://example.invalid` },
        connectorErrors.BAD_SETTING.code,
      ),
      bad(
        'wrong SAS',
        { sasUri: `${azurite.endpoint}?sv=2022-11-02&ss=b&srt=sco&sp=rl&se=2999-01-01T00:00:00Z&sig=${encodeURIComponent(wrongKey)}` },
        connectorErrors.ACCESS_DENIED.code,
      ),
      bad('no credential', {}, connectorErrors.BAD_SETTING.code),
      { name: 'no container', end: { ...blobEnd(name), location: {} }, context, code: connectorErrors.BAD_SETTING.code },
    ],
    secrets: [wrongKey, encodeURIComponent(wrongKey), 'a wrong key that'],
    async put(path, bytes) {
      await container.getBlockBlobClient(path).upload(Buffer.from(bytes), bytes.length);
    },
    async get(path) {
      try {
        return await container.getBlobClient(path).downloadToBuffer();
      } catch (error) {
        if ((error as { statusCode?: number }).statusCode === 404) return undefined;
        throw error;
      }
    },
    async take(path) {
      try {
        const bytes = await container.getBlobClient(path).downloadToBuffer();
        await container.getBlobClient(path).delete();
        return bytes;
      } catch (error) {
        if ((error as { statusCode?: number }).statusCode === 404) return undefined;
        throw error;
      }
    },
    async paths() {
      const paths: string[] = [];
      for await (const item of container.listBlobsFlat()) if (!isOwnPath(item.name)) paths.push(item.name);
      return paths;
    },
    async stagedBytes(_jobId, targets) {
      let bytes = 0;
      for (const path of targets) {
        try {
          const list = await container.getBlockBlobClient(path).getBlockList('uncommitted');
          for (const block of list.uncommittedBlocks ?? []) bytes += block.size;
        } catch (error) {
          if ((error as { statusCode?: number }).statusCode !== 404) throw error;
        }
      }
      return bytes;
    },
    async openHandles() {
      // A socket counts while it keeps the process alive; one that is kept for the next request does not. It is let go in a later turn.
      for (let turn = 0; turn < 100 && openSockets() > 0; turn++) await new Promise((resolve) => setImmediate(resolve));
      return openSockets();
    },
    close: async () => void (await container.deleteIfExists()),
  };
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}
