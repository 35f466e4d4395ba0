import type { AssistShare } from '@dmg/model';

/** What an attempt copies next: one of the plan's units by its number, nothing until marks have changed, or nothing any more. */
export type NextUnit =
  | { readonly kind: 'take'; readonly unit: number }
  | { readonly kind: 'wait' }
  | { readonly kind: 'end' };

export interface OrderRequest {
  /** Units that are neither marked, as far as this attempt knows, nor taken by it, in ascending order, by the share they belong to. */
  readonly shares: readonly (readonly number[])[];
  /** Whose turn it is: 0 leads. */
  readonly index: number;
  /** So many units at the beginning of another share its owner has in hand, or will have taken before they could be copied here. */
  readonly window: number;
  /** Shares in which nothing has been marked for so long that nobody seems to work on them. */
  readonly silent: ReadonlySet<number>;
}

/** Units by the share they belong to: the one whose index is the unit's number modulo the number of shares. Keeps the order. */
export function sharesOf(units: Iterable<number>, of: number): number[][] {
  const shares: number[][] = Array.from({ length: of }, () => []);
  for (const unit of units) shares[unit % of]?.push(unit);
  return shares;
}

/**
 * Everybody begins with the share of his own, in order, and an assistant ends with it. The lead goes on with what others have left, from
 * the end of the longest share, so that its owner comes upon it last; what an owner may have in hand is left to him until he is silent.
 */
export function nextUnit({ shares, index, window, silent }: OrderRequest): NextUnit {
  const [own] = shares[index] ?? [];
  if (own !== undefined) return { kind: 'take', unit: own };
  if (index > 0) return { kind: 'end' };
  let most = 0;
  let chosen: number | undefined;
  for (const [share, units] of shares.entries()) {
    const free = units.length - (silent.has(share) ? 0 : window);
    if (free > most) {
      most = free;
      chosen = units.at(-1);
    }
  }
  if (chosen !== undefined) return { kind: 'take', unit: chosen };
  return { kind: shares.every((units) => units.length === 0) ? 'end' : 'wait' };
}

/** How many of the `parallel` chunks that a copy may have under way at once, over all nodes, fall to one of the attempts. */
export function parallelShare(parallel: number, { index, of }: AssistShare): number {
  const even = Math.floor(parallel / of) + (index < parallel % of ? 1 : 0);
  return index === 0 ? Math.max(1, even) : even;
}
