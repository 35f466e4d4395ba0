import type { SinkState, Source } from '@dmg/connector-api';
import { createTranscoder } from '@dmg/formats';
import type { CopyActivity, Plan, Representation, SourceObject } from '@dmg/model';
import { codecsOf } from './codecs.ts';
import type { SourceEnd } from './copy-context.ts';
import { cutContents } from './content-cutting.ts';
import { linkedSignal } from './parallel.ts';
import { checkOverlap } from './overlap.ts';
import { checkPlan, makePlan, type PlanDraft } from './plan.ts';
import type { StoreCalls } from './store-calls.ts';
import { copiesRowRanges, isRowFormat } from './row-formats.ts';
import { planFileColumns, planFromTable, tablePath, type TableStep } from './table-plan.ts';
import { layoutTargets } from './target-layout.ts';

export interface PlanStep extends TableStep {
  /** What files exchange; a table's streams decide it by themselves. */
  readonly representation: Representation;
  readonly source: SourceEnd;
  /** What the sink said when it was opened. */
  readonly state: SinkState;
}

/** The plan that stands at the sink: the one that was there, else ours, else that of whoever was faster. */
export async function planCopy(step: PlanStep, signal: AbortSignal): Promise<Plan> {
  const { job, state } = step;
  if (state.plan !== undefined) {
    checkPlan(state.plan, job);
    return state.plan;
  }
  return planGeneration(step, 1, signal);
}

/** Makes the plan of a generation, the first or one that begins anew; returns the plan that stands. */
export async function planGeneration(step: PlanStep, generation: number, signal: AbortSignal): Promise<Plan> {
  const { job, calls, sink, limits } = step;
  const draft = await draftPlan(step, signal);
  // Targets that are files of one table have one state.
  const paths = [...new Set(draft.targets.map((target) => target.path))];
  const what = { what: 'look at the targets', bytes: paths.length * 4096, signal };
  const bases = paths.length === 0 ? [] : await calls.repeated(what, (callSignal) => sink.bases(paths, callSignal));
  const plan = makePlan({ job, draft, generation, bases: new Map(paths.map((path, index) => [path, bases[index] ?? 'absent'])) });
  // At a table, its script runs together with the plan.
  const storing = { what: 'store the plan at the sink', ...(sink.table === undefined ? {} : { limitMs: limits.scriptLimitMs }), signal };
  const standing = await calls.repeated(storing, (callSignal) =>
    generation === 1 || sink.beginGeneration === undefined
      ? sink.insertPlan(plan, callSignal) : sink.beginGeneration(plan, callSignal));
  checkPlan(standing, job);
  return standing;
}

async function draftPlan(step: PlanStep, signal: AbortSignal): Promise<PlanDraft> {
  const { source } = step;
  if (source.kind === 'table') return planFromTable(step, source.table, signal);
  return step.sink.table === undefined ? planFiles(step, source.objects, signal) : planFilesToTable(step, source.objects, signal);
}

async function planFiles(step: PlanStep, source: Source, signal: AbortSignal): Promise<PlanDraft> {
  const { job, calls, sink, representation } = step;
  const { activity } = job;
  if (representation === 'rows') checkTranscoding(activity);
  const sources = await listSource(calls, source, signal);
  const layouts = layoutTargets({ jobId: job.jobId, activity, sources });
  checkOverlap(activity, layouts, step.secrets);
  const { partBytes, cuttings } = cutContents(codecsOf(activity), {
    layouts, representation, rowRanges: copiesRowRanges(activity), limits: sink.limits, store: activity.sink.connector,
  });
  const targets = layouts.map((layout, index) => ({ ...layout, cutting: cuttings[index] ?? { kind: 'ranges', chunks: [] } }));
  return { representation, sourceKind: source.kind, partBytes, targets };
}

/** Every file is a target of its own: its rows are cut, marked and resumed by its own positions. */
async function planFilesToTable(step: PlanStep, source: Source, signal: AbortSignal): Promise<PlanDraft> {
  const { job, calls, sink } = step;
  if (sink.table === undefined) throw new TypeError('the sink has no tables');
  const path = tablePath(step, sink.table);
  const sources = await listSource(calls, source, signal);
  const columns = await planFileColumns(step, { source, sources, intake: sink.table, path }, signal);
  const layouts = sources.map((object) => ({ path, sources: [object] }));
  const { partBytes, cuttings } = cutContents(codecsOf(job.activity), {
    layouts, representation: 'rows', rowRanges: copiesRowRanges(job.activity), limits: sink.limits, store: job.activity.sink.connector,
  });
  const targets = layouts.map((layout, index) => ({
    ...layout, cutting: cuttings[index] ?? { kind: 'ranges', chunks: [] }, columns: columns[index] ?? [],
  }));
  return { representation: 'rows', sourceKind: source.kind, partBytes, targets };
}

/** Reads the source's list to its end; begins again after a transient error. */
async function listSource(calls: StoreCalls, source: Source, signal: AbortSignal): Promise<SourceObject[]> {
  const what = 'list the source';
  return calls.repeating('call', { what, signal }, async () => {
    const link = linkedSignal(signal);
    const objects: SourceObject[] = [];
    const iterator = source.list(link.signal)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await calls.once({ what, signal: link.signal }, () => iterator.next());
        if (next.done === true) return objects;
        objects.push(next.value);
      }
    } finally {
      link.abort(new Error('the list is not needed any more'));
      link.unlink();
      // A list that was given up in the middle of a call may end late, or with an error that nobody needs.
      iterator.return?.().catch(() => undefined);
    }
  });
}

/** Makes a transcoder and throws it away, so that settings it cannot work with are refused before anything is written. */
function checkTranscoding(activity: CopyActivity): void {
  const { source, sink, translator } = activity;
  if (!isRowFormat(source.format) || !isRowFormat(sink.format)) return;
  createTranscoder({ source: source.format, sink: sink.format, fileName: '', ...(translator === undefined ? {} : { translator }) });
}
