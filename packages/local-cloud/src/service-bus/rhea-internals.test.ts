import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import rhea, { type Delivery, type EventContext } from 'rhea';
import { within } from '../../../../test/harness/wait-for.ts';
import { answerDisposition, destroySocket, outcomeStates } from './rhea-internals.ts';

test('an answered delivery leaves the buffer of its session, which else stalls after as many deliveries as it holds', async (t) => {
  const container = rhea.create_container();
  const count = 60;
  container.on('sender_open', ({ sender }: EventContext) => {
    sender?.on('accepted', ({ delivery }: EventContext) => answerDisposition(delivery as Delivery, outcomeStates.accepted()));
    sender?.on('sendable', () => {
      for (let sent = 0; sender.sendable() && sent < 5; sent++) sender.send({ message_id: 'm', body: sent });
    });
  });
  const buffer = { session_buffer_size: { outgoing: 8 }, sender_options: { autosettle: false } };
  const server = container.listen({ port: 0, host: '127.0.0.1', ...buffer } as Parameters<typeof container.listen>[0]);
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const connection = rhea.create_container().connect({ port, host: '127.0.0.1', reconnect: false });
  connection.on('disconnected', () => undefined);
  container.on('disconnected', () => undefined);
  t.after(() => destroySocket(connection));
  const receiver = connection.open_receiver({ source: 'q', rcv_settle_mode: 1, autoaccept: false, credit_window: 4 });
  let received = 0;
  const all = new Promise<void>((resolve) => {
    receiver.on('message', ({ delivery }: EventContext) => {
      delivery?.accept();
      if (++received === count) resolve();
    });
  });
  await within('all messages', 5000, all);
  assert.equal(received, count);
  const closed = once(connection, 'connection_close');
  connection.close();
  await closed;
});
