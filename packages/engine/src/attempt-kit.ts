import { ByteCredits, type Logger, silentMeter } from '@dmg/base';
import type { Sink } from '@dmg/connector-api';
import type { Plan } from '@dmg/model';
import type { AbortOptions, CopyWorkOptions } from './attempt-options.ts';
import { BufferPool } from './buffer-pool.ts';
import type { CopyContext, SourceEnd } from './copy-context.ts';
import { defaultEngineLimits, type EngineLimits } from './engine-limits.ts';
import { FileSkips } from './file-skips.ts';
import { ProgressTally } from './progress-tally.ts';
import { isOfSmallFiles, smallFilesAtOnce } from './small-files.ts';
import { rowBufferBytes } from './row-copy.ts';
import { StoreCalls } from './store-calls.ts';
import { StoreEnds } from './store-ends.ts';
import { exchangeOf, type StreamExchange } from './stream-exchange.ts';

/** Part buffers of one copy, all together, unless told otherwise. */
export const defaultMemoryBytes = 64 * 1024 * 1024;

/** What an attempt reaches its stores with. */
export interface StoreKit {
  readonly limits: EngineLimits;
  readonly logger: Logger;
  readonly calls: StoreCalls;
  readonly ends: StoreEnds;
}

/** What an attempt that copies works with. */
export interface AttemptKit extends StoreKit {
  readonly progress: ProgressTally;
}

export function storeKit(options: AbortOptions, wish: { readonly repeatsChunks?: boolean } = {}): StoreKit {
  const { clock, random, job, attemptId } = options;
  const limits = { ...defaultEngineLimits, ...options.limits };
  const meter = options.meter ?? silentMeter;
  const logger = options.logger.child({ component: 'engine', jobId: job.jobId, attemptId });
  const calls = new StoreCalls({ clock, random, logger, meter, limits, ...wish });
  return { limits, logger, calls, ends: new StoreEnds({ ...options, limits, calls, logger }) };
}

export function attemptKit(options: CopyWorkOptions, wish: { readonly repeatsChunks?: boolean } = {}): AttemptKit {
  const kit = storeKit(options, wish);
  const { source, sink } = options.job.activity;
  const progress = new ProgressTally({
    clock: options.clock, logger: kit.logger, meter: options.meter ?? silentMeter, sourceConnector: source.connector,
    sinkConnector: sink.connector, onProgress: options.onProgress,
  });
  return { ...kit, progress };
}

/** What the copy step works with under the plan that stands, which need not be the one this attempt would have made. */
export async function copyContext(
  options: CopyWorkOptions, kit: AttemptKit, standing: { plan: Plan; source: SourceEnd; sink: Sink }, signal: AbortSignal,
): Promise<CopyContext> {
  const { job: { activity }, attemptId, clock } = options;
  const { plan, sink } = standing;
  const { calls, limits, logger, progress, ends } = kit;
  // A sink says how many parts with all their bytes it can use.
  const parts = isOfSmallFiles(plan) ? Math.max(smallFilesAtOnce, sink.limits.parallelParts) : Math.max(1, sink.limits.parallelParts);
  return {
    ...standing, attemptId, activity, underSnapshot: false, exchange: await exchangeFor(options, kit, standing, signal), calls,
    pool: poolFor(plan, options.memoryBytes ?? defaultMemoryBytes), partSlots: new ByteCredits(parts),
    progress, clock, logger, limits, logs: ends.logs, skips: new FileSkips(activity.skipFiles),
  };
}

async function exchangeFor(
  options: CopyWorkOptions, kit: AttemptKit, { plan, source, sink }: { plan: Plan; source: SourceEnd; sink: Sink }, signal: AbortSignal,
): Promise<StreamExchange | undefined> {
  if (source.kind !== 'table') return undefined;
  const { table } = source;
  const what = { what: 'read the columns of the source', signal };
  const sourceColumns = await kit.calls.repeated(what, (callSignal) => table.columns(callSignal));
  const { activity } = options.job;
  const { text: intake, ownForm: intakeForm } = sink.table ?? {};
  return exchangeOf({ activity, source: table, sourceColumns, intake, intakeForm, sinkColumns: plan.targets[0]?.columns });
}

function poolFor(plan: Plan, wanted: number): BufferPool {
  const isSequential = plan.representation === 'rows' || plan.targets.some(({ cutting }) => cutting.kind === 'sequential');
  const needed = isSequential ? rowBufferBytes(plan.partBytes) : plan.partBytes;
  return new BufferPool({ capacityBytes: Math.max(wanted, needed), largestBytes: plan.partBytes });
}
