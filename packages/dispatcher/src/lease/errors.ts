import { defineErrors } from '@dmg/base';

export const leaseErrors = defineErrors('LEASE', {
  UNREACHABLE: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot lead: Redis does not answer ({reason}).',
    fix: 'Check that Redis runs and is reachable from this node. Running copies go on; the node asks again by itself.',
  },
  NOT_ELIGIBLE: {
    category: 'config',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot lead: the status of this node does not allow it, and nobody else leads.',
    fix: 'See the status of this node and its remedy.',
  },
  LOST: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot act as dispatcher any longer: Redis says that the lease is not held by this node.',
    fix: 'Another node took over, or Redis lost its data. The node asks for the lease again by itself.',
  },
  EXPIRED: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot act as dispatcher any longer: the lease was not renewed for {leaseMs} ms ({reason}).',
    fix: 'Check Redis and the load of this machine. The node asks for the lease again by itself.',
  },
  GIVEN_BACK: {
    category: 'transient',
    retry: 'backoff',
    scope: 'node',
    message: 'Cannot act as dispatcher any longer: this node gave the lease back ({reason}).',
    fix: 'Nothing: another node leads, or this one does again when it may.',
  },
});
