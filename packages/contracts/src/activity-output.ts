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
  /** Where the copy's log stands; undefined: it writes none. `rows`: skipped rows alone. */
  readonly log?: { readonly path: string; readonly form: 'rows' | 'session' };
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
    ...(filesIn ? { filesSkipped: receipt.filesSkipped ?? 0 } : {}),
    ...(isTabular(facts) ? rows : {}),
    sourcePeakConnections: details.sourcePeakConnections ?? details.parallelCopies,
    sinkPeakConnections: details.sinkPeakConnections ?? details.parallelCopies,
    copyDuration: seconds(facts.durationMs),
    throughput,
    errors: [],
    effectiveIntegrationRuntime: facts.gatewayName,
    usedParallelCopies: details.parallelCopies,
    durationInQueue: { integrationRuntimeQueue: seconds(facts.queuedMs) },
    executionDetails: [executionDetails(details, facts)],
    billingReference: billingReference(facts),
    perfRecommendation: perfRecommendations(receipt, details, facts),
    ...logFields(receipt, facts),
    // Of tables Data Factory verifies counts, which the server itself gives for every chunk; of files only what was read again counts.
    dataConsistencyVerification: {
      VerificationResult: verificationOf(receipt, facts),
      // A copy that finds inconsistent data fails, unless it may leave such files out.
      ...(facts.validateDataConsistency ? { InconsistentData: (receipt.filesSkipped ?? 0) > 0 ? 'Skipped' : 'None' } : {}),
    },
    receipt: receiptJson(receipt),
  };
}

function verificationOf(receipt: Receipt, { sinkFormat, validateDataConsistency }: CopyOutputFacts): string {
  if (!validateDataConsistency) return 'NotVerified';
  const isCounted = sinkFormat === 'Table' && receipt.rowsRead === receipt.rowsWritten + receipt.rowsSkipped;
  return isCounted || receipt.verification === 'reread' ? 'Verified' : 'Unsupported';
}

function receiptJson({ targets, ...receipt }: Receipt): JsonObject {
  const listed = targets?.map(({ path, chunks }) => ({ path, chunks: chunks.map((chunk) => ({ ...chunk })) }));
  return {
    ...receipt, attempts: [...receipt.attempts], finishedBy: { ...receipt.finishedBy },
    ...(listed === undefined ? {} : { targets: listed }),
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
          ...(details.firstByteMs === undefined ? {} : { timeToFirstByte: seconds(details.firstByteMs) }),
          listingSource: { type: facts.sourceType, workingDuration: seconds(details.planMs) },
          readingFromSource: { type: facts.sourceType, workingDuration: seconds(details.readMs) },
          writingToSink: { type: facts.sinkType, workingDuration: seconds(details.writeMs) },
          waitingForMemory: { workingDuration: seconds(details.memoryWaitMs ?? 0) },
          finishing: { type: facts.sinkType, workingDuration: seconds(details.finishMs) },
        },
      },
    },
    detailedDurations: {
      queuingDuration: seconds(facts.queuedMs),
      ...(details.firstByteMs === undefined ? {} : { timeToFirstByte: seconds(details.firstByteMs) }),
      transferDuration: seconds(transferMs),
    },
  };
}

/** Data Factory names the log of skipped rows by its own field. */
function logFields(receipt: Receipt, { log }: CopyOutputFacts): JsonObject {
  if (log === undefined || (log.form === 'rows' && receipt.rowsSkipped === 0)) return {};
  return log.form === 'rows' ? { redirectRowPath: log.path } : { logFilePath: log.path };
}

/** Whoever reads it finds the shape that Data Factory gives; nothing is billed here. */
function billingReference({ durationMs }: CopyOutputFacts): JsonObject {
  const duration = Math.round((durationMs / 3_600_000) * 1e6) / 1e6;
  return { activityType: 'DataMovement', billableDuration: [{ meterType: 'SelfhostedIR', duration, unit: 'Hours' }] };
}

const longQueueMs = 60_000;
const manySkippedRows = 1000;

/** What could make the next run quicker, from where the time of this one went. */
function perfRecommendations(receipt: Receipt, details: AttemptDetails, facts: CopyOutputFacts): JsonObject[] {
  const tips: JsonObject[] = [];
  const tip = (rule: string, text: string): void => void tips.push({ Tip: text, ReferUrl: '', RuleName: rule });
  if (facts.queuedMs > longQueueMs && facts.queuedMs > facts.durationMs) {
    tip('SelfHostedIRLongQueue', 'The copy waited longer than it ran. Raise the limit of concurrent jobs of the nodes, or add a node.');
  }
  if (receipt.rowsSkipped > manySkippedRows) {
    const skipped = `${receipt.rowsSkipped} rows were skipped, which takes time.`;
    tip('SkipIncompatibleRows', `${skipped} Correct them at the source or change the mapping.`);
  }
  if ((details.memoryWaitMs ?? 0) > details.copyMs / 2 && details.copyMs > 1000) {
    tip('BuffersExhausted', 'The copy waited mostly for free buffers, which slow parts of the sink held. Lower parallelCopies.');
  }
  return tips;
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
