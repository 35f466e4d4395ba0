import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { nodeErrors } from './errors.ts';

/**
 * Holds a name in the kernel for a state folder, so that two node processes never share one. The kernel frees it exactly when
 * this process is gone (unix(7), abstract names), so nothing is ever stale.
 */
export async function lockStateFolder(folder: string): Promise<{ release(): Promise<void> }> {
  const name = await lockName(folder);
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? nodeErrors.STATE_LOCKED.create({ folder }) : error);
    });
    server.listen(name, resolve);
  });
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** Whether a node process holds the folder now. */
export async function isStateFolderLocked(folder: string): Promise<boolean> {
  const name = await lockName(folder);
  return new Promise((resolve) => {
    const socket = connect(name);
    const answer = (locked: boolean): void => {
      socket.destroy();
      resolve(locked);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

async function lockName(folder: string): Promise<string> {
  return `\0dmg/state/${createHash('sha256').update(await realpath(folder)).digest('hex').slice(0, 32)}`;
}
