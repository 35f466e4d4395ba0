import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceBusError, type ServiceBusErrorCode } from '@azure/service-bus';
import { Secret } from '@dmg/base';
import { checkConnection, openClient } from './connection.ts';
import { fromServiceBusError, queueErrors } from './errors.ts';
import { letSdkTimersGo } from './testing/sdk-timers.ts';

letSdkTimersGo();

const operation = { verb: 'send to', queue: 'q', messageId: 'm' };
const codeOf = (error: unknown): string => fromServiceBusError(error, operation).code;

test('each code of the SDK has its error', () => {
  const expected: [ServiceBusErrorCode, string][] = [
    ['UnauthorizedAccess', 'DMG_QUEUE_UNAUTHORIZED'],
    ['MessagingEntityNotFound', 'DMG_QUEUE_NOT_FOUND'],
    ['MessageSizeExceeded', 'DMG_QUEUE_TOO_LARGE'],
    ['QuotaExceeded', 'DMG_QUEUE_QUOTA'],
    ['MessagingEntityDisabled', 'DMG_QUEUE_DISABLED'],
    ['ServiceBusy', 'DMG_QUEUE_BUSY'],
    ['ServiceCommunicationProblem', 'DMG_QUEUE_UNREACHABLE'],
    ['ServiceTimeout', 'DMG_QUEUE_TIMEOUT'],
    ['MessageLockLost', 'DMG_QUEUE_LOCK_LOST'],
    ['MessageNotFound', 'DMG_QUEUE_LOCK_LOST'],
    ['GeneralError', 'DMG_QUEUE_FAILED'],
  ];
  for (const [sdkCode, code] of expected) assert.equal(codeOf(new ServiceBusError('text', sdkCode)), code, sdkCode);
});

test('what Node says of a socket means that nobody is there', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
  assert.equal(codeOf(refused), 'DMG_QUEUE_UNREACHABLE');
  assert.equal(codeOf(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' })), 'DMG_QUEUE_UNREACHABLE');
  assert.equal(fromServiceBusError(refused, operation).retry, 'reconnect');
});

test('of several attempts the last one speaks, however deep it is wrapped', () => {
  const attempts = new AggregateError([new Error('first'), new AggregateError([new ServiceBusError('busy now', 'ServiceBusy')])]);
  const error = fromServiceBusError(attempts, operation);
  assert.equal(error.code, 'DMG_QUEUE_BUSY');
  assert.match(error.message, /Cannot send to queue q: Service Bus is busy \(busy now\)\./);
});

test('a second settling of one message is a lost lock; what is unknown is a failure with its text', () => {
  assert.equal(codeOf(new Error('The message has either been deleted or already settled')), 'DMG_QUEUE_LOCK_LOST');
  assert.match(fromServiceBusError('odd', operation).message, /Cannot send to queue q: odd\./);
  const known = queueErrors.STOPPED.create({ ...operation });
  assert.equal(fromServiceBusError(known, operation), known);
});

test('a connection string that cannot be used is refused without showing it', () => {
  const check = (text: string, queue?: string): void => checkConnection({ connectionString: new Secret(text) }, queue);
  const good = 'Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0';
  check(good, 'q');
  check(`${good};EntityPath=q`, 'q');
  assert.throws(() => check(`${good};EntityPath=other`, 'q'), { code: 'DMG_QUEUE_OTHER_QUEUE' });
  for (const bad of ['', 'c2VjcmV0', 'Endpoint=sb://x/', 'SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0']) {
    assert.throws(() => check(bad), (error: Error) => {
      assert.equal((error as { code?: unknown }).code, 'DMG_QUEUE_BAD_CONNECTION_STRING', bad);
      assert.ok(!error.message.includes('c2VjcmV0'));
      return true;
    });
  }
});

test('over WebSockets the namespace is reached on port 443', async () => {
  const asked: { url: string; protocol: unknown; options: unknown }[] = [];
  class Refusing {
    constructor(url: string, protocol: unknown, options: unknown) {
      asked.push({ url, protocol, options });
      throw new Error('no WebSocket here');
    }
  }
  const connectionString = new Secret('Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0');
  const webSocketOptions = { webSocket: Refusing as never, webSocketConstructorOptions: { agent: 1 } };
  const client = openClient({ connectionString, webSocketOptions }, 0);
  await assert.rejects(client.createReceiver('q').peekMessages(1));
  const url = 'wss://x.servicebus.windows.net:443/$servicebus/websocket';
  assert.deepEqual(asked[0], { url, protocol: ['AMQPWSB10'], options: { agent: 1 } });
  await client.close();
});
