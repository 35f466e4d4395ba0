import { defineErrors } from '@dmg/base';

/** Errors that every connector may raise; the engine knows these codes. */
export const connectorErrors = defineErrors('CONNECTOR', {
  SOURCE_NOT_FOUND: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {path}: it does not exist in {store}.',
    fix: 'Check the folder and file name of the source dataset and the linked service it uses.',
  },
  /** With `missing: true` where it is known to be gone. */
  SOURCE_CHANGED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {path}: it was changed, replaced or removed while it was copied.',
    fix: 'Copy files only after their writer has closed them, then run the pipeline again.',
  },
  TARGET_CHANGED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot publish {path}: another writer changed it while the copy ran.',
    fix: 'Make sure that only one job writes this target at a time, then run the pipeline again.',
  },
  TARGET_BLOCKED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {path}: {reason}.',
    fix: '{remedy}',
  },
  ACCESS_DENIED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot access {path}: {store} refused ({reason}).',
    fix: 'Check the credentials of the linked service and the permissions they have on this path.',
  },
  UNREACHABLE: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot reach {store}: {reason}.',
    fix: 'Check that the store is running and reachable from this node; the copy is tried again by the retry policy.',
  },
  NO_SPACE: {
    category: 'config', retry: 'never', scope: 'attempt',
    message: 'Cannot write {path}: no space is left in {store}.',
    fix: 'Free space or choose another target; what was copied so far is kept for a retry.',
  },
  BAD_PATH: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the path {path}: {reason}.',
    fix: 'Use a path inside the folder of the linked service, without `..` parts.',
  },
  BAD_SETTING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the setting {name}: {reason}.',
    fix: '{remedy}',
  },
  SNAPSHOT_LOST: {
    category: 'transient', retry: 'never', scope: 'job',
    message: 'Cannot read {path} under the snapshot of the copy: {reason}.',
    fix: 'Run the pipeline again. A copy survives the loss if its sink can begin anew (such as writeMode staged), or if the table has a '
      + 'unique key and onSnapshotLost of the source is perChunk.',
  },
  /** Another attempt is writing it, and gets on: no failure, but something to come back to. */
  CHUNK_BUSY: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot write chunk {chunk} of {path} now: another attempt of this job is writing it.',
    fix: 'Nothing needs to be done: it is looked at again until the other attempt has written it, or has stopped.',
  },
  TOO_LARGE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {path}: {sizeBytes} bytes are more than {store} takes ({limitBytes}).',
    fix: 'Split the source, or choose another store.',
  },
  JOB_CLOSED: {
    category: 'transient', retry: 'never', scope: 'attempt',
    message: 'Cannot write for job {jobId}: it is already {phase} at the sink.',
    fix: 'Nothing needs to be done: another attempt has ended this job.',
  },
  MARKS_MISSING: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot finish job {jobId}: {missing} of its chunks are not at the sink.',
    fix: 'Nothing needs to be done: the missing chunks are copied again.',
  },
});
