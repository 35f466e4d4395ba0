import type { Clock, Random } from '@dmg/base';
import type { WorkFiles } from './work-files.ts';

/** Ends are kept this long, so that a late or repeated attempt still finds them. */
export const endRetentionMs = 30 * 24 * 3_600_000;

/**
 * Removes the folders of jobs that ended more than 30 days ago, in one of the 256 folders of a work place, chosen at random: every
 * new sink sweeps a little. Only folders of our own making, recognised by their `begin` or `end`, are touched. Returns how many.
 */
export async function sweepEndedJobs(options: { files: WorkFiles; clock: Clock; random: Random; jobs: string }): Promise<number> {
  const { files, clock, random, jobs } = options;
  const shard = `${jobs}/${Buffer.from(random.bytes(1)).toString('hex')}`;
  const beforeNs = BigInt(Math.floor(clock.wallMs() - endRetentionMs)) * 1_000_000n;
  let swept = 0;
  for (const name of (await files.list(shard)) ?? []) {
    const job = `${shard}/${name}`;
    const end = (await files.stat(`${job}/end`)) ?? (await abortedBegin(files, job));
    if (end === undefined || end.mtimeNs >= beforeNs) continue;
    await files.remove(job);
    swept++;
  }
  return swept;
}

/** A job that was aborted before it had a plan has no `end`: its `begin` says it. */
async function abortedBegin(files: WorkFiles, job: string): Promise<{ mtimeNs: bigint } | undefined> {
  const facts = await files.stat(`${job}/begin`);
  // A begin with a plan is larger than this and belongs to a job that may still be resumed.
  if (facts === undefined || facts.sizeBytes > 64) return undefined;
  const text = Buffer.from((await files.read(`${job}/begin`)) ?? []).toString();
  return text === JSON.stringify({ phase: 'aborted' }) ? facts : undefined;
}
