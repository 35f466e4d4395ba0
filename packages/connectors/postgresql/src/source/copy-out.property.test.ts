import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { CopyOut, type RowEnd } from './copy-out.ts';

interface Message {
  readonly code: string;
  readonly bytes: number;
}

function encode({ code, bytes }: Message, index: number): Buffer {
  const message = Buffer.alloc(5 + bytes, index % 251);
  message.write(code, 0, 'latin1');
  message.writeUInt32BE(bytes + 4, 1);
  return message;
}

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** A socket that hands out what it is given, in these pieces, unless it is paused. */
class FakeSocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

/** What pg's client does with the messages of a statement. */
function connect(socket: FakeSocket, copy: CopyOut, other: Buffer[]): void {
  let tail = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    other.push(Buffer.from(bytes));
    tail = Buffer.concat([tail, bytes.subarray(-readyForQuery.length)]).subarray(-readyForQuery.length);
    if (tail.equals(readyForQuery)) {
      copy.handleCommandComplete({ text: 'COPY 17' });
      copy.handleReadyForQuery();
    }
  });
  const connection = { stream: socket, query: () => undefined };
  copy.submit(connection);
}

test('the payload of CopyData comes whole and in order, however messages and reads are cut; all else goes to the driver', async () => {
  const message = fc.record({ code: fc.constantFrom('d', 'd', 'd', 'N', 'S'), bytes: fc.oneof(fc.nat(40), fc.nat(40), fc.nat(400_000)) });
  const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 8 });
  const rowEnds = fc.constantFrom<RowEnd>('\n', '\r\n');
  const all = fc.tuple(fc.array(message, { maxLength: 12 }), pieces, fc.boolean(), rowEnds);
  await fc.assert(fc.asyncProperty(all, async ([messages, sizes, greedy, rowEnd]) => {
    const encoded = [{ code: 'H', bytes: 3 }, ...messages, { code: 'c', bytes: 0 }, { code: 'C', bytes: 8 }].map(encode);
    encoded.push(readyForQuery);
    const wire = Buffer.concat(encoded);
    const other: Buffer[] = [];
    const socket = new FakeSocket({ readableHighWaterMark: 64 * 1024 });
    let ready = 0;
    const copy = new CopyOut('COPY', rowEnd, () => ready++);
    connect(socket, copy, other);
    for (let at = 0, turn = 0; at < wire.length; turn++) {
      const size = wire.length > 50_000 ? Math.max(1000 + turn % 7, sizes[turn % sizes.length] ?? 1) : sizes[turn % sizes.length] ?? 1;
      socket.push(wire.subarray(at, at + size));
      at += size;
    }
    const got: Buffer[] = [];
    for (;;) {
      const block = copy.take();
      if (block === undefined) break;
      if (block === 'wait') await copy.changed();
      else {
        if (!greedy) await new Promise((resolve) => setImmediate(resolve));
        got.push(Buffer.from(block));
      }
    }
    const isData = (bytes: Buffer): boolean => bytes[0] === 0x64;
    const ended = (row: Buffer): Buffer => (
      rowEnd === '\n' || row.length === 0 ? row : Buffer.concat([row.subarray(0, -1), Buffer.from('\r'), row.subarray(-1)]));
    assert.ok(Buffer.concat(got).equals(Buffer.concat(encoded.filter(isData).map((bytes) => ended(bytes.subarray(5))))));
    assert.ok(Buffer.concat(other).equals(Buffer.concat(encoded.filter((bytes) => !isData(bytes)))));
    assert.deepEqual([copy.rows, copy.ended, ready, socket.listenerCount('data')], [17, true, 1, 1]);
    socket.destroy();
  }), { numRuns: 60 });
});

test('an error takes the place of rows that have not been taken', () => {
  const socket = new FakeSocket();
  const copy = new CopyOut('COPY', '\n', () => assert.fail('the session is not free'));
  connect(socket, copy, []);
  assert.equal(copy.take(), 'wait');
  copy.handleError(new Error('gone'));
  assert.throws(() => copy.take(), /gone/);
  assert.equal(socket.listenerCount('data'), 1);
  socket.destroy();
});
