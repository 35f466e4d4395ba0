import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';

/**
 * Claims `folder` for one program called `purpose`: false when another process has it now. The claim is a name in the kernel
 * (unix(7), abstract names), which is free again exactly when this process is gone, however it went; so no claim is ever stale.
 */
export async function claimFolder(purpose: string, folder: string): Promise<boolean> {
  const name = createHash('sha256').update(await realpath(folder)).digest('hex').slice(0, 32);
  const holder = createServer((socket) => socket.destroy());
  const claimed = await new Promise<boolean>((resolve, reject) => {
    holder.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    holder.listen(`\0dmg/${purpose}/${name}`, () => resolve(true));
  });
  holder.unref();
  return claimed;
}
