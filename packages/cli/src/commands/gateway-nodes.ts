import { isDmgError, sleep, systemClock } from '@dmg/base';
import { exitCodes } from '@dmg/lifecycle';
import type { Context } from '../context.ts';
import { nodePath } from '../data-factory.ts';
import { cliErrors } from '../errors.ts';
import { adviceFor, chosenGateway, type GatewayView, gatewayView, type NodeView, readGateway } from '../gateway-view.ts';
import { type Output } from '../output.ts';
import { nodeTable } from './gateway.ts';

/** Which node of which gateway; without a gateway the only one there is. */
export interface NodeChoice {
  readonly node: string;
  readonly gateway?: string;
}

export interface DrainFlags {
  readonly graceSeconds: number;
  /** Come back only when nothing runs on it any more. */
  readonly wait: boolean;
}

/** What shells take for "ended by Ctrl-C". */
const interruptedExitCode = 130;
const lookIntervalMs = 500;
/** How long a control plane that does not answer is waited for. */
const outageMaxMs = 60_000;
/** A node of one of these statuses is no process any more, or none yet. */
const goneStatuses: readonly string[] = ['Offline', 'NeedRegistration'];

/** `dmg node list`. */
export async function listNodes(gateway: string | undefined, context: Context, output: Output): Promise<void> {
  const found = await view(await chosenGateway(gateway, context), context);
  const { nodes, name } = found;
  output.result({ gateway: name, value: nodes }, () =>
    nodes.length === 0
      ? `no node is registered; give one a key from: dmg gateway keys ${name}`
      : [nodeTable(nodes), ...adviceFor(found)].join('\n'),
  );
}

/** `dmg node set-limit NODE N`: how many jobs it may run at once, in force within a second. */
export async function setLimit(choice: NodeChoice, limit: number, context: Context, output: Output): Promise<void> {
  const gateway = await chosenGateway(choice.gateway, context);
  const path = nodePath(context, gateway, choice.node);
  const body = { concurrentJobsLimit: limit };
  const changed = await context.client.call(`set the limit of the node ${choice.node}`, { method: 'PATCH', path, body });
  const { maxConcurrentJobs: maximum } = changed as { maxConcurrentJobs?: number };
  const capped = maximum !== undefined && maximum < limit ? `, of which its machine bears ${maximum}` : '';
  output.result(changed, () => `${choice.node} runs up to ${limit} jobs at once${capped}; what runs beyond that goes on`);
}

/** `dmg node drain NODE`: it takes no jobs until it is resumed; what runs may finish for the grace time and is handed over then. */
export async function drain(choice: NodeChoice, flags: DrainFlags, context: Context, output: Output, signal: AbortSignal): Promise<number> {
  const gateway = await chosenGateway(choice.gateway, context);
  const { node } = choice;
  const { graceSeconds } = flags;
  await post(`drain the node ${node}`, nodePath(context, gateway, node, 'drain'), context, { graceSeconds });
  if (!flags.wait) {
    output.result({ node, gateway, draining: true, graceSeconds }, () =>
      `${node} takes no more jobs; what it runs may finish for ${graceSeconds} s. Take it back with: dmg node resume ${node}`,
    );
    return exitCodes.ok;
  }
  const startedMs = systemClock.monotonicMs();
  try {
    await drained(node, gateway, context, output, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    output.note(`interrupted; ${node} goes on draining. See: dmg node list; take it back with: dmg node resume ${node}`);
    return interruptedExitCode;
  }
  const seconds = Math.round((systemClock.monotonicMs() - startedMs) / 100) / 10;
  const result = { node, gateway, draining: true, graceSeconds, drained: true, seconds };
  output.result(result, () => `${node} runs nothing any more (${seconds} s)`);
  return exitCodes.ok;
}

/** Waits until the node runs nothing. A control plane that is away for a while ends neither the draining nor the waiting. */
async function drained(node: string, gateway: string, context: Context, output: Output, signal: AbortSignal): Promise<void> {
  let awaySinceMs: number | undefined;
  for (;;) {
    await sleep(systemClock, lookIntervalMs, signal);
    try {
      const found = nodeOf(await view(gateway, context, signal), node, `wait for the node ${node}`);
      awaySinceMs = undefined;
      // One that is still online has not heard of it yet, and may be given another job.
      if ((found.running === 0 && found.status !== 'Online') || goneStatuses.includes(found.status)) return;
      output.progress(`${node}: ${found.running ?? '?'} jobs still run`);
    } catch (error) {
      if (signal.aborted || !isDmgError(error) || error.category !== 'transient') throw error;
      awaySinceMs ??= systemClock.monotonicMs();
      if (systemClock.monotonicMs() - awaySinceMs > outageMaxMs) throw error;
      output.progress('the control plane does not answer; the draining goes on');
    }
  }
}

/** `dmg node resume NODE`. */
export async function resume(choice: NodeChoice, context: Context, output: Output): Promise<void> {
  const gateway = await chosenGateway(choice.gateway, context);
  const { node } = choice;
  await post(`resume the node ${node}`, nodePath(context, gateway, node, 'resume'), context);
  output.result({ node, gateway, draining: false }, () => `${node} takes jobs again`);
}

/**
 * `dmg node delete NODE`: takes its registration away. One that is alive would be cut off at once, so that has to be asked for; what it
 * runs is taken over by others either way.
 */
export async function remove(choice: NodeChoice, force: boolean, context: Context, output: Output): Promise<void> {
  const gateway = await chosenGateway(choice.gateway, context);
  const { node } = choice;
  const what = `delete the node ${node}`;
  // The REST API deletes what is not there without a word; a person who mistyped the name wants to know.
  const { status, running = 0 } = nodeOf(await view(gateway, context), node, what);
  if (!force && !goneStatuses.includes(status)) throw cliErrors.NODE_ALIVE_REFUSED.create({ node, gateway, status, running });
  await context.client.call(what, { method: 'DELETE', path: nodePath(context, gateway, node) });
  output.result({ deleted: node, gateway }, () => `the node ${node} is deleted; its place is free`);
}

async function view(gateway: string, context: Context, signal?: AbortSignal): Promise<GatewayView> {
  return gatewayView(gateway, await readGateway(context, gateway, signal));
}

function nodeOf({ name: gateway, nodes }: GatewayView, node: string, what: string): NodeView {
  const found = nodes.find(({ name }) => name.toLowerCase() === node.toLowerCase());
  if (found !== undefined) return found;
  const names = nodes.length === 0 ? 'none' : nodes.map(({ name }) => name).join(', ');
  throw cliErrors.UNKNOWN_NODE_REFUSED.create({ what, node, gateway, nodes: names });
}

function post(what: string, path: string, context: Context, body: object = {}): Promise<unknown> {
  return context.client.call(what, { method: 'POST', path, body });
}
