import type { Fault } from '@dmg/base';
import type { AttemptDetails, DataFormat, JsonObject, Receipt } from '@dmg/model';

type FormatName = DataFormat['type'];

/** What receipt and details do not say. */
export interface CopyOutputFacts {
  readonly gatewayName: string;
  /** Types of the linked services: `FileServer`, `AzureBlobStorage`. */
  readonly sourceType: string;
  readonly sinkType: string;
  readonly sourceFormat: FormatName;
  readonly sinkFormat: FormatName;
  readonly validateDataConsistency: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly queuedMs: number;
  readonly durationMs: number;
}

/** True where rows are counted; false where bytes are copied as they are. */
export function isTabular({ sourceFormat, sinkFormat }: Pick<CopyOutputFacts, 'sourceFormat' | 'sinkFormat'>): boolean {
  return sourceFormat !== 'Binary' || sinkFormat !== 'Binary';
}

/**
 * `output` of a finished Copy activity, with the field names of Data Factory, and the receipt. Durations are seconds, throughput KB/s.
 * Files are counted where there are files: not at the end that is a table.
 */
export function copyActivityOutput(receipt: Receipt, details: AttemptDetails, facts: CopyOutputFacts): JsonObject {
  const seconds = (ms: number): number => Math.ceil(ms / 1000);
  const throughput = Math.round((receipt.bytesRead / 1024 / Math.max(facts.durationMs / 1000, 0.001)) * 1000) / 1000;
  const [filesIn, filesOut] = [facts.sourceFormat !== 'Table', facts.sinkFormat !== 'Table'];
  const rows = { rowsRead: receipt.rowsRead, rowsCopied: receipt.rowsWritten, rowsSkipped: receipt.rowsSkipped };
  return {
    dataRead: receipt.bytesRead,
    dataWritten: receipt.bytesWritten,
    ...(filesIn ? { filesRead: receipt.filesRead } : {}),
    ...(filesOut ? { filesWritten: receipt.filesWritten } : {}),
    ...(filesIn ? { filesSkipped: 0 } : {}),
    ...(isTabular(facts) ? rows : {}),
    sourcePeakConnections: details.parallelCopies,
    sinkPeakConnections: details.parallelCopies,
    copyDuration: seconds(facts.durationMs),
    throughput,
    errors: [],
    effectiveIntegrationRuntime: facts.gatewayName,
    usedParallelCopies: details.parallelCopies,
    durationInQueue: { integrationRuntimeQueue: seconds(facts.queuedMs) },
    executionDetails: [executionDetails(details, facts)],
    // `Verified` is said only where the sink was read again; a check of what was handed over is on the receipt.
    dataConsistencyVerification: {
      VerificationResult: !facts.validateDataConsistency ? 'NotVerified' : receipt.verification === 'reread' ? 'Verified' : 'Unsupported',
    },
    receipt: { ...receipt, attempts: [...receipt.attempts], finishedBy: { ...receipt.finishedBy } },
  };
}

function executionDetails(details: AttemptDetails, facts: CopyOutputFacts): JsonObject {
  const seconds = (ms: number): number => Math.ceil(ms / 1000);
  const transferMs = details.planMs + details.copyMs + details.finishMs;
  return {
    source: { type: facts.sourceType },
    sink: { type: facts.sinkType },
    status: 'Succeeded',
    start: facts.startedAt,
    duration: seconds(facts.durationMs),
    usedParallelCopies: details.parallelCopies,
    profile: {
      queue: { status: 'Completed', duration: seconds(facts.queuedMs) },
      transfer: {
        status: 'Completed',
        duration: seconds(transferMs),
        details: {
          listingSource: { type: facts.sourceType, workingDuration: seconds(details.planMs) },
          readingFromSource: { type: facts.sourceType, workingDuration: seconds(details.readMs) },
          writingToSink: { type: facts.sinkType, workingDuration: seconds(details.writeMs) },
        },
      },
    },
    detailedDurations: { queuingDuration: seconds(facts.queuedMs), transferDuration: seconds(transferMs) },
  };
}

export interface ActivityError {
  readonly errorCode: string;
  readonly message: string;
  readonly failureType: 'UserError' | 'SystemError';
  /** The activity's name. */
  readonly target: string;
  readonly details: string;
}

/** `error` of a failed activity: the code is stable, the message says what is wrong and what to do. */
export function activityError(fault: Fault, activityName: string): ActivityError {
  return {
    errorCode: fault.code,
    message: `${fault.message} ${fault.fix}`.trim(),
    failureType: fault.category === 'config' ? 'UserError' : 'SystemError',
    target: activityName,
    details: fault.detail ?? '',
  };
}
