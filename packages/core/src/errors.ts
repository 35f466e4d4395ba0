import { defineErrors } from '@dmg/base';

export const coreErrors = defineErrors('CORE', {
  CRASHES_EXECUTOR: {
    category: 'system',
    retry: 'never',
    scope: 'job',
    message: 'Cannot run job {jobId}: {deaths} executor processes died under it, the last one because {reason}.',
    fix: 'Look into the node\'s log for this job id. When memory ran out, lower parallelCopies or add memory, then run the pipeline again.',
  },
  SIGNATURE_REFUSED: {
    category: 'config',
    retry: 'never',
    scope: 'job',
    message: 'Cannot run job {jobId}: the nodes refused its signature {refusals} times ({evidence}).',
    fix: 'Register the nodes again, so that they learn the key with which the control plane signs, then run the pipeline again.',
  },
  LEASE_SETTINGS: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot use the lease with {setting}: {reason}.',
    fix: '{remedy}, then start the node again.',
  },
});
