import type { SinkLimits } from './connector.ts';
import { connectorErrors } from './errors.ts';

/**
 * Size of the parts for a target of `sizeBytes` (an upper estimate where the size is not known): the sink's best size, doubled as
 * often as its number of parts requires. Each of `chunks` may end with a part that is not full. Throws `TOO_LARGE`.
 */
export function choosePartBytes(limits: SinkLimits, target: { path: string; sizeBytes: number; chunks: number }, store: string): number {
  for (let partBytes = limits.partBytes; ; partBytes = Math.min(partBytes * 2, limits.partBytesMax)) {
    if (Math.ceil(target.sizeBytes / partBytes) + target.chunks <= limits.partsPerTargetMax) return partBytes;
    if (partBytes >= limits.partBytesMax) {
      const limitBytes = (limits.partsPerTargetMax - target.chunks) * limits.partBytesMax;
      throw connectorErrors.TOO_LARGE.create({ path: target.path, sizeBytes: target.sizeBytes, store, limitBytes });
    }
  }
}
