import type { Member } from '@dmg/model';
import { TestNode } from './mesh-node.ts';

/** A node in a process of its own, for tests that kill or freeze it. Its parent sends it the members; its end ends it. */
const [nodeId = 'child'] = process.argv.slice(2);
const node = new TestNode({ nodeId, limit: 100_000 });
process.on('message', (members: readonly Member[]) => node.mesh.setMembers(members));
process.on('disconnect', () => process.exit(0));
await node.start();
process.send?.(node.member);
