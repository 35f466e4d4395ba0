import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, silentLogger, silentMeter, systemClock } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';
import { defaultEngineLimits } from './engine-limits.ts';
import { StoreCalls } from './store-calls.ts';

test('a chunk that another attempt writes is come back to for as long as it takes; failures are counted', async () => {
  const limits = { ...defaultEngineLimits, retryForMs: 0, retriesMin: 2, backoff: { firstMs: 0, factor: 1, maxMs: 0 } };
  const calls = new StoreCalls({ clock: systemClock, random: seededRandom(1), logger: silentLogger, meter: silentMeter, limits });
  const busy = connectorErrors.CHUNK_BUSY.create({ path: 't', chunk: 3 });
  const away = connectorErrors.UNREACHABLE.create({ store: 's', reason: 'x' });
  const options = { what: 'x', signal: new AbortController().signal };
  const run = (errors: Error[]): Promise<string> => calls.repeating('chunk', options, async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return 'written';
  });
  assert.equal(await run([...Array<Error>(20).fill(busy)]), 'written');
  assert.equal(await run([away, away, busy, away, away]), 'written', 'whoever gets an answer does not keep failing');
  await assert.rejects(run([away, away, away]), (error) => error === away);
});
