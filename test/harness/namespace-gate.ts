import { connect, createServer } from 'node:net';

/**
 * A program: holds a network namespace, and lets others into it. Sockets with a path do not belong to a network, so what connects to the
 * path that is given and says a port in its first line is connected with that port of the loopback in here. Ends with its standard input.
 */
const [path = ''] = process.argv.slice(2);

const server = createServer((outer) => {
  outer.on('error', () => outer.destroy());
  outer.once('readable', () => {
    // The line is written at once, so it is there as a whole.
    const said = outer.read() as Buffer | null;
    const end = said?.indexOf(10) ?? -1;
    if (said === null || end < 0) {
      outer.destroy();
      return;
    }
    const inner = connect(Number(said.subarray(0, end).toString()), '127.0.0.1');
    inner.write(said.subarray(end + 1));
    inner.on('error', () => outer.destroy()).on('close', () => outer.destroy());
    outer.on('close', () => inner.destroy());
    outer.pipe(inner).pipe(outer);
  });
});

const end = (): void => process.exit(0);
process.stdin.on('end', end).on('close', end).resume();
process.on('SIGTERM', end);
server.listen(path, () => void process.stdout.write(`${JSON.stringify({ ready: 'gate' })}\n`));
