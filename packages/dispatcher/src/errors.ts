import { defineErrors } from '@dmg/base';

export const dispatcherErrors = defineErrors('DISPATCHER', {
  UNREADABLE_MESSAGE: {
    category: 'system',
    retry: 'never',
    scope: 'job',
    message: 'Cannot read message {messageId}: {reason}.',
    fix: 'The control plane sends the job again. If it comes back the same, the versions of control plane and node do not fit.',
  },
  LEDGER_TAKEN: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot write to the ledger: {reason}.',
    fix: 'Redis lost its data, or another dispatcher took over. The node asks for a new epoch by itself.',
  },
  HELLO_REFUSED: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot lead: node {nodeName} already obeys epoch {known}.',
    fix: 'The node asks for a larger epoch by itself.',
  },
  STOPPED: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot lead: the dispatcher was stopped, or has lost its right to act.',
    fix: 'Nothing: another node leads, or this one does when it is started again.',
  },
});
