import type { NodeFacts } from '@dmg/model';

/*
 * Heartbeats go over each stream twice a second, and nearly all of them say what the one before has said. So what is made of a heartbeat
 * (its bytes, or what stands in them) is kept for as long as it is the same: an idle node is to cost next to nothing.
 */

/** A longer heartbeat tells of much trouble and will soon be another one. */
const keptBytesMax = 2_048;
/** Four nodes have six streams at most; a node that changes leaves its old heartbeats behind. */
const keptMax = 32;

type Heartbeating = { readonly heartbeat?: object | null | undefined };

/** Facts as the same object for as long as they say the same; all else here goes by that. */
export function steadyFacts(self: () => NodeFacts): () => NodeFacts {
  let kept: { readonly facts: NodeFacts; readonly text: string } | undefined;
  return () => {
    const facts = self();
    const text = JSON.stringify(facts);
    if (kept?.text !== text) kept = { facts, text };
    return kept.facts;
  };
}

/** `make`, which is asked once for each object. */
export function madeOnce<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, V>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
}

/** `serialize`, which makes the bytes of a heartbeat once for each object. Whoever gets them copies them into its own frame. */
export function serializeRepeated<T extends Heartbeating>(serialize: (frame: T) => Buffer): (frame: T) => Buffer {
  const heartbeat = madeOnce(serialize);
  return (frame) => (frame.heartbeat ? heartbeat(frame) : serialize(frame));
}

/** `deserialize`, which gives the same object for the same bytes when they are a heartbeat's. Nobody may change what it gives. */
export function deserializeRepeated<T extends Heartbeating>(deserialize: (bytes: Buffer) => T): (bytes: Buffer) => T {
  const known = new Map<string, T>();
  return (bytes) => {
    if (bytes.length > keptBytesMax) return deserialize(bytes);
    const key = bytes.toString('latin1');
    const kept = known.get(key);
    if (kept !== undefined) return kept;
    const frame = deserialize(bytes);
    if (!frame.heartbeat) return frame;
    known.set(key, frame);
    // The first in a map is what was put there first.
    for (const oldest of known.keys()) {
      if (known.size <= keptMax) break;
      known.delete(oldest);
    }
    return frame;
  };
}
