import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import test from 'node:test';
import { DmgError, hasCode, Secret } from '@dmg/base';
import { securityErrors } from '@dmg/security';
import { controlPlaneErrors } from './errors.ts';
import { toAzureError } from './rest/azure-errors.ts';
import { activityRuns, factory, group, registeredNode, seed, startFixture } from './testing/fixture.ts';

test('what was claimed before a restart leaves after it under the same id and number', async (t) => {
  const fixture = await startFixture(t);
  await seed(fixture);
  await registeredNode(fixture);
  fixture.sender.failure = new Error('cut off');
  const { runId } = await fixture.client.pipelines.createRun(group, factory, 'copy');
  await fixture.sender.until(() => fixture.sender.refused > 0);
  await fixture.restart();
  await fixture.sender.until(() => fixture.sender.refused > 1);
  fixture.sender.failure = undefined;
  const message = await fixture.sender.message(1);
  assert.equal(message.sendNo, 1);
  const [activity] = await activityRuns(fixture, runId);
  assert.equal(message.messageId, `${(activity as { jobId?: string } | undefined)?.jobId}.1`);
});

test('a run too old to be sent again, which nobody knows, is given an end', async (t) => {
  const fixture = await startFixture(t, { resend: { quietMs: 100, contactGapMs: 5000, ageMaxMs: 50 } });
  await seed(fixture);
  const node = await registeredNode(fixture);
  const { runId } = await fixture.client.pipelines.createRun(group, factory, 'copy');
  await fixture.sender.message(1);
  const statusOf = async (): Promise<string | undefined> => (await fixture.client.pipelineRuns.get(group, factory, runId)).status;
  const dispatcher = { epoch: '1.a', leading: true, waiting: [], receivedUpTo: 1, queueEmpty: true };
  while ((await statusOf()) !== 'Failed') await node.alive({ dispatcher });
  const [activity] = await activityRuns(fixture, runId);
  assert.equal((activity?.error as { errorCode: string } | undefined)?.errorCode, 'DMG_CONTROLPLANE_RUN_EXPIRED');
});

test('another master secret and a port in use are refused at the start', async (t) => {
  const first = await startFixture(t, { masterSecret: new Secret('A'.repeat(43)) });
  const { port } = new URL(first.controlPlane.endpoint);
  const second = startFixture(t, { port: Number(port) });
  await assert.rejects(second, (error) => hasCode(error, 'DMG_CONTROLPLANE_PORT_UNUSABLE'));
  const short = startFixture(t, { masterSecret: new Secret('short') });
  await assert.rejects(short, (error) => hasCode(error, 'DMG_SECURITY_MASTER_SECRET_UNUSABLE'));
  const other = first.restart({ masterSecret: new Secret(`${'A'.repeat(42)}I`) });
  await assert.rejects(other, (error) => hasCode(error, 'DMG_CONTROLPLANE_OTHER_MASTER_SECRET'));
  await first.restart();
});

test('a kept port that somebody else took is replaced, and that is said', async (t) => {
  const fixture = await startFixture(t);
  const kept = Number(new URL(fixture.controlPlane.endpoint).port);
  const squatter = createServer();
  await fixture.restart({}, () => new Promise<void>((resolve) => squatter.listen(kept, '127.0.0.1', resolve)));
  t.after(() => new Promise((resolve) => squatter.close(resolve)));
  assert.equal((squatter.address() as AddressInfo).port, kept);
  assert.notEqual(Number(new URL(fixture.controlPlane.endpoint).port), kept);
  assert.ok(fixture.logLines.some((line) => line.includes('the port of the last start is taken')));
});

test('an unknown error is answered with a fixed text, a known one with code, target and fix', () => {
  const secret = 'AccountKey=abc';
  for (const thrown of [new Error(secret), secret, securityErrors.SEAL_BROKEN.create({ what: secret }), undefined]) {
    const { status, body, unexpected } = toAzureError(thrown, 'r1');
    assert.equal(status, 500);
    assert.equal(unexpected, true);
    assert.equal(body.error.code, 'DMG_CONTROLPLANE_UNEXPECTED');
    assert.ok(!JSON.stringify(body).includes(secret));
    assert.ok(JSON.stringify(body).includes('r1'));
  }
  const known = toAzureError(controlPlaneErrors.BODY_REFUSED.create({ path: 'filters[0]', reason: 'is odd' }), 'r2');
  assert.deepEqual([known.status, known.body.error.target, known.unexpected], [400, 'filters[0]', false]);
  const busy = controlPlaneErrors.NO_NODE.create({ gateway: 'g' });
  assert.ok(busy instanceof DmgError);
  assert.equal(toAzureError(busy, 'r3').status, 409);
});
