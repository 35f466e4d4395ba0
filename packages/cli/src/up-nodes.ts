import { join } from 'node:path';
import type { SupervisedRoot } from '@dmg/lifecycle';
import { openContext, type UpFile, type UpNode } from './context.ts';
import { createGateway, ensureFactory, gatewayKeys } from './data-factory.ts';

export interface NodesPlan {
  readonly count: number;
  readonly gateway: string;
  readonly stateFolder: string;
  readonly up: UpFile;
  /** Starts the node's own program and resolves when it is ready. */
  start(node: { readonly name: string; readonly args: readonly string[]; readonly env: Record<string, string> }): Promise<SupervisedRoot>;
}

export interface StartedNode {
  readonly name: string;
  readonly state: string;
  readonly root: SupervisedRoot;
}

/**
 * The nodes of `dmg up`, all of one gateway, each in a process group of its own with its executors. The first one brings the gateway's
 * credential key, which the others fetch from it: they start once it is ready, all at the same time.
 */
export async function startNodes(plan: NodesPlan): Promise<StartedNode[]> {
  if (plan.count === 0) return [];
  const key = await gatewayKey(plan);
  const first = await startNode(plan, key, 1);
  const others = await Promise.allSettled(
    Array.from({ length: plan.count - 1 }, (_, index) => startNode(plan, key, index + 2)),
  );
  // Only when none is on its way any more: whoever stops what was started must know all of it.
  const failed = others.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason as Error;
  return [first, ...others.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))];
}

async function gatewayKey({ stateFolder, gateway }: NodesPlan): Promise<string> {
  const context = await openContext({ state: stateFolder }, {});
  try {
    await ensureFactory(context);
    await createGateway(context, gateway);
    return (await gatewayKeys(context, gateway)).authKey1;
  } finally {
    context.client.close();
  }
}

async function startNode({ stateFolder, up, start }: NodesPlan, key: string, number: number): Promise<StartedNode> {
  const name = `node-${number}`;
  const state = join(stateFolder, 'nodes', name);
  const env = {
    DMG_REDIS: up.redis, DMG_SERVICE_BUS: up.serviceBus, DMG_GATEWAY_KEY: key, DMG_NODE_NAME: name,
    // All on one machine, which nobody else need reach; ports as they are free.
    DMG_SHARE_MACHINE: '1', DMG_GRPC_HOST: '127.0.0.1', DMG_GRPC_PORT: '0', DMG_METRICS_PORT: '0',
    // Who ends `dmg up` waits for it: what runs goes on after the next start.
    DMG_DRAIN_GRACE: '1',
  };
  return { name, state, root: await start({ name, args: ['start', '--state', state], env }) };
}

/** How the nodes stand in the ready line and in `up.json`; pid and port are others after a restart. */
export function describeNodes(nodes: readonly StartedNode[]): UpNode[] {
  return nodes.map(({ name, state, root }) => {
    const { pid, ready } = root.current();
    return { name, pid, metrics: String(ready['metrics']), state };
  });
}
