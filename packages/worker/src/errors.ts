import { defineErrors } from '@dmg/base';

export const workerErrors = defineErrors('WORKER', {
  MEMORY_LIMIT: {
    category: 'system', retry: 'backoff', scope: 'attempt',
    message: 'Cannot go on with the copy: its process used more than {limitMb} MB above an idle one.',
    fix: 'Lower parallelCopies of this activity or raise the memory budget per job of the node. If it repeats, report it as a defect.',
  },
  TIMED_OUT: {
    category: 'config', retry: 'never', scope: 'attempt',
    message: 'Cannot finish the activity: its limit of {timeoutSeconds} s passed.',
    fix: 'Raise policy.timeout of the activity, or copy less at once.',
  },
  NO_PROGRESS: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot go on with the copy: no byte moved for {silentSeconds} s.',
    fix: 'Check that source and sink answer this node; the activity is tried again by its retry policy.',
  },
  NO_HOST: {
    category: 'system', retry: 'never', scope: 'node',
    message: 'Cannot start an executor: it was not started by a node and has no channel to one.',
    fix: 'Start the node instead; it starts its executors by itself.',
  },
  BAD_NODE_ID: {
    category: 'system', retry: 'never', scope: 'node',
    message: 'Cannot use {nodeId} as the id of a node: slot names take up to 64 letters, digits, dots, dashes and underscores.',
    fix: 'Register the node again; the control plane gives it an id.',
  },
  CLOSED: {
    category: 'transient', retry: 'never', scope: 'node',
    message: 'Cannot start the worker: it was closed.',
    fix: 'Nothing needs to be done: the node is shutting down.',
  },
});
