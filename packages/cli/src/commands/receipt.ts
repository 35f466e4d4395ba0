import { readFile } from 'node:fs/promises';
import { firstLine } from '@dmg/base';
import { exitCodes } from '@dmg/lifecycle';
import type { Receipt } from '@dmg/model';
import type { Context } from '../context.ts';
import { cliErrors } from '../errors.ts';
import type { Output } from '../output.ts';
import { checkReceipt, looksLikeReceipt, type ReceiptFindings } from '../receipt-checks.ts';
import { rereadTargets } from '../receipt-reread.ts';
import { readState } from './runs.ts';

/** `dmg receipt show RUN`: what can be saved, and verified later. */
export async function showReceipts(runId: string, context: Context, output: Output): Promise<void> {
  const { activities } = await readState(runId, context);
  const receipts = activities.flatMap(({ activityName, output: said }) =>
    (said?.['receipt'] === undefined ? [] : [{ activityName, receipt: said['receipt'] }]));
  if (receipts.length === 0) throw cliErrors.NO_RECEIPT.create({ file: `run ${runId}`, reason: 'no copy of it has succeeded' });
  output.result({ runId, receipts }, () => JSON.stringify({ runId, receipts }, undefined, 2));
}

interface Verdict extends ReceiptFindings {
  readonly jobId: string;
  readonly verified: boolean;
}

/** `dmg receipt verify FILE [--reread FOLDER]`: every receipt in a file, or on standard input (`-`). Returns the exit code. */
export async function verifyReceipts(file: string, folder: string | undefined, output: Output): Promise<number> {
  const verdicts: Verdict[] = [];
  for (const receipt of receiptsIn(await readJson(file))) verdicts.push(await verdictOf(receipt, folder));
  if (verdicts.length === 0) throw cliErrors.NO_RECEIPT.create({ file, reason: 'it holds none' });
  const verified = verdicts.every((verdict) => verdict.verified);
  output.result({ verified, receipts: verdicts }, () => verdicts.map(describe).join('\n'));
  return verified ? exitCodes.ok : exitCodes.failed;
}

async function verdictOf(value: Record<string, unknown>, folder: string | undefined): Promise<Verdict> {
  const own = checkReceipt(value);
  // What is wrong by itself says nothing about files.
  const again = folder === undefined || own.problems.length > 0
    ? { problems: [], unchecked: [] } : await rereadTargets(value as Record<string, unknown> & Receipt, folder);
  const problems = [...own.problems, ...again.problems];
  const jobId = typeof value['jobId'] === 'string' ? value['jobId'] : '';
  return { jobId, verified: problems.length === 0, problems, unchecked: [...own.unchecked, ...again.unchecked] };
}

function describe({ jobId, verified, problems, unchecked }: Verdict): string {
  return [
    `receipt of job ${jobId}: ${verified ? 'verified' : 'does not hold'}`,
    ...problems.map((problem) => `  wrong: ${problem}`),
    ...unchecked.map((missing) => `  not checked: ${missing}`),
  ].join('\n');
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file === '-' ? '/dev/stdin' : file, 'utf8')) as unknown;
  } catch (error) {
    throw cliErrors.NO_RECEIPT.create({ file, reason: firstLine(error) }, { cause: error });
  }
}

/** Receipts wherever they stand: alone, in the output of an activity, in the JSON of a run. */
function receiptsIn(value: unknown): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null) return [];
  if (looksLikeReceipt(value)) return [value];
  return Object.values(value).flatMap(receiptsIn);
}
