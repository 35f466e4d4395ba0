import { takesJobs } from '@dmg/core';
import type { JobWatch } from '../dispatch/job-watch.ts';
import type { JudgedNode } from '../gateways/node-status.ts';
import type { PresenceBoard } from '../gateways/presence.ts';
import type { PickupDelays } from './pickup-delays.ts';

/**
 * What a gateway has to do. Azure Monitor knows the same figures as IntegrationRuntimeQueueLength, IntegrationRuntimeAverageTaskPickupDelay
 * and IntegrationRuntimeAvailableNodeNumber.
 */
export interface GatewayLoad {
  /** Activities that are sent and that no node has taken up: in the queue, or at the dispatcher. */
  readonly queueLength: number;
  /** Of these, the ones that the dispatcher has and for which there is no free place. */
  readonly waitingAtDispatcher: number;
  /** From acceptance to the start on a node, average of the last 5 minutes; undefined: nothing was taken up. */
  readonly pickupDelayMs: number | undefined;
  /** Nodes that take jobs. */
  readonly availableNodes: number;
}

/** Puts it together from what the control plane knows itself; the queue is not asked. */
export class GatewayLoads {
  readonly #presence: PresenceBoard;
  readonly #watch: JobWatch;
  readonly #delays: PickupDelays;

  constructor(options: { presence: PresenceBoard; watch: JobWatch; delays: PickupDelays }) {
    this.#presence = options.presence;
    this.#watch = options.watch;
    this.#delays = options.delays;
  }

  of(gatewayId: string, nodes: readonly JudgedNode[]): GatewayLoad {
    const { inQueue, atDispatcher } = this.#watch.waitingOf(gatewayId, this.#presence.waitingAtDispatcher(gatewayId));
    return {
      queueLength: inQueue + atDispatcher,
      waitingAtDispatcher: atDispatcher,
      pickupDelayMs: this.#delays.averageMs(gatewayId),
      availableNodes: nodes.filter(takesJobs).length,
    };
  }
}
