import { firstLine, sleep } from '@dmg/base';
import type { SharedSnapshots, Sink } from '@dmg/connector-api';
import { type StoreKit, storeKit } from './attempt-kit.ts';
import type { KeepOptions } from './attempt-options.ts';

/**
 * Holds the snapshot that the plan of a copy was made under, so that it does not end with the node that exported it, until the signal is
 * aborted, the job is over, or there is nothing to hold. Moves no row. Never throws.
 */
export async function keepSnapshot(options: KeepOptions): Promise<void> {
  const { signal, clock } = options;
  const kit = storeKit(options);
  try {
    signal.throwIfAborted();
    const source = await kit.ends.source(signal);
    const snapshots = source.kind === 'table' ? source.table.snapshots : undefined;
    if (snapshots === undefined) return;
    const sink = await kit.ends.sink(signal);
    while (await holds(kit, { snapshots, sink }, signal)) await sleep(clock, kit.limits.keepCheckMs, signal);
  } catch (error) {
    if (!signal.aborted) kit.logger.warn({ reason: firstLine(error) }, 'the snapshot is not kept here any more');
  } finally {
    await kit.ends.close();
  }
}

/** Holds the snapshot of the plan that stands; false when there is none, or it is lost. */
async function holds(kit: StoreKit, ends: { snapshots: SharedSnapshots; sink: Sink }, signal: AbortSignal): Promise<boolean> {
  const { calls, logger } = kit;
  const { snapshots, sink } = ends;
  const state = await calls.repeated({ what: 'read the state of the job at the sink', signal }, (callSignal) => sink.state(callSignal));
  const key = state.phase === 'open' ? state.plan?.snapshotKey : undefined;
  if (key === undefined) return false;
  const held = await calls.repeated({ what: 'find the snapshot of the copy', signal }, (callSignal) => snapshots.join(key, callSignal));
  if (!held) logger.warn({ snapshotKey: key }, 'no session that holds the snapshot can be found');
  return held;
}
