import { type Mark, type Plan, type Receipt, receiptChunksMax, type ReceiptTarget } from '@dmg/model';

/** True where the hashes of marks are CRC-32 of the bytes as they were written. */
export function hashesBytes(plan: Plan): boolean {
  return plan.representation === 'bytes' && plan.targets.every(({ cutting }) => cutting.kind !== 'sequential');
}

/** What a receipt says of every chunk, so that it can be checked later; nothing where they are many. */
export function receiptTargets(plan: Plan, marks: readonly (readonly Mark[])[]): Pick<Receipt, 'targets' | 'hashOf'> {
  const chunks = plan.targets.reduce((sum, target) => sum + (marks[target.target]?.length ?? 0), 0);
  if (chunks > receiptChunksMax) return {};
  const targets = plan.targets.map(({ path, target, cutting }): ReceiptTarget => ({
    path,
    chunks: (marks[target] ?? []).map(({ sourceStart, sourceEnd, bytes, rows, rowsSkipped, hash }) => ({
      // Every stream begins at its beginning; its mark says by its start whether it was read under the snapshot.
      ...(cutting.kind === 'streams' ? { sourceStart: 0, sourceEnd: sourceEnd - sourceStart } : { sourceStart, sourceEnd }),
      bytes, rows, ...(rowsSkipped === undefined ? {} : { rowsSkipped }), hash,
    })),
  }));
  return { targets, hashOf: hashesBytes(plan) ? 'writtenBytes' : 'content' };
}
