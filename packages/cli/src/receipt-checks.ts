import { type Receipt, type ReceiptChunk, receiptDigest } from '@dmg/model';

/** What is wrong with a receipt, in sentences; and what it does not hold, so that nobody could check it. */
export interface ReceiptFindings {
  readonly problems: readonly string[];
  readonly unchecked: readonly string[];
}

const counts = [
  'generation', 'filesRead', 'filesWritten', 'bytesRead', 'bytesWritten', 'rowsRead', 'rowsWritten', 'rowsSkipped', 'chunks',
] as const;
const texts = ['jobId', 'hash', 'finishedAt'] as const;
const words = {
  guarantee: ['exactlyOnce', 'atLeastOnce', 'atMostOnce'], verification: ['acknowledged', 'reread'], consistency: ['snapshot', 'perChunk'],
} as const;

/** Does a value say that it is a receipt? Whether it is a good one, `checkReceipt` says. */
export function looksLikeReceipt(value: unknown): value is Record<string, unknown> {
  return isRecord(value) && 'formatVersion' in value && 'jobId' in value && 'guarantee' in value && 'finishedBy' in value;
}

/** Checks a receipt by itself: its shape, its digest, and that its chunks follow each other and add up to what it says. */
export function checkReceipt(value: Record<string, unknown>): ReceiptFindings {
  const shape = shapeProblems(value);
  if (shape.length > 0) return { problems: shape, unchecked: [] };
  const receipt = value as Record<string, unknown> & Receipt;
  const problems: string[] = [];
  const unchecked: string[] = [];
  if (receipt.digest === undefined) unchecked.push('it has no digest (receipts of earlier versions have none)');
  else if (receipt.digest !== receiptDigest(receipt)) problems.push('its digest does not fit its content: it was changed');
  if (receipt.rowsRead !== receipt.rowsWritten + receipt.rowsSkipped) {
    problems.push(`${receipt.rowsRead} rows were read, but ${receipt.rowsWritten} written and ${receipt.rowsSkipped} skipped`);
  }
  if (receipt.targets === undefined) unchecked.push(`it does not list its ${receipt.chunks} chunks, so that only its totals are known`);
  else problems.push(...chunkProblems(receipt, receipt.targets.flatMap((target) => target.chunks)), ...tileProblems(receipt));
  return { problems, unchecked };
}

function shapeProblems(value: Record<string, unknown>): string[] {
  const problems: string[] = [];
  if (value['formatVersion'] !== 1) problems.push('its formatVersion is not 1');
  for (const name of counts) if (!isCount(value[name])) problems.push(`${name} is not a count`);
  for (const name of texts) if (typeof value[name] !== 'string' || value[name] === '') problems.push(`${name} is not a text`);
  for (const [name, allowed] of Object.entries(words)) {
    if (!(allowed as readonly unknown[]).includes(value[name])) problems.push(`${name} is none of ${allowed.join(', ')}`);
  }
  if (!isHash(value['hash'])) problems.push('hash has not 16 hex digits');
  if (!Array.isArray(value['attempts'])) problems.push('attempts is not a list');
  if (!isRecord(value['finishedBy'])) problems.push('finishedBy is not an object');
  const targets = value['targets'];
  const isListed = Array.isArray(targets) && targets.every(isTarget);
  if (targets !== undefined && !isListed) problems.push('targets do not have the form of a receipt');
  return problems;
}

function isTarget(value: unknown): boolean {
  return isRecord(value) && typeof value['path'] === 'string' && Array.isArray(value['chunks']) && value['chunks'].every((chunk: unknown) =>
    isRecord(chunk) && [chunk['sourceStart'], chunk['sourceEnd'], chunk['bytes'], chunk['rows'], chunk['rowsSkipped'] ?? 0].every(isCount)
    && isHash(chunk['hash']));
}

/** Counts and hashes of all chunks against the totals. */
function chunkProblems(receipt: Receipt, chunks: readonly ReceiptChunk[]): string[] {
  const sum = (of: (chunk: ReceiptChunk) => number): number => chunks.reduce((total, chunk) => total + of(chunk), 0);
  const pairs: readonly (readonly [string, number, number])[] = [
    ['chunks', chunks.length, receipt.chunks],
    ['bytes written', sum((chunk) => chunk.bytes), receipt.bytesWritten],
    ['rows written', sum((chunk) => chunk.rows), receipt.rowsWritten],
    ['rows skipped', sum((chunk) => chunk.rowsSkipped ?? 0), receipt.rowsSkipped],
  ];
  const problems = pairs.filter(([, found, said]) => found !== said)
    .map(([what, found, said]) => `its chunks have ${found} ${what}, it says ${said}`);
  const hash = BigInt.asUintN(64, chunks.reduce((total, chunk) => total + BigInt(`0x${chunk.hash}`), 0n)).toString(16).padStart(16, '0');
  if (hash !== receipt.hash.toLowerCase()) problems.push(`the hashes of its chunks add up to ${hash}, it says ${receipt.hash}`);
  return problems;
}

/** In each target a chunk begins where the one before it ended, or at the beginning of the next source. */
function tileProblems({ targets = [] }: Receipt): string[] {
  return targets.flatMap(({ path, chunks }) => {
    const wrong = chunks.findIndex(({ sourceStart, sourceEnd }, index) =>
      sourceEnd < sourceStart || (sourceStart !== 0 && sourceStart !== (chunks[index - 1]?.sourceEnd ?? 0)));
    if (wrong >= 0) return [`chunk ${wrong} of ${path} does not begin where the one before it ended`];
    return chunks.length === 0 ? [`${path} has no chunk`] : [];
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{16}$/i.test(value);
}
