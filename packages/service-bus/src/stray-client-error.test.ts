import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStrayClientError } from './stray-client-error.ts';

function errorFrom(...frames: readonly string[]): Error {
  const error = new Error('it went wrong');
  error.stack = ['Error: it went wrong', ...frames.map((frame) => `    at ${frame}`)].join('\n');
  return error;
}

const timer = 'listOnTimeout (node:internal/timers:685:17)';
const rhea = 'Timeout.actionAfterTimeout (/app/node_modules/rhea-promise/dist/lib/link.js:238:39)';
const amqp = 'Timeout._onTimeout (/app/node_modules/@azure/core-amqp/dist/commonjs/requestResponseLink.js:117:38)';
const redis = 'Redis.connect (/app/node_modules/ioredis/built/Redis.js:1:1)';
const own = 'QueueSession.receive (/app/packages/service-bus/src/queue-session.ts:100:3)';

test('what the queue\'s client throws from its own timers is known', () => {
  // Both seen with a broker that was frozen for a minute.
  assert.ok(isStrayClientError(errorFrom(rhea, timer)));
  assert.ok(isStrayClientError(errorFrom('get address (/app/node_modules/rhea-promise/dist/lib/link.js:63:28)', amqp, timer)));
});

test('what anything of ours, or another library, has a part in is not', () => {
  const others = [
    errorFrom(own, timer), errorFrom(rhea, own, timer), errorFrom(timer), errorFrom(),
    errorFrom(redis, timer), errorFrom(rhea, redis),
  ];
  for (const error of others) assert.equal(isStrayClientError(error), false, error.stack);
  for (const value of [undefined, null, 'rhea-promise', { stack: rhea }]) assert.equal(isStrayClientError(value), false);
});
