import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { workerErrors } from './errors.ts';

/**
 * The name of a slot: an abstract Unix socket (unix(7)). The kernel gives it to one process of the network namespace and frees it
 * exactly when that process is gone, however it ended. Node binds a path with a leading NUL as an abstract name.
 */
export function slotName(nodeId: string, slot: number): string {
  if (!/^[\w.-]{1,64}$/.test(nodeId)) throw workerErrors.BAD_NODE_ID.create({ nodeId });
  return `\0dmg/${nodeId}/slot/${slot}`;
}

/** The name of the process that keeps a snapshot: no slot. */
export function keeperName(nodeId: string, attemptId: string): string {
  return `\0dmg/${nodeId}/keeper/${attemptId}`;
}

/** Binds a name for as long as the process lives. Rejects with `EADDRINUSE` when another process holds it, also a frozen one. */
export function bindSlotName(name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Nobody has business at this socket; it is only a name.
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(name, () => {
      server.removeListener('error', reject);
      resolve(server);
    });
  });
}

/** Which slots of a node are held by anyone, from a listing in the form of `/proc/net/unix` (proc(5): NUL is shown as `@`). */
export function heldSlots(listing: string, nodeId: string): Set<number> {
  const prefix = `@dmg/${nodeId}/slot/`;
  const held = new Set<number>();
  for (const line of listing.split('\n')) {
    const at = line.lastIndexOf(' ') + 1;
    if (!line.startsWith(prefix, at)) continue;
    const slot = Number(line.slice(at + prefix.length));
    if (Number.isInteger(slot) && slot >= 0) held.add(slot);
  }
  return held;
}

/** Reads the kernel's list. Rejects where the platform does not show it; then only binding tells. */
export async function readHeldSlots(nodeId: string): Promise<Set<number>> {
  return heldSlots(await readFile('/proc/net/unix', 'latin1'), nodeId);
}
