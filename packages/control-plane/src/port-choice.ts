import { createServer, type AddressInfo } from 'node:net';
import { firstLine, type Logger } from '@dmg/base';
import { readKeptFile, writeKeptFile } from '@dmg/security';
import { controlPlaneErrors } from './errors.ts';

/**
 * The port to listen on. For 0 it is the one of the last start, if it is free: nodes and gateway keys know it. A port that had to
 * change is said loudly.
 */
export async function choosePort(host: string, wanted: number, portFile: string, logger: Logger): Promise<number> {
  if (wanted !== 0) return wanted;
  const kept = Number((await readKeptFile(portFile, { secret: false })) ?? 0);
  if (kept > 0) {
    try {
      return await probe(host, kept);
    } catch (error) {
      logger.warn(
        { port: kept, reason: firstLine(error) }, 'the port of the last start is taken; registered nodes will not find the new one',
      );
    }
  }
  const port = await probe(host, 0).catch((error: unknown) => {
    throw controlPlaneErrors.PORT_UNUSABLE.create({ host, port: 0, reason: firstLine(error) }, { cause: error });
  });
  await writeKeptFile(portFile, `${port}\n`, 0o644);
  return port;
}

/** The port, if it can be listened on. */
function probe(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port }, () => {
      const chosen = (server.address() as AddressInfo).port;
      server.close(() => resolve(chosen));
    });
  });
}
