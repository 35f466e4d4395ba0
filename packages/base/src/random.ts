import { randomBytes } from 'node:crypto';

/** Randomness as a port, so that a simulation can replay it. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** A double in [0, 1). */
  unit(): number;
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  unit: () => randomBytes(4).readUInt32LE() / 2 ** 32,
};

/** Deterministic generator (mulberry32) for tests and simulation. Never use it for keys. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    unit: () => next() / 2 ** 32,
    bytes(count) {
      const bytes = new Uint8Array(count);
      for (let index = 0; index < count; index++) bytes[index] = next() & 0xff;
      return bytes;
    },
  };
}
