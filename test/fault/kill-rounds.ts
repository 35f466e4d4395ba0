import { type Random, sleep, systemClock } from '@dmg/base';
import { RedisControl } from './redis-control.ts';
import { blobHashes, defineFolderCopy, fileHashes, kill, makeFiles, type Rig, type Victim, victims, waitForEnd } from './rig.ts';

/** What is done to the rig while jobs run. */
export type Fault = Victim | 'redis-flushed' | 'redis-emptied';
export const faults: readonly Fault[] = [...victims, 'redis-flushed', 'redis-emptied'];

export interface RoundResult {
  readonly fault: Fault;
  readonly round: number;
  readonly atMs: number;
  /** False: there was nothing of this kind to kill at that moment. */
  readonly hit: boolean;
  readonly jobs: number;
  readonly succeeded: number;
  /** Files that the sink lacks or holds changed, and files that it holds beyond what it should. */
  readonly lost: number;
  readonly doubled: number;
  /** From the fault to the end of the last job. */
  readonly recoveredMs: number;
}

const megabyte = 1024 * 1024;

/**
 * One round: two jobs (to blobs and to files) are submitted, the fault strikes at a moment drawn from the seed, and every job must end
 * Succeeded once with sinks equal to sources.
 */
export async function runRound(rig: Rig, fault: Fault, round: number, random: Random): Promise<RoundResult> {
  const name = `${fault}-${round}`;
  const source = `in/${name}`;
  await makeFiles(rig, source, [48 * megabyte, 3 * megabyte, 0, 1, 100_000], round * 31 + faults.indexOf(fault));
  const pipelines = [
    await defineFolderCopy(rig, `${name}-blob`, source, { store: 'blob', folder: name }),
    await defineFolderCopy(rig, `${name}-file`, source, { store: 'file', folder: `out/${name}` }),
  ];
  const atMs = Math.floor(random.unit() * 1200);
  const runIds = await Promise.all(pipelines.map((pipeline) => rig.rest.createRun(pipeline)));
  await sleep(systemClock, atMs);
  const hit = await strike(rig, fault, random.unit());
  const struckMs = systemClock.monotonicMs();
  const ends = await Promise.all(runIds.map((runId) => waitForEnd(rig, runId)));
  const recoveredMs = Math.round(systemClock.monotonicMs() - struckMs);
  const expected = await fileHashes(rig, source);
  const sinks = [await blobHashes(rig, name), await fileHashes(rig, `out/${name}`)];
  return {
    fault, round, atMs, hit, jobs: runIds.length, recoveredMs,
    succeeded: ends.filter((end) => end === 'Succeeded').length,
    lost: sum(sinks.map((sink) => Object.entries(expected).filter(([path, hash]) => sink[path] !== hash).length)),
    doubled: sum(sinks.map((sink) => Object.keys(sink).filter((path) => expected[path] === undefined).length)),
  };
}

async function strike(rig: Rig, fault: Fault, choice: number): Promise<boolean> {
  if (fault !== 'redis-flushed' && fault !== 'redis-emptied') return kill(rig, fault, choice);
  const redis = await RedisControl.connect(rig.line.redis);
  try {
    await redis.send('FLUSHALL');
    // Emptied: the process goes too, and comes back with nothing to remember.
    return fault === 'redis-flushed' ? true : await kill(rig, 'redis', 0);
  } finally {
    redis.close();
  }
}

export function describeRound(result: RoundResult): string {
  const { fault, round, atMs, hit, jobs, succeeded, lost, doubled, recoveredMs } = result;
  const struck = `${fault.padEnd(14)} round ${round} at ${String(atMs).padStart(4)} ms${hit ? '      ' : ' (none)'}`;
  return `${struck} jobs ${succeeded}/${jobs} lost ${lost} doubled ${doubled} ended after ${recoveredMs} ms`;
}

export function isClean(result: RoundResult): boolean {
  return result.succeeded === result.jobs && result.lost === 0 && result.doubled === 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
