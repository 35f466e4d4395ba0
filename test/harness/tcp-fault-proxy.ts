import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock, type Timer } from '@dmg/base';
import { type CleanupContext, onCleanup } from './cleanup.ts';

/**
 * What happens to the bytes, from now on, on existing and new connections:
 * - `pass`: nothing special.
 * - `delay`: each piece is handed on `delayMs` later, in order.
 * - `blackhole`: the connections stay open, also to new callers, and nothing goes either way. What is on its way arrives when
 *   the fault ends, as with a cut cable under TCP. While it lasts, the end of one side is not told to the other (half-open).
 * - `swallowReplies`: requests reach the target, its replies are lost for good.
 * - `refuse`: new connections are reset; existing ones go on.
 */
export type ProxyFault =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'swallowReplies' }
  | { readonly kind: 'refuse' };

/** A TCP proxy on a loopback port of its own whose faults are switched while connections are open. */
export class TcpFaultProxy {
  readonly port: number;
  readonly #server: Server;
  #target: { host: string; port: number };
  #fault: ProxyFault = { kind: 'pass' };
  #pairs = new Set<Pair>();
  #bytesLeft = Number.POSITIVE_INFINITY;
  #accepted = 0;

  constructor(server: Server, port: number, target: { host: string; port: number }) {
    this.port = port;
    this.#server = server;
    this.#target = target;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Connections taken since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections now open. */
  get open(): number {
    return this.#pairs.size;
  }

  set(fault: ProxyFault): void {
    this.#fault = fault;
    for (const pair of this.#pairs) pair.resume();
  }

  /** Sends new connections elsewhere: what a client sees after a service has moved. */
  retarget(target: { host?: string; port: number }): void {
    this.#target = { host: target.host ?? '127.0.0.1', port: target.port };
  }

  /**
   * Resets a connection when more than `bytes` further bytes go from clients to the target, counted over all connections. The
   * target gets no byte beyond that; `Infinity` lifts the limit.
   */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  /** Resets all open connections on both sides. Returns how many. */
  drop(): number {
    const count = this.#pairs.size;
    for (const pair of this.#pairs) pair.reset();
    return count;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.drop();
    await closed;
  }

  #accept(client: Socket): void {
    this.#accepted++;
    if (this.#fault.kind === 'refuse') {
      client.on('error', ignore);
      client.resetAndDestroy();
      return;
    }
    const pair = new Pair(client, connect({ ...this.#target, allowHalfOpen: true }), {
      fault: () => this.#fault,
      sent: (bytes) => this.#count(bytes),
      closed: () => this.#pairs.delete(pair),
    });
    this.#pairs.add(pair);
  }

  /** How many of `bytes` may still be sent. */
  #count(bytes: number): number {
    const allowed = Math.min(bytes, this.#bytesLeft);
    this.#bytesLeft -= allowed;
    return allowed;
  }
}

interface PairOwner {
  fault(): ProxyFault;
  sent(bytes: number): number;
  closed(): void;
}

/** One client connection and its connection to the target. */
class Pair {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #owner: PairOwner;
  readonly #pumps: readonly [Pump, Pump];

  constructor(client: Socket, target: Socket, owner: PairOwner) {
    this.#client = client;
    this.#target = target;
    this.#owner = owner;
    const take = (bytes: number): number => {
      const allowed = owner.sent(bytes);
      if (allowed < bytes) queueMicrotask(() => this.reset());
      return allowed;
    };
    this.#pumps = [
      new Pump(client, target, { fault: owner.fault, reply: false, take }),
      new Pump(target, client, { fault: owner.fault, reply: true, take: (bytes) => bytes }),
    ];
    for (const socket of [client, target]) {
      socket.on('error', ignore);
      socket.on('close', () => this.#onClose());
    }
  }

  resume(): void {
    for (const pump of this.#pumps) pump.resume();
    this.#onClose();
  }

  reset(): void {
    for (const pump of this.#pumps) pump.stop();
    this.#client.resetAndDestroy();
    this.#target.resetAndDestroy();
    this.#owner.closed();
  }

  #onClose(): void {
    if (!this.#client.destroyed && !this.#target.destroyed) return;
    if (this.#owner.fault().kind === 'blackhole') return;
    const [requests, replies] = this.#pumps;
    if (this.#client.destroyed) {
      requests.whenIdle(() => this.#target.destroy());
      replies.stop();
    }
    if (this.#target.destroyed) {
      replies.whenIdle(() => this.#client.destroy());
      requests.stop();
    }
    if (this.#client.destroyed && this.#target.destroyed) this.#owner.closed();
  }
}

/** Carries the bytes of one direction. Not `pipe`, since faults switch while bytes are on their way. */
class Pump {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: { fault: () => ProxyFault; reply: boolean; take: (bytes: number) => number };
  #pieces: { bytes: Buffer | 'end'; dueMs: number }[] = [];
  #timer: Timer | undefined;
  #onIdle: (() => void) | undefined;
  #stopped = false;

  constructor(from: Socket, to: Socket, options: { fault: () => ProxyFault; reply: boolean; take: (bytes: number) => number }) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    from.on('data', (bytes: Buffer) => this.#push(bytes));
    from.on('end', () => this.#push('end'));
    to.on('drain', () => this.resume());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#pieces = [];
  }

  /** Calls `done` once all that was read has been handed on. */
  whenIdle(done: () => void): void {
    this.#onIdle = done;
    this.resume();
  }

  resume(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const fault = this.#options.fault();
    if (this.#stopped || fault.kind === 'blackhole') return;
    const nowMs = systemClock.monotonicMs();
    for (let piece = this.#pieces[0]; piece !== undefined && piece.dueMs <= nowMs; piece = this.#pieces[0]) {
      if (this.#to.writableNeedDrain) return;
      this.#pieces.shift();
      this.#deliver(piece.bytes, fault);
    }
    const [next] = this.#pieces;
    if (next !== undefined) {
      this.#timer = systemClock.after(Math.max(1, next.dueMs - nowMs), () => this.resume());
      return;
    }
    this.#from.resume();
    this.#onIdle?.();
  }

  #push(bytes: Buffer | 'end'): void {
    const fault = this.#options.fault();
    const delayMs = fault.kind === 'delay' ? fault.delayMs : 0;
    this.#pieces.push({ bytes, dueMs: systemClock.monotonicMs() + delayMs });
    // Bounded memory: the kernel holds the rest back.
    if (this.#pieces.length >= 64 || fault.kind === 'blackhole' || this.#to.writableNeedDrain) this.#from.pause();
    this.resume();
  }

  #deliver(bytes: Buffer | 'end', fault: ProxyFault): void {
    if (this.#to.destroyed) return;
    if (fault.kind === 'swallowReplies' && this.#options.reply) return;
    if (bytes === 'end') {
      this.#to.end();
      return;
    }
    const allowed = this.#options.take(bytes.length);
    if (allowed > 0) this.#to.write(allowed === bytes.length ? bytes : bytes.subarray(0, allowed));
  }
}

/** Errors of a socket are what the proxy is for; `close` follows and is handled. */
function ignore(): void {
  return;
}

/** Starts a proxy before `target` that is closed when `context` ends. */
export async function startTcpFaultProxy(context: CleanupContext, target: { host?: string; port: number }): Promise<TcpFaultProxy> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const proxy = new TcpFaultProxy(server, address.port, { host: target.host ?? '127.0.0.1', port: target.port });
  onCleanup(context, () => proxy.close());
  return proxy;
}
