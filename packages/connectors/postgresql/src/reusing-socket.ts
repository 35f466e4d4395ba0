import { Socket } from 'node:net';

/** What a read takes at most: as much as Node reads at once. */
const blockBytes = 64 * 1024;

/** A socket that may hand out each read in the same memory. */
export interface ReusingSocket extends Socket {
  /** True: the bytes of a `data` event are valid until its listeners return. Default false: they belong to the listener. */
  sharesBlock: boolean;
}

/**
 * A socket that reads into one block of memory. While `sharesBlock` is set, a stream of gigabytes leaves no garbage behind: Node's own
 * blocks are made anew for each read, and some 40 MB of them wait for the collector.
 */
export function reusingSocket(): ReusingSocket {
  const socket: ReusingSocket = Object.assign(new Socket({
    onread: {
      buffer: Buffer.allocUnsafeSlow(blockBytes),
      callback: (count, block) => {
        const bytes = Buffer.from(block.buffer, block.byteOffset, count);
        socket.emit('data', socket.sharesBlock ? bytes : Buffer.from(bytes));
        return true;
      },
    },
  }), { sharesBlock: false });
  return socket;
}

export function isReusing(stream: object): stream is ReusingSocket {
  return 'sharesBlock' in stream;
}
