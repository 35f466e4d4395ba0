import type { JobRecord } from '@dmg/core';
import { majorityOf } from './quorum.ts';

export interface Merged {
  /** The newest copy of each record that any master has. */
  readonly records: JobRecord[];
  /** For each master, by job id: what it lacks, or has an older copy of. */
  readonly lacks: readonly Map<string, JobRecord>[];
}

/** Puts together what several masters hold. A record is newer by (epochN, version). */
export function mergeRecords(held: readonly (readonly JobRecord[])[]): Merged {
  const [only] = held;
  if (held.length === 1 && only !== undefined) return { records: [...only], lacks: [new Map()] };
  const newest = new Map<string, JobRecord>();
  for (const record of held.flat()) {
    const known = newest.get(record.jobId);
    if (known === undefined || isNewer(record, known)) newest.set(record.jobId, record);
  }
  const lacks = held.map((records) => {
    const own = new Map(records.map((record) => [record.jobId, record]));
    return new Map([...newest].filter(([jobId, record]) => {
      const copy = own.get(jobId);
      return copy === undefined || isNewer(record, copy);
    }));
  });
  return { records: [...newest.values()], lacks };
}

function isNewer(one: JobRecord, other: JobRecord): boolean {
  return one.epochN > other.epochN || (one.epochN === other.epochN && one.version > other.version);
}

type WriteKind = 'ok' | 'old' | 'stale' | 'silent';

/**
 * What the answers of the masters to a write come to, as soon as it is certain: `ok` and `stale` when a majority says so, `old` when a
 * majority has this record or a newer one, `silent` when there is no majority of either.
 */
export function writeVerdict(answers: readonly { readonly kind: WriteKind }[], masters: number): WriteKind | undefined {
  const majority = majorityOf(masters);
  const count = (kind: WriteKind): number => answers.filter((answer) => answer.kind === kind).length;
  const [ok, old, stale, pending] = [count('ok'), count('old'), count('stale'), masters - answers.length];
  if (ok >= majority) return 'ok';
  if (stale >= majority) return 'stale';
  if (ok + pending >= majority) return undefined;
  if (ok + old >= majority) return 'old';
  return pending === 0 ? 'silent' : undefined;
}
