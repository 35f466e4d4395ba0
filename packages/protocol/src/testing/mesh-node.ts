import { type Clock, type Logger, newId, silentLogger, silentMeter, sleep, systemClock, systemRandom } from '@dmg/base';
import type { DispatchRequest, WorkerEvent } from '@dmg/core';
import { InMemorySinks, InMemoryWorker } from '@dmg/core/testing';
import type { Epoch, Job, Member, NodeFacts } from '@dmg/model';
import { Mesh, type MeshOptions } from '../mesh.ts';
import { protocolVersion } from '../protocol-versions.ts';

export const testGatewayId = 'gateway-1';
export const testEpoch: Epoch = { n: 1, token: '0'.repeat(32) };

/** A node that works, in all its facts. */
export function testFacts(nodeId: string, more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    nodeId, nodeName: nodeId, bootId: 'boot-1', version: '0.1.0', protocol: protocolVersion, address: '', configDigest: 'digest',
    config: 'encryption none', stage: 'running', stageReason: '', slots: { limit: 4, used: 0, maximum: 8 }, draining: false, troubles: [],
    dispatcher: undefined, ...more,
  };
}

/** The least that a job is; what is signed is the job itself, as JSON. */
export function testRequest(jobId: string, more: Partial<DispatchRequest> & { readonly padding?: string } = {}): DispatchRequest {
  const { padding, ...request } = more;
  const job = { jobId, tryNumber: 1, finalTry: true, ...(padding === undefined ? {} : { padding }) } as Partial<Job> as Job;
  return { job, signedJob: JSON.stringify(job), attemptId: newId(systemRandom), step: 'copy', epoch: testEpoch, ...request };
}

export interface TestNodeOptions extends Partial<Omit<MeshOptions, 'nodeId' | 'listen'>> {
  readonly nodeId: string;
  readonly limit?: number;
  readonly listen?: MeshOptions['listen'];
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** A node of which only the mesh and a worker without processes are there, in plain text on the loopback address. */
export class TestNode {
  readonly nodeId: string;
  readonly mesh: Mesh;
  readonly own: InMemoryWorker;
  readonly gone: { readonly nodeId: string; readonly refused: boolean }[] = [];
  readonly goodbyes: { readonly nodeId: string; readonly successor: string | undefined }[] = [];
  facts: NodeFacts;
  address = '';

  constructor(options: TestNodeOptions) {
    const { nodeId, clock = systemClock } = options;
    this.nodeId = nodeId;
    this.facts = testFacts(nodeId);
    this.own = new InMemoryWorker({ nodeId, nodeName: nodeId, limit: options.limit ?? 4, clock, sinks: new InMemorySinks() });
    this.mesh = new Mesh({
      gatewayId: testGatewayId, nodeName: nodeId, encryption: 'none', identity: undefined, listen: { host: '127.0.0.1', port: 0 },
      self: () => this.facts,
      worker: this.own,
      readJob: (signedJob) => JSON.parse(signedJob) as Job,
      credentialKey: { give: () => Promise.resolve(undefined) },
      random: systemRandom, logger: silentLogger, meter: silentMeter, ...options, clock,
    });
    this.mesh.onGone((event) => void this.gone.push(event));
    this.mesh.onGoodbye((event) => void this.goodbyes.push(event));
  }

  async start(): Promise<void> {
    this.address = (await this.mesh.start()).address;
    this.facts = { ...this.facts, address: this.address };
  }

  get member(): Member {
    return { nodeId: this.nodeId, nodeName: this.nodeId, address: this.address };
  }

  /** The other node's worker, as this one sees it. */
  worker(nodeId: string): ReturnType<Mesh['workers']['list']>[number] {
    const worker = this.mesh.workers.list().find((one) => one.nodeId === nodeId);
    if (worker === undefined) throw new Error(`${nodeId} is no member`);
    return worker;
  }

  /** Everything that the other node's worker tells from now on. */
  events(nodeId: string): WorkerEvent[] {
    const events: WorkerEvent[] = [];
    this.worker(nodeId).subscribe((event) => void events.push(event));
    return events;
  }

  connected(nodeId: string): boolean {
    return this.mesh.peers().some((peer) => peer.nodeId === nodeId && peer.connected);
  }

  /** Resolves when a condition holds. Much of what tests wait for (why there is no stream, what another node sees) is told by no event. */
  async when(holds: () => boolean): Promise<void> {
    const untilMs = systemClock.monotonicMs() + 10_000;
    while (!holds()) {
      if (systemClock.monotonicMs() > untilMs) throw new Error(`this did not come about within 10 s: ${holds.toString()}`);
      await sleep(systemClock, 2);
    }
  }

  close(): Promise<void> {
    return this.mesh.close();
  }
}

/** Nodes that know each other, each with an open stream to every other. */
export async function startTestNodes(options: readonly TestNodeOptions[]): Promise<TestNode[]> {
  const nodes = options.map((each) => new TestNode(each));
  await Promise.all(nodes.map((node) => node.start()));
  const members = nodes.map(({ member }) => member);
  for (const node of nodes) node.mesh.setMembers(members);
  await Promise.all(nodes.flatMap((node) => nodes.map(({ nodeId }) => node.when(() => nodeId === node.nodeId || node.connected(nodeId)))));
  return nodes;
}
