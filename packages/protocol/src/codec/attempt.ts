import type { AttemptProgress, AttemptStep, RefusalReason, RunningAttempt } from '@dmg/model';
import type { AttemptProgress as WireProgress, AttemptProgress__Output } from '../generated/dmg/cluster/v1/AttemptProgress.ts';
import type { AttemptStep__Output } from '../generated/dmg/cluster/v1/AttemptStep.ts';
import type { ProgressStep__Output } from '../generated/dmg/cluster/v1/ProgressStep.ts';
import type { RefusalReason__Output } from '../generated/dmg/cluster/v1/RefusalReason.ts';
import type { RunningAttempt as WireAttempt, RunningAttempt__Output } from '../generated/dmg/cluster/v1/RunningAttempt.ts';
import { enumCodec, readCount, readInt64, readMessage, readText, writeCount, writeInt64 } from './fields.ts';

export const attemptSteps = enumCodec('AttemptStep', {
  copy: 'ATTEMPT_STEP_COPY', abort: 'ATTEMPT_STEP_ABORT', assist: 'ATTEMPT_STEP_ASSIST', keep: 'ATTEMPT_STEP_KEEP',
} as const satisfies Record<AttemptStep, AttemptStep__Output>);

export const refusalReasonWords = enumCodec('RefusalReason', {
  STALE_EPOCH: 'REFUSAL_REASON_STALE_EPOCH',
  NO_FREE_SLOT: 'REFUSAL_REASON_NO_FREE_SLOT',
  NO_MEMORY: 'REFUSAL_REASON_NO_MEMORY',
  DRAINING: 'REFUSAL_REASON_DRAINING',
  NOT_ELIGIBLE: 'REFUSAL_REASON_NOT_ELIGIBLE',
  BAD_SIGNATURE: 'REFUSAL_REASON_BAD_SIGNATURE',
  ALREADY_RUNNING: 'REFUSAL_REASON_ALREADY_RUNNING',
} as const satisfies Record<RefusalReason, RefusalReason__Output>);

const progressSteps = enumCodec('ProgressStep', {
  plan: 'PROGRESS_STEP_PLAN', copy: 'PROGRESS_STEP_COPY', finish: 'PROGRESS_STEP_FINISH', abort: 'PROGRESS_STEP_ABORT',
} as const satisfies Record<AttemptProgress['step'], ProgressStep__Output>);

export function encodeProgress(progress: AttemptProgress): WireProgress {
  const { assistantsWanted, snapshotHeld } = progress;
  const fields = {
    step: progressSteps.encode(progress.step),
    bytesTotal: writeInt64('AttemptProgress.bytes_total', progress.bytesTotal),
    bytesRead: writeInt64('AttemptProgress.bytes_read', progress.bytesRead),
    bytesWritten: writeInt64('AttemptProgress.bytes_written', progress.bytesWritten),
    rowsWritten: writeInt64('AttemptProgress.rows_written', progress.rowsWritten),
    filesTotal: writeInt64('AttemptProgress.files_total', progress.filesTotal),
    filesWritten: writeInt64('AttemptProgress.files_written', progress.filesWritten),
  } satisfies Required<Omit<WireProgress, OptionalProgress | `_${OptionalProgress}`>>;
  return {
    ...fields,
    ...(assistantsWanted === undefined
      ? {} : { assistantsWanted: writeCount('AttemptProgress.assistants_wanted', assistantsWanted) }),
    ...(snapshotHeld === undefined ? {} : { snapshotHeld }),
  };
}

type OptionalProgress = 'assistantsWanted' | 'snapshotHeld';

export function decodeProgress(field: string, wire: AttemptProgress__Output | null | undefined): AttemptProgress {
  const progress = readMessage(field, wire);
  const { assistantsWanted, snapshotHeld } = progress;
  return {
    step: progressSteps.decode(progress.step),
    bytesTotal: readInt64('AttemptProgress.bytes_total', progress.bytesTotal),
    bytesRead: readInt64('AttemptProgress.bytes_read', progress.bytesRead),
    bytesWritten: readInt64('AttemptProgress.bytes_written', progress.bytesWritten),
    rowsWritten: readInt64('AttemptProgress.rows_written', progress.rowsWritten),
    filesTotal: readInt64('AttemptProgress.files_total', progress.filesTotal),
    filesWritten: readInt64('AttemptProgress.files_written', progress.filesWritten),
    ...(assistantsWanted === undefined ? {} : { assistantsWanted }),
    ...(snapshotHeld === undefined ? {} : { snapshotHeld }),
  };
}

export function encodeRunningAttempt(attempt: RunningAttempt): WireAttempt {
  const { jobId, tryNumber, attemptId, step, progress, signedJob } = attempt;
  const fields = {
    jobId,
    tryNumber: writeCount('RunningAttempt.try_number', tryNumber),
    attemptId,
    step: attemptSteps.encode(step),
    progress: progress === undefined ? null : encodeProgress(progress),
  } satisfies Required<Omit<WireAttempt, 'signedJob' | '_signedJob'>>;
  return signedJob === undefined ? fields : { ...fields, signedJob };
}

export function decodeRunningAttempt(wire: RunningAttempt__Output): RunningAttempt {
  const { jobId, tryNumber, attemptId, step, progress, signedJob } = wire;
  const attempt: RunningAttempt = {
    jobId: readText('RunningAttempt.job_id', jobId),
    tryNumber: readCount('RunningAttempt.try_number', tryNumber),
    attemptId: readText('RunningAttempt.attempt_id', attemptId),
    step: attemptSteps.decode(step),
    progress: progress === null ? undefined : decodeProgress('RunningAttempt.progress', progress),
  };
  return signedJob === undefined ? attempt : { ...attempt, signedJob };
}
