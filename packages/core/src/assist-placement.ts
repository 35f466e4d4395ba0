import type { AssistStep, AssistShare } from '@dmg/model';
import { freeIndex } from './job-assistants.ts';
import type { Assistant } from './job-record.ts';
import type { PlacementNode } from './placement.ts';

/*
 * Which running copy gets an assistant on which node, now (DESIGN-RULES 20, 24). Called whenever waiting jobs were placed.
 *
 * Assistants take what nobody else wants: slots of Online nodes, and none while a job waits for a slot. The copy that has fewest gets the
 * next one, the older copy first, on the freest node. A keeper takes no slot; a copy whose snapshot would end with its node gets one while
 * no other node reads under that snapshot. One that is where the lead has come to does not count: it would end with it.
 *
 * Invariants: a node never gets more assistants than it has free slots; of one job at most one copies on a node, the one that leads
 * included; no copy has more assistants than it asked for; nothing is placed where nothing was asked for.
 */

/** A copy that leads and has said what it could use. */
export interface AssistedLead {
  readonly jobId: string;
  readonly sendNo: number;
  /** Where it runs. */
  readonly nodeId: string;
  readonly assistantsWanted: number;
  readonly snapshotHeld: boolean;
  readonly assistants: readonly Pick<Assistant, 'nodeId' | 'step' | 'index' | 'attemptId'>[];
  /** Nodes that may not assist it now. */
  readonly ineligible: ReadonlySet<string>;
}

export interface AssistAssignment extends AssistShare {
  readonly jobId: string;
  readonly nodeId: string;
  readonly step: AssistStep;
}

/** `waiting`: jobs that wait for a slot. */
export function placeAssistants(
  leads: readonly AssistedLead[], nodes: readonly PlacementNode[], waiting: number,
): readonly AssistAssignment[] {
  const online = nodes.filter((node) => node.status === 'Online');
  const free = new Map(online.map((node) => [node.nodeId, waiting > 0 ? 0 : Math.max(0, node.freeSlots)]));
  const cases = [...leads].sort((a, b) => a.sendNo - b.sendNo || (a.jobId < b.jobId ? -1 : 1)).map((lead) => new Case(lead));
  for (;;) {
    let chosen: { one: Case; nodeId: string } | undefined;
    for (const one of cases) {
      if (!one.wantsAssistant || (chosen !== undefined && one.assists >= chosen.one.assists)) continue;
      const nodeId = freest(one.candidates(online, 'assist').filter((node) => (free.get(node.nodeId) ?? 0) > 0), free);
      if (nodeId !== undefined) chosen = { one, nodeId };
    }
    if (chosen === undefined) break;
    free.set(chosen.nodeId, (free.get(chosen.nodeId) ?? 0) - 1);
    chosen.one.take(chosen.nodeId, 'assist');
  }
  for (const one of cases) {
    const nodeId = one.wantsKeeper ? freest(one.candidates(online, 'keep'), free) : undefined;
    if (nodeId !== undefined) one.take(nodeId, 'keep');
  }
  return cases.flatMap((one) => one.taken);
}

/** One copy and what it has got, this round included. */
class Case {
  readonly #lead: AssistedLead;
  readonly #assistants: Assistant[];

  constructor(lead: AssistedLead) {
    this.#lead = lead;
    this.#assistants = [...lead.assistants];
  }

  get assists(): number {
    return this.#assistants.filter(({ step }) => step === 'assist').length;
  }

  get wantsAssistant(): boolean {
    return this.assists < this.#lead.assistantsWanted;
  }

  get wantsKeeper(): boolean {
    return this.#lead.snapshotHeld && !this.#assistants.some(({ nodeId }) => nodeId !== this.#lead.nodeId);
  }

  candidates(nodes: readonly PlacementNode[], step: AssistStep): readonly PlacementNode[] {
    const { nodeId: leadId, ineligible } = this.#lead;
    return nodes.filter(({ nodeId }) => nodeId !== leadId && !ineligible.has(nodeId)
      && !this.#assistants.some((one) => one.nodeId === nodeId && one.step === step));
  }

  take(nodeId: string, step: AssistStep): void {
    this.#assistants.push({ attemptId: '', nodeId, step, index: step === 'keep' ? 0 : freeIndex({ assistants: this.#assistants }) });
  }

  /** What it has got in this round; those that copy begin as if all that copy now went on to the end. */
  get taken(): AssistAssignment[] {
    const { jobId, assistants: { length } } = this.#lead;
    const highest = Math.max(0, ...this.#assistants.map(({ index }) => index));
    return this.#assistants.slice(length).map(({ nodeId, step, index }) => ({ jobId, nodeId, step, index, of: highest + 1 }));
  }
}

function freest(nodes: readonly PlacementNode[], free: ReadonlyMap<string, number>): string | undefined {
  const slotsOf = (nodeId: string): number => free.get(nodeId) ?? 0;
  const [best] = [...nodes].sort((a, b) => slotsOf(b.nodeId) - slotsOf(a.nodeId) || (a.nodeId < b.nodeId ? -1 : 1));
  return best?.nodeId;
}
