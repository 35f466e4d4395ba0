import type { Clock } from '@dmg/base';
import { takesJobs } from '@dmg/core';
import type { JobPolicy } from '@dmg/model';
import type { Db } from '../database/open-database.ts';
import type { ActivityRunRow, GatewayRow, PipelineRunRow } from '../database/schema.ts';
import type { JudgedNode } from '../gateways/node-status.ts';
import type { GatewayViews } from './gateway-views.ts';

/** Why something waits, as a sentence for the person who waits for it. */
export class WaitReasons {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #gateways: GatewayViews;
  readonly #queueTrouble: (gatewayId: string) => string | undefined;
  readonly #whyStranded: (gatewayId: string, jobId: string) => string | undefined;

  constructor(options: {
    db: Db; clock: Clock; gateways: GatewayViews; queueTrouble: (gatewayId: string) => string | undefined;
    /** Why no live node may run a job; node ids in it stand for the nodes. */
    whyStranded: (gatewayId: string, jobId: string) => string | undefined;
  }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#gateways = options.gateways;
    this.#queueTrouble = options.queueTrouble;
    this.#whyStranded = options.whyStranded;
  }

  async gatewayName(gatewayId: string): Promise<string> {
    return (await this.#gateway(gatewayId))?.name ?? gatewayId;
  }

  #gateway(gatewayId: string): Promise<GatewayRow | undefined> {
    return this.#db.selectFrom('gateways').selectAll().where('id', '=', gatewayId).executeTakeFirst();
  }

  /** Of the first activity that waits; undefined when none does. */
  async ofRun(run: PipelineRunRow, activities: readonly ActivityRunRow[]): Promise<string | undefined> {
    for (const row of activities) {
      const reason = await this.ofActivity(run, row);
      if (reason !== undefined) return `${row.name}: ${reason}`;
    }
    return undefined;
  }

  async ofActivity(run: PipelineRunRow, row: ActivityRunRow): Promise<string | undefined> {
    if (row.phase !== 'Queued') return undefined;
    const outbox = await this.#db.selectFrom('outbox').selectAll().where('job_id', '=', row.job_id).executeTakeFirst();
    const gateway = await this.#gateway(row.gateway_id);
    const name = gateway?.name ?? row.gateway_id;
    const nodes = gateway === undefined ? [] : await this.#gateways.judgedNodes(gateway);
    if (nodes.length === 0) return `No node is registered with the gateway ${name}. Register one with a key of the gateway.`;
    if (outbox !== undefined && outbox.due_at > this.#clock.wallMs() && run.cancel_requested === 0) {
      const { retry } = JSON.parse(row.policy) as JobPolicy;
      return `Try ${row.try_number} of ${retry + 1} begins at ${new Date(outbox.due_at).toISOString()}.`;
    }
    const trouble = outbox === undefined ? undefined : this.#queueTrouble(row.gateway_id);
    if (trouble !== undefined) return `The queue of the gateway ${name} does not take its message: ${trouble}`;
    if (!nodes.some(takesJobs)) {
      const isSomeoneUp = nodes.some(({ status }) => status === 'Online' || status === 'Limited');
      const each = nodes.map(({ node, status, evidence }) => `${node.name} is ${status} (${evidence})`);
      return `No node of the gateway ${name} ${isSomeoneUp ? 'takes jobs' : 'is online'}: ${each.join('; ')}`;
    }
    if (!nodes.some(({ leads }) => leads)) {
      const limited = nodes.filter(({ status }) => status === 'Limited');
      const troubles = limited.map(({ node, evidence }) => `${node.name} is Limited (${evidence})`);
      const why = troubles.length === 0 ? '' : `: ${troubles.join('; ')}`;
      return `The gateway ${name} has no dispatcher at present; its nodes choose one by themselves${why}`;
    }
    const stranded = this.#whyStranded(row.gateway_id, row.job_id);
    if (stranded !== undefined) return `No node of the gateway ${name} can run it now: ${withNames(stranded, nodes)}`;
    return run.cancel_requested === 1 ? 'It waits for a node that closes its sink.' : 'It waits for a free place on a node.';
  }
}

function withNames(reason: string, nodes: readonly JudgedNode[]): string {
  return nodes.reduce((text, { node }) => text.replaceAll(node.id, node.name), reason);
}
