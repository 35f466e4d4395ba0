import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock, type Timer } from '@dmg/base';
import type { ServerOwner } from './postgres-server.ts';

/** A statement on its way to the server: its text (`COPY done` for the end of a COPY's data), counted over all connections from 0. */
export interface Statement {
  readonly index: number;
  readonly text: string;
}

/**
 * What becomes of a statement and its connection.
 * - `pass`: nothing special.
 * - `cut`: it does not reach the server; both sides see the connection end.
 * - `cutAfter`: the server carries it out, then both sides see the connection end: its reply is lost.
 * - `loseReply`: the server carries it out; nothing reaches the client any more, and the connection stays open on both sides.
 * - `hold`: neither it nor anything after it reaches the server, and the connection stays open on both sides, as with a frozen client.
 * - `lateReply`: the server carries it out; its reply, and all that follows, reaches the client after `lateMs`.
 * - `late`: it reaches the server after `lateMs`, also when its client has gone meanwhile: a request that was on its way.
 */
export type Fate = 'pass' | 'cut' | 'cutAfter' | 'loseReply' | 'hold' | 'lateReply' | 'late';

/** A proxy in front of PostgreSQL (without TLS) that knows its messages, so that a test can strike at one statement. */
export class PostgresProxy {
  readonly port: number;
  /** Asked for every statement. */
  fate: (statement: Statement) => Fate = () => 'pass';
  /** How late what is late comes. */
  lateMs = 2_000;
  readonly statements: string[] = [];
  readonly #server: Server;
  readonly #targetPort: () => number;
  readonly #pairs = new Set<Pair>();

  private constructor(server: Server, port: number, targetPort: () => number) {
    this.#server = server;
    this.port = port;
    this.#targetPort = targetPort;
    server.on('connection', (client) => this.#accept(client));
  }

  static async start(owner: ServerOwner, target: { readonly port: number }): Promise<PostgresProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
    const proxy = new PostgresProxy(server, address.port, () => target.port);
    owner.after(() => proxy.close());
    return proxy;
  }

  /** Connections now open. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Ends all connections. */
  drop(): void {
    for (const pair of this.#pairs) pair.end();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.drop();
    await closed;
  }

  #accept(client: Socket): void {
    const pair = new Pair(client, connect({ host: '127.0.0.1', port: this.#targetPort() }), {
      fateOf: (text) => {
        const index = this.statements.push(text) - 1;
        return this.fate({ index, text });
      },
      lateMs: () => this.lateMs,
      ended: () => this.#pairs.delete(pair),
    });
    this.#pairs.add(pair);
  }
}

interface PairOwner {
  fateOf(text: string): Fate;
  lateMs(): number;
  ended(): void;
}

class Pair {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #owner: PairOwner;
  #started = false;
  #waiting: Buffer = Buffer.alloc(0);
  #answers: Buffer = Buffer.alloc(0);
  #fate: Fate = 'pass';
  /** What comes late in either direction. */
  readonly #held: { toServer: Buffer[]; toClient: Buffer[] } = { toServer: [], toClient: [] };
  #timer: Timer | undefined;

  constructor(client: Socket, target: Socket, owner: PairOwner) {
    this.#client = client;
    this.#target = target;
    this.#owner = owner;
    client.on('data', (bytes: Buffer) => this.#fromClient(bytes));
    target.on('data', (bytes: Buffer) => this.#fromTarget(bytes));
    for (const socket of [client, target]) {
      socket.setNoDelay(true);
      // The end of either side ends the other one, after what was on its way.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        // What is on its way arrives, whether or not its client is still there.
        if (this.#held.toServer.length > 0 && !target.destroyed) return;
        owner.ended();
        this.#timer?.cancel();
        client.destroySoon();
        target.destroySoon();
      });
    }
  }

  end(): void {
    this.#timer?.cancel();
    this.#held.toServer = [];
    this.#client.destroy();
    this.#target.destroy();
  }

  #fromClient(bytes: Buffer): void {
    if (this.#fate === 'hold') return;
    if (this.#fate === 'late') {
      this.#held.toServer.push(bytes);
      return;
    }
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    for (;;) {
      const typeBytes = this.#started ? 1 : 0;
      if (this.#waiting.length < typeBytes + 4) return;
      const length = typeBytes + this.#waiting.readUInt32BE(typeBytes);
      if (this.#waiting.length < length) return;
      const message = this.#waiting.subarray(0, length);
      this.#waiting = this.#waiting.subarray(length);
      const text = this.#started ? statementOf(message) : undefined;
      this.#started = true;
      if (text !== undefined && this.#fate === 'pass') this.#fate = this.#owner.fateOf(text);
      if (this.#fate === 'cut') return this.end();
      if (this.#fate === 'hold') return;
      if (this.#fate === 'late') {
        this.#held.toServer.push(message, this.#waiting);
        this.#deliverLater();
        return;
      }
      if (this.#fate === 'lateReply' && this.#timer === undefined) this.#deliverLater();
      this.#target.write(message);
    }
  }

  /** From then on the connection is as any other. */
  #deliverLater(): void {
    this.#timer = systemClock.after(this.#owner.lateMs(), () => {
      const { toServer, toClient } = this.#held;
      this.#waiting = Buffer.alloc(0);
      this.#fate = 'pass';
      this.#held.toServer = [];
      if (!this.#target.destroyed) for (const bytes of toServer) this.#target.write(bytes);
      if (!this.#client.destroyed) for (const bytes of toClient) this.#client.write(bytes);
      if (this.#client.destroyed) this.#target.destroySoon();
    });
  }

  #fromTarget(bytes: Buffer): void {
    if (this.#fate === 'pass' || this.#fate === 'hold') {
      this.#client.write(bytes);
      return;
    }
    if (this.#fate === 'late' || this.#fate === 'lateReply') {
      this.#held.toClient.push(bytes);
      return;
    }
    this.#answers = Buffer.concat([this.#answers, bytes]);
    while (this.#answers.length >= 5) {
      const length = 1 + this.#answers.readUInt32BE(1);
      if (this.#answers.length < length) return;
      const type = String.fromCharCode(this.#answers[0] ?? 0);
      this.#answers = this.#answers.subarray(length);
      // ReadyForQuery, or CopyInResponse: the statement has been carried out.
      if ((type === 'Z' || type === 'G') && this.#fate === 'cutAfter') return this.end();
    }
  }
}

/** Text of a simple query or of a parsed one. https://www.postgresql.org/docs/current/protocol-message-formats.html */
function statementOf(message: Buffer): string | undefined {
  const type = String.fromCharCode(message[0] ?? 0);
  if (type === 'c') return 'COPY done';
  if (type === 'Q') return textAt(message, 5);
  return type === 'P' ? textAt(message, message.indexOf(0, 5) + 1) : undefined;
}

function textAt(message: Buffer, start: number): string {
  return message.subarray(start, message.indexOf(0, start)).toString('utf8').trim();
}
