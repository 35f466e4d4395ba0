import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Member } from '@dmg/model';
import type { TestNode } from './mesh-node.ts';

export interface MeshChild {
  readonly process: ChildProcess;
  readonly member: Member;
}

/** Starts a node in a process of its own, and waits until `node` has a stream to it. The test's end kills it, frozen or not. */
export async function startMeshChild(context: TestContext, node: TestNode, nodeId: string): Promise<MeshChild> {
  const main = fileURLToPath(new URL('./mesh-process.ts', import.meta.url));
  const child = fork(main, [nodeId], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  context.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  const [member] = (await once(child, 'message')) as [Member];
  const members = [node.member, member];
  child.send(members);
  node.mesh.setMembers(members);
  await node.when(() => node.connected(nodeId));
  return { process: child, member };
}
