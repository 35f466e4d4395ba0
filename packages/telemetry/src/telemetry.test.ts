import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineErrors, type MetricDefinition, Secret } from '@dmg/base';
import { createLogger, createMeter, startMetricsServer } from './index.ts';

const errors = defineErrors('EXAMPLE', {
  BROKEN: { category: 'system', retry: 'never', scope: 'node', message: 'Cannot go on: {what}.', fix: 'Mend it.' },
});

test('a log line is JSON with component, fields and a constant message; secrets are not in it', () => {
  const lines: string[] = [];
  const logger = createLogger({ component: 'example', level: 'info', write: (line) => lines.push(line) });
  logger.child({ jobId: 'j1' }).info({ key: new Secret('canary-7731'), count: 3 }, 'job accepted');
  logger.debug({}, 'not shown at this level');
  logger.error({ error: errors.BROKEN.create({ what: 'it' }, { cause: new Error('deep') }) }, 'attempt failed');
  assert.equal(lines.length, 2);
  const first = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.equal(first['component'], 'example');
  assert.equal(first['jobId'], 'j1');
  assert.equal(first['msg'], 'job accepted');
  assert.equal(first['key'], '***');
  assert.ok(!lines.join('').includes('canary-7731'));
  const second = JSON.parse(lines[1] ?? '') as { error: { code: string; cause: { message: string } } };
  assert.equal(second.error.code, 'DMG_EXAMPLE_BROKEN');
  assert.equal(second.error.cause.message, 'deep');
});

test('what a child logger binds again stands in the line once, as the child has it', () => {
  const lines: string[] = [];
  const logger = createLogger({ component: 'node', level: 'info', write: (line) => lines.push(line) });
  logger.child({ component: 'worker', slot: 1 }).child({ slot: 2 }).info({}, 'slot taken');
  assert.equal(lines[0]?.match(/"component"/g)?.length, 1);
  assert.match(lines[0] ?? '', /"component":"worker".*"slot":2/);
});

test('metrics and health are served over HTTP', async (t) => {
  const jobs: MetricDefinition = { name: 'dmg_example_jobs_total', kind: 'counter', help: 'Jobs.', labels: ['outcome'] };
  const meter = createMeter({ processMetrics: false });
  meter.add(jobs, 2, { outcome: 'accepted' });
  let ready = false;
  const server = await startMetricsServer({
    host: '127.0.0.1',
    port: 0,
    meter,
    live: () => ({ ok: true, evidence: 'all well' }),
    ready: () => ({ ok: ready, evidence: ready ? 'takes work' : 'starting' }),
  });
  t.after(() => server.close());
  const text = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(text, /dmg_example_jobs_total\{outcome="accepted"\} 2/);
  assert.equal((await fetch(`${server.url}/readyz`)).status, 503);
  ready = true;
  assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  assert.equal((await fetch(`${server.url}/nothing`)).status, 404);
});
