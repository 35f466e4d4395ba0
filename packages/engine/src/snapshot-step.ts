import { connectorErrors, type Sink, textOf } from '@dmg/connector-api';
import type { CopyActivity, Mark, Plan, SourceKind } from '@dmg/model';
import type { SourceEnd } from './copy-context.ts';
import { engineErrors } from './errors.ts';
import type { StoreCalls } from './store-calls.ts';

/** What becomes of a copy whose snapshot nobody holds any more. */
export type SnapshotPolicy = 'restart' | 'perChunk' | 'fail';
const policies: readonly SnapshotPolicy[] = ['restart', 'perChunk', 'fail'];

/**
 * The setting `onSnapshotLost` of the source, or the best that is possible: begin anew where the sink can discard what it has, else go
 * on where chunks can be read at moments of their own, else fail. What is asked for and impossible comes to `fail`.
 */
export function onSnapshotLost(
  activity: Pick<CopyActivity, 'source'>, can: { readonly sourceKind: SourceKind; readonly canRestart: boolean },
): SnapshotPolicy {
  const given = textOf(activity.source.settings, 'onSnapshotLost');
  const asked = policies.find((policy) => policy.toLowerCase() === given?.toLowerCase());
  if (given !== undefined && asked === undefined) throw engineErrors.SNAPSHOT_POLICY.create({ value: given });
  const perChunk = can.sourceKind === 'addressable';
  if (asked === undefined) return can.canRestart ? 'restart' : perChunk ? 'perChunk' : 'fail';
  return (asked === 'restart' && !can.canRestart) || (asked === 'perChunk' && !perChunk) ? 'fail' : asked;
}

/** Whether a copy can begin anew: `marks` are those that stand; undefined: not known. */
export function canRestart(sink: Pick<Sink, 'beginGeneration' | 'beginsAnew'>, marks?: readonly (readonly Mark[])[]): boolean {
  if (sink.beginGeneration === undefined) return false;
  return sink.beginsAnew !== 'unmarked' || (marks?.every((ofTarget) => ofTarget.length === 0) ?? false);
}

/** A source may be cut into pieces that mean something under its snapshot only: its loss is survived, or wanted to be a failure. */
export function takesSnapshotBound(activity: Pick<CopyActivity, 'source'>, sink: Sink): boolean {
  const policy = onSnapshotLost(activity, { sourceKind: 'snapshotBound', canRestart: canRestart(sink) });
  return policy === 'restart' || textOf(activity.source.settings, 'onSnapshotLost')?.toLowerCase() === 'fail';
}

export interface SnapshotRequest {
  readonly plan: Plan;
  readonly source: SourceEnd;
  readonly attemptId: string;
  readonly calls: StoreCalls;
  readonly policy: SnapshotPolicy;
}

/**
 * Goes under the snapshot of the plan. True: everything is read under it. False: the plan has none, or it is lost and chunks may be of
 * moments of their own. Throws SNAPSHOT_LOST where they may not.
 */
export async function enterSnapshot(request: SnapshotRequest, signal: AbortSignal): Promise<boolean> {
  const { plan: { snapshotKey: key, targets }, source, attemptId, calls, policy } = request;
  if (source.kind !== 'table') return false;
  const { snapshots } = source.table;
  if (key === undefined) {
    await snapshots?.leave();
    return false;
  }
  const what = { what: 'find the snapshot of the copy', signal };
  const held = snapshots === undefined
    ? key === attemptId : await calls.repeated(what, (callSignal) => snapshots.join(key, callSignal));
  if (held) return true;
  if (policy !== 'perChunk') {
    const path = targets[0]?.sources[0]?.path ?? '';
    throw connectorErrors.SNAPSHOT_LOST.create({ path, reason: 'no session that holds it can be found' });
  }
  await snapshots?.leave();
  return false;
}
