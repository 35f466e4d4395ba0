import { defineErrors } from '@dmg/base';

export const protocolErrors = defineErrors('PROTOCOL', {
  BAD_FIELD: {
    category: 'system', retry: 'reconnect', scope: 'node',
    message: 'Cannot understand what another node sent: {field} is {problem}.',
    fix: 'Check that both nodes are of releases that work together; if they are, report it with the logs of both nodes.',
  },
  UNSENDABLE: {
    category: 'system', retry: 'never', scope: 'attempt',
    message: 'Cannot send {field} to another node: it is {problem}.',
    fix: 'This is a defect of the gateway. Report it with the activity id and the log of this node.',
  },
  UNREACHABLE: {
    category: 'transient', retry: 'backoff', scope: 'node',
    message: 'Cannot reach node {nodeName}: {reason}.',
    fix: 'Check that the node runs and that this machine may connect to its gRPC port. The stream is built again by itself.',
  },
  CANNOT_LISTEN: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot listen for other nodes on {host} port {port}: {reason}.',
    fix: 'Choose a free port and an address of this machine, or 0 for any free port.',
  },
  PLAIN_TEXT_REFUSED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot speak to other nodes without encryption at {host}: it is not a loopback address (127.0.0.0/8 or ::1).',
    fix: 'Use encryption mtls, which needs no certificate of yours, or keep all nodes on this machine.',
  },
  NO_IDENTITY: {
    category: 'system', retry: 'never', scope: 'node',
    message: 'Cannot speak to other nodes with encryption mtls: this node has no certificate.',
    fix: 'Register the node: the control plane issues its certificate.',
  },
  CLOSED: {
    category: 'transient', retry: 'never', scope: 'node',
    message: 'Cannot speak to node {nodeName}: this node is stopping, or that one is no member of the gateway any more.',
    fix: 'Nothing needs to be done.',
  },
});
