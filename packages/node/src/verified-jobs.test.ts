import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@dmg/base';
import type { Job } from '@dmg/model';
import { rememberVerified } from './verified-jobs.ts';

function counting(): { clock: ManualClock; asked: string[]; verify: (signedJob: string) => Promise<Job> } {
  const clock = new ManualClock();
  const asked: string[] = [];
  const verify = rememberVerified((signedJob) => {
    asked.push(signedJob);
    return signedJob.startsWith('bad') ? Promise.reject(new Error('bad')) : Promise.resolve({ jobId: signedJob.slice(0, 8) } as Job);
  }, clock);
  return { clock, asked, verify };
}

test('the same text is checked once a minute, another one for itself', async () => {
  const { clock, asked, verify } = counting();
  assert.equal((await verify('one')).jobId, 'one');
  assert.equal((await verify('one')).jobId, 'one');
  assert.equal((await verify('two')).jobId, 'two');
  assert.deepEqual(asked, ['one', 'two']);
  clock.advance(60_000);
  await verify('one');
  assert.deepEqual(asked, ['one', 'two', 'one']);
});

test('what is refused is refused again, and checked again', async () => {
  const { asked, verify } = counting();
  await assert.rejects(verify('bad'));
  await assert.rejects(verify('bad'));
  assert.equal(asked.length, 2);
});

test('it remembers few and short ones', async () => {
  const { asked, verify } = counting();
  const long = 'x'.repeat(20_000);
  await verify(long);
  await verify(long);
  assert.equal(asked.length, 2);
  for (let index = 0; index <= 256; index++) await verify(`job ${index}`);
  await verify('job 256');
  assert.equal(asked.length, 259);
  await verify('job 0');
  assert.equal(asked.length, 260);
});
