import type { Receipt } from '@dmg/model';
import { bad } from './fields.ts';

const counts = [
  'generation', 'filesRead', 'filesWritten', 'bytesRead', 'bytesWritten', 'rowsRead', 'rowsWritten', 'rowsSkipped', 'chunks',
] as const satisfies readonly (keyof Receipt)[];
const texts = ['jobId', 'guarantee', 'verification', 'consistency', 'hash', 'finishedAt'] as const satisfies readonly (keyof Receipt)[];

export function encodeReceipt(receipt: Receipt): Buffer {
  return Buffer.from(JSON.stringify(receipt), 'utf8');
}

/** Checks the form, not the content: that is the sink's, and only the control plane reads it. Members of a later form are kept. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const receipt = parse(bytes);
  if (typeof receipt !== 'object' || receipt === null) throw bad('Succeeded.receipt', 'not an object');
  const members = receipt as Record<string, unknown>;
  if (members['formatVersion'] !== 1) throw bad('Succeeded.receipt', 'of another format version than 1');
  for (const name of counts) {
    if (!Number.isSafeInteger(members[name]) || Number(members[name]) < 0) throw bad(`Succeeded.receipt.${name}`, 'not a count');
  }
  for (const name of texts) {
    if (typeof members[name] !== 'string' || members[name] === '') throw bad(`Succeeded.receipt.${name}`, 'not a text');
  }
  if (!Array.isArray(members['attempts'])) throw bad('Succeeded.receipt.attempts', 'not a list');
  const finishedBy = members['finishedBy'];
  if (typeof finishedBy !== 'object' || finishedBy === null) throw bad('Succeeded.receipt.finishedBy', 'not an object');
  return receipt as Receipt;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch {
    // What the parser says would show a part of the content.
    throw bad('Succeeded.receipt', 'not JSON');
  }
}
