import type { CopyEnd, Job, JsonValue, LeadStep, NodeStatus } from '@dmg/model';

/*
 * Which Waiting job goes to which node, now. Late binding: called whenever a slot may be free; a job gets a node only then.
 *
 * Order (DESIGN-RULES 16): steps that close a sink first, since they free what a user waits for; then by `sendNo`, oldest first.
 * No order between jobs is promised. A job that no live node may run is passed over and holds up nobody.
 * Nodes: the best class that is alive takes jobs (Online, else Limited, never any other), the freest node first.
 *
 * Invariants: a node never gets more jobs than it has free slots; a job gets at most one node; a job is left waiting only when
 * the nodes that may run it have no free slot, or there are none.
 */

export interface WaitingJob {
  readonly jobId: string;
  readonly sendNo: number;
  readonly step: LeadStep;
  /** Nodes that may not run it now, with why. */
  readonly ineligible: ReadonlyMap<string, string>;
}

export interface PlacementNode {
  readonly nodeId: string;
  readonly status: NodeStatus;
  /** What the dispatcher believes; the worker decides. */
  readonly freeSlots: number;
}

export interface Assignment {
  readonly jobId: string;
  readonly nodeId: string;
  readonly step: LeadStep;
}

export interface Placement {
  readonly assignments: readonly Assignment[];
  /** Jobs that no live node may run now, with why; they do not count against the dispatcher's window. */
  readonly passedOver: readonly { readonly jobId: string; readonly reason: string }[];
}

export function placeJobs(waiting: readonly WaitingJob[], nodes: readonly PlacementNode[]): Placement {
  const alive = takingNodes(nodes);
  const free = new Map(alive.map((node) => [node.nodeId, Math.max(0, node.freeSlots)]));
  const assignments: Assignment[] = [];
  const passedOver: { jobId: string; reason: string }[] = [];
  for (const job of [...waiting].sort(byUrgency)) {
    const eligible = alive.filter((node) => !job.ineligible.has(node.nodeId));
    if (eligible.length === 0) {
      passedOver.push({ jobId: job.jobId, reason: reasonOf(job, alive) });
      continue;
    }
    const nodeId = freest(eligible, free);
    if (nodeId === undefined) continue;
    free.set(nodeId, (free.get(nodeId) ?? 0) - 1);
    assignments.push({ jobId: job.jobId, nodeId, step: job.step });
  }
  return { assignments, passedOver };
}

/**
 * What two jobs have in common when the same nodes can run both: the stores at their ends, without secrets. Used to turn away
 * further jobs of a kind of which too many wait for a node that can run them.
 */
export function placementKind(job: Job): string {
  const { source, sink, log } = job.activity;
  return [source, sink, ...(log === undefined ? [] : [log.store])].map(storeOf).join(' > ');
}

function storeOf(end: CopyEnd): string {
  const plain = Object.entries(end.connection).filter((entry): entry is [string, JsonValue] => typeof entry[1] !== 'object');
  plain.sort(([a], [b]) => (a < b ? -1 : 1));
  return `${end.connector} ${JSON.stringify(plain)}`;
}

/** The nodes that take jobs now: those of the best class that is alive. */
export function takingNodes(nodes: readonly PlacementNode[]): readonly PlacementNode[] {
  const online = nodes.filter((node) => node.status === 'Online');
  return online.length > 0 ? online : nodes.filter((node) => node.status === 'Limited');
}

function byUrgency(a: WaitingJob, b: WaitingJob): number {
  if (a.step !== b.step) return a.step === 'abort' ? -1 : 1;
  return a.sendNo - b.sendNo || (a.jobId < b.jobId ? -1 : 1);
}

function freest(nodes: readonly PlacementNode[], free: ReadonlyMap<string, number>): string | undefined {
  let best: { nodeId: string; slots: number } | undefined;
  for (const { nodeId } of nodes) {
    const slots = free.get(nodeId) ?? 0;
    if (slots > 0 && (best === undefined || slots > best.slots || (slots === best.slots && nodeId < best.nodeId))) best = { nodeId, slots };
  }
  return best?.nodeId;
}

function reasonOf(job: WaitingJob, alive: readonly PlacementNode[]): string {
  if (alive.length === 0) return 'no node is alive that takes jobs';
  return alive.map((node) => `${node.nodeId}: ${job.ineligible.get(node.nodeId) ?? 'not eligible'}`).join('; ');
}
