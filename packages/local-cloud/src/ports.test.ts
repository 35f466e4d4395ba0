import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { systemClock, systemRandom } from '@dmg/base';
import { createLogger } from '@dmg/telemetry';
import { tempDir } from '../../../test/harness/temp-dir.ts';
import { choosePorts, type Ports } from './ports.ts';
import { StateDirectory } from './state-directory.ts';

const asked = { redis: 0, serviceBus: 0, control: 0, blob: 0 };
const logger = createLogger({ component: 'test', level: 'silent' });

async function openDirectory(t: TestContext): Promise<StateDirectory> {
  const directory = await StateDirectory.open(await tempDir(t));
  t.after(() => directory.close());
  return directory;
}

function assertFree(ports: Ports): void {
  const numbers = Object.values(ports);
  // From 32768 on the kernel gives them to whoever asks for any.
  assert.ok(numbers.every((port) => port >= 20_000 && port < 32_768), numbers.join());
  assert.equal(new Set(numbers).size, numbers.length);
}

test('free ports are none that the kernel gives away, and are remembered', async (t) => {
  const directory = await openDirectory(t);
  const ports = await choosePorts({ asked, directory, clock: systemClock, logger });
  assertFree(ports);
  assert.deepEqual(await choosePorts({ asked, directory, clock: systemClock, logger }), ports);
});

test('a port that somebody listens on is not chosen', async (t) => {
  const { redis: port } = await choosePorts({ asked, directory: await openDirectory(t), clock: systemClock, logger });
  const taken = createServer().listen(port, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  let draws = 0;
  // The taken one first, then any.
  const unit = (): number => (draws++ === 0 ? (port - 20_000 + 0.5) / 12_768 : systemRandom.unit());
  const ports = await choosePorts({
    asked, directory: await openDirectory(t), clock: systemClock, logger, random: { ...systemRandom, unit },
  });
  assertFree(ports);
  assert.ok(!Object.values(ports).includes(port));
  assert.ok(draws > Object.keys(asked).length);
});
