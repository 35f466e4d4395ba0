import { defineErrors } from '@dmg/base';

export const httpsErrors = defineErrors('HTTPS', {
  UNREACHABLE: {
    category: 'transient', retry: 'backoff', scope: 'node',
    message: 'Cannot reach {endpoint}: {reason}.',
    fix: 'Check that it is running, that the address is right and that this machine may connect to it outbound.',
  },
  REFUSED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot {what}: {endpoint} refused ({status} {code}): {reason}',
    fix: '{remedy}',
  },
  UNAVAILABLE: {
    category: 'transient', retry: 'backoff', scope: 'node',
    message: 'Cannot {what}: {endpoint} cannot do it now ({status} {code}): {reason}',
    fix: '{remedy}',
  },
  NOT_UNDERSTOOD: {
    category: 'system', retry: 'backoff', scope: 'node',
    message: 'Cannot {what}: {endpoint} answered {status} with something that is not understood.',
    fix: 'Check that this is a control plane of a fitting version; its log has the request.',
  },
});
