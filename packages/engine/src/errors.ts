import { defineErrors } from '@dmg/base';

export const engineErrors = defineErrors('ENGINE', {
  TIMEOUT: {
    category: 'config', retry: 'never', scope: 'attempt',
    message: 'Cannot complete the copy: it ran longer than the {limitMs} ms of its policy.',
    fix: 'Raise `policy.timeout` of the activity, or copy less in one run; a retry goes on where this try stood.',
  },
  CONNECTOR_UNKNOWN: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot open the {side}: this node has no connector {connector}.',
    fix: 'Update this node to the version of the gateway, or use a store that it supports.',
  },
  NOT_A_SIDE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use {connector} as the {side} of a copy: it does not support that.',
    fix: 'Choose another store for the {side}.',
  },
  FORMATS_MIXED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {sink}: one side has no columns.',
    fix: 'Give both datasets the type Binary to copy files as they are, or both a format with columns.',
  },
  COPY_BEHAVIOR: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the copyBehavior {value}: it is not known.',
    fix: 'Use PreserveHierarchy, FlattenHierarchy or MergeFiles.',
  },
  ONE_NAME_FOR_MANY: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {files} files to {path}: the sink dataset names a single file.',
    fix: 'Leave `fileName` out of the sink dataset, select one source file, or set copyBehavior to MergeFiles.',
  },
  TARGET_TWICE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {path}: both {first} and {second} would be copied to it.',
    fix: 'Rename one of the source files, or set copyBehavior to PreserveHierarchy.',
  },
  SOURCE_IS_TARGET: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {target}: this path is a source of the same copy.',
    fix: 'Choose another folder or file name for the sink dataset.',
  },
  TOO_MANY_TO_MERGE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot merge {files} files into {path}: {store} takes at most {filesMax} pieces in one target.',
    fix: 'Merge fewer files in one copy, or merge in several steps.',
  },
  MERGE_COLUMNS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot merge {path}: it has the columns {found}, but {first} has {expected}.',
    fix: 'Merge only files with the same columns in the same order, or give a mapping.',
  },
  PLAN_MISMATCH: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot resume job {jobId}: the plan at the sink was made for another definition of the activity.',
    fix: 'Run the pipeline again: a new run is a new job with a plan of its own.',
  },
  PLAN_VERSION: {
    category: 'config', retry: 'never', scope: 'attempt',
    message: 'Cannot resume job {jobId}: the plan at the sink has the format version {version}, which this node does not know.',
    fix: 'Update this node to the version of the gateway; other nodes can go on with the job.',
  },
  MARKS_INVALID: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot finish {path}: the mark of chunk {chunk} does not fit the plan ({reason}).',
    fix: 'Something else changed the work files of this job at the sink. Run the pipeline again.',
  },
  MARKS_VANISH: {
    category: 'system', retry: 'never', scope: 'attempt',
    message: 'Cannot finish job {jobId}: chunks were missing at the sink after they had been written, {rounds} times in a row.',
    fix: 'Make sure that nothing else cleans up or writes the same targets, then run the pipeline again.',
  },
});
