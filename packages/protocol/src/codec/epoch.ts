import type { Epoch } from '@dmg/model';
import type { Epoch as WireEpoch, Epoch__Output } from '../generated/dmg/cluster/v1/Epoch.ts';
import { readHex128, readInt64, readMessage, writeInt64 } from './fields.ts';

export function encodeEpoch({ n, token }: Epoch): WireEpoch {
  return { n: writeInt64('Epoch.n', n), token } satisfies Required<WireEpoch>;
}

export function decodeEpoch(field: string, wire: Epoch__Output | null | undefined): Epoch {
  const { n, token } = readMessage(field, wire);
  return { n: readInt64('Epoch.n', n), token: readHex128('Epoch.token', token) };
}
