import { connect, type Socket } from 'node:net';
import { within } from '../harness/wait-for.ts';

/** One inline command at a time to a Redis, without the client that is under test. */
export class RedisControl {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(url: string): Promise<RedisControl> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await within(`connect to ${url}`, 5000, new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject)));
    return new RedisControl(socket);
  }

  /** The first line of the reply. */
  send(command: string): Promise<string> {
    const reply = new Promise<string>((resolve, reject) => {
      this.#socket.once('data', (data: Buffer) => resolve(data.toString().split('\r\n', 1)[0] ?? ''));
      this.#socket.once('error', reject);
    });
    this.#socket.write(`${command}\r\n`);
    return within(`Redis to answer ${command}`, 5000, reply);
  }

  close(): void {
    this.#socket.destroy();
  }
}
