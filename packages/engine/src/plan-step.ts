import type { Sink, SinkState, Source } from '@dmg/connector-api';
import { createTranscoder } from '@dmg/formats';
import type { CopyActivity, Job, Plan, Representation, SourceObject } from '@dmg/model';
import { linkedSignal } from './parallel.ts';
import { checkOverlap, type CopySecrets } from './overlap.ts';
import { checkPlan, makePlan } from './plan.ts';
import type { StoreCalls } from './store-calls.ts';
import { layoutTargets } from './target-layout.ts';

export interface PlanStep {
  readonly job: Job;
  readonly representation: Representation;
  readonly secrets: CopySecrets;
  readonly calls: StoreCalls;
  readonly source: Source;
  readonly sink: Sink;
  /** What the sink said when it was opened. */
  readonly state: SinkState;
}

/** The plan that stands at the sink: the one that was there, else ours, else that of whoever was faster. */
export async function planCopy(step: PlanStep, signal: AbortSignal): Promise<Plan> {
  const { job, calls, sink, state } = step;
  if (state.plan !== undefined) {
    checkPlan(state.plan, job);
    return state.plan;
  }
  if (step.representation === 'rows') checkTranscoding(job.activity);
  const sources = await listSource(calls, step.source, signal);
  const layouts = layoutTargets({ jobId: job.jobId, activity: job.activity, sources });
  checkOverlap(job.activity, layouts, step.secrets);
  const paths = layouts.map((layout) => layout.path);
  const what = { what: 'look at the targets', bytes: paths.length * 4096, signal };
  const bases = paths.length === 0 ? [] : await calls.repeated(what, (callSignal) => sink.bases(paths, callSignal));
  const { representation } = step;
  const plan = makePlan({ job, representation, sourceKind: step.source.kind, layouts, bases, limits: sink.limits });
  const standing = await calls.repeated({ what: 'store the plan at the sink', signal }, (callSignal) => sink.insertPlan(plan, callSignal));
  checkPlan(standing, job);
  return standing;
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
  if (source.format.type !== 'DelimitedText' || sink.format.type !== 'DelimitedText') return;
  createTranscoder({ source: source.format, sink: sink.format, fileName: '', ...(translator === undefined ? {} : { translator }) });
}
