import { connect, createServer, type Socket } from 'node:net';

/**
 * A program: holds a network namespace, and lets others into it and out of it. Sockets with a path do not belong to a network. Who connects
 * to the path that is given says in the first line what is wanted: `in PORT`, and is connected with that port of the loopback in here; or
 * `out PATH`, and is told the number of a port in here that leads to that path from now on. Ends with its standard input.
 */
const [path = ''] = process.argv.slice(2);

const server = createServer((caller) => {
  caller.on('error', () => caller.destroy());
  caller.once('readable', () => {
    // The line is written at once, so it is there as a whole.
    const said = caller.read() as Buffer | null;
    const end = said?.indexOf(10) ?? -1;
    if (said === null || end < 0) {
      caller.destroy();
      return;
    }
    const [wanted, place = ''] = said.subarray(0, end).toString().split(' ');
    if (wanted === 'out') offer(caller, place);
    else join(caller, connect(Number(place), '127.0.0.1'), said.subarray(end + 1));
  });
});

function join(one: Socket, other: Socket, first: Buffer): void {
  other.write(first);
  one.on('error', () => other.destroy()).on('close', () => other.destroy());
  other.on('error', () => one.destroy()).on('close', () => one.destroy());
  one.pipe(other).pipe(one);
}

function offer(caller: Socket, outerPath: string): void {
  const inner = createServer((socket) => join(socket, connect(outerPath), Buffer.alloc(0)));
  inner.listen(0, '127.0.0.1', () => {
    const address = inner.address();
    caller.end(typeof address === 'object' && address !== null ? String(address.port) : '');
  });
}

const end = (): void => process.exit(0);
process.stdin.on('end', end).on('close', end).resume();
process.on('SIGTERM', end);
server.listen(path, () => void process.stdout.write(`${JSON.stringify({ ready: 'gate' })}\n`));
