import { type Mark, type Plan, type Receipt, receiptChunksMax, type ReceiptTarget } from '@dmg/model';

/** What a receipt says of every chunk, so that it can be checked later; nothing where they are many. */
export function receiptTargets(plan: Plan, marks: readonly (readonly Mark[])[]): Pick<Receipt, 'targets' | 'hashOf'> {
  const chunks = plan.targets.reduce((sum, target) => sum + (marks[target.target]?.length ?? 0), 0);
  if (chunks > receiptChunksMax) return {};
  const targets = plan.targets.map(({ path, target }): ReceiptTarget => ({
    path,
    chunks: (marks[target] ?? []).map(({ sourceStart, sourceEnd, bytes, rows, rowsSkipped, hash }) => ({
      sourceStart, sourceEnd, bytes, rows, ...(rowsSkipped === undefined ? {} : { rowsSkipped }), hash,
    })),
  }));
  const copiesBytes = plan.representation === 'bytes' && plan.targets.every(({ cutting }) => cutting.kind !== 'sequential');
  return { targets, hashOf: copiesBytes ? 'writtenBytes' : 'content' };
}
