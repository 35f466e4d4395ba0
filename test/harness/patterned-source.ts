import { type Connector, connectorErrors, type Source } from '@dmg/connector-api';
import type { ConnectorSpec } from '@dmg/model';

/** So many bytes in which a pattern is repeated, cut off at their end. */
export interface Region {
  /** Characters U+0000 to U+00FF, one a byte. */
  readonly pattern: string;
  readonly bytes: number;
}

const spec: ConnectorSpec = {
  name: 'patterned', source: true, sink: false, atomicPublish: 'yes', linkedServices: [], locations: [],
  readSettings: [], writeSettings: [],
};

/** A source of one object whose bytes are made when they are read, so that it may be of any size. */
export function patternedConnector(path: string, regions: readonly Region[]): Connector {
  const sizeBytes = regions.reduce((sum, { bytes }) => sum + bytes, 0);
  const source: Source = {
    kind: 'addressable',
    async *list() {
      yield await Promise.resolve({ path, sizeBytes, identity: `patterned.${sizeBytes}` });
    },
    read(_object, position, into) {
      return Promise.resolve(fill(regions, position, into));
    },
    close: () => Promise.resolve(),
  };
  return {
    spec,
    check: () => Promise.resolve(),
    openSource: () => Promise.resolve(source),
    openSink: () => Promise.reject(connectorErrors.ACCESS_DENIED.create({ path, store: spec.name, reason: 'it is a source' })),
  };
}

/** The bytes from `position` on; returns how many there are. */
function fill(regions: readonly Region[], position: number, into: Uint8Array): number {
  let start = 0;
  let filled = 0;
  for (const { pattern, bytes } of regions) {
    const from = Math.max(position, start) - start;
    const count = Math.min(bytes - from, into.length - filled);
    if (count > 0) {
      const shift = from % pattern.length;
      Buffer.from(into.buffer, into.byteOffset + filled, count).fill(pattern.slice(shift) + pattern.slice(0, shift), 'latin1');
      filled += count;
    }
    start += bytes;
  }
  return filled;
}
