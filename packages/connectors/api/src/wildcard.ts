/**
 * Data Factory's wildcards within one name: `*` is any run of characters, `?` is one character or none, `^` takes the next
 * character as it is. Linear in pattern × text, so no pattern can stall a node.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  const tokens = tokenize(pattern);
  let states = closure(new Set([0]), tokens);
  for (const character of text) {
    const next = new Set<number>();
    for (const state of states) {
      const token = tokens[state];
      if (token === undefined) continue;
      if (token.kind === 'any') next.add(state);
      else if (token.kind === 'one' || token.character === character) next.add(state + 1);
    }
    if (next.size === 0) return false;
    states = closure(next, tokens);
  }
  return states.has(tokens.length);
}

export function hasWildcard(pattern: string): boolean {
  return tokenize(pattern).some((token) => token.kind !== 'character');
}

/** The text that a pattern without wildcards stands for (its escapes taken away). */
export function literalOf(pattern: string): string {
  return tokenize(pattern).map((token) => (token.kind === 'character' ? token.character : '')).join('');
}

type Token = { kind: 'any' } | { kind: 'one' } | { kind: 'character'; character: string };

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (escaped) {
      tokens.push({ kind: 'character', character });
      escaped = false;
    } else if (character === '^') escaped = true;
    else if (character === '*') tokens.push({ kind: 'any' });
    else if (character === '?') tokens.push({ kind: 'one' });
    else tokens.push({ kind: 'character', character });
  }
  if (escaped) tokens.push({ kind: 'character', character: '^' });
  return tokens;
}

/** States reachable without taking a character: `*` and `?` may stand for nothing. */
function closure(states: Set<number>, tokens: readonly Token[]): Set<number> {
  for (const state of states) {
    const token = tokens[state];
    if (token !== undefined && token.kind !== 'character') states.add(state + 1);
  }
  return states;
}
