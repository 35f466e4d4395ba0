import { defineErrors } from '@dmg/base';

export const nodeErrors = defineErrors('NODE', {
  NOT_REGISTERED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use this node: it is not registered with a gateway.',
    fix: 'Give a gateway key in DMG_GATEWAY_KEY, or run `dmg node register --key-file FILE` first.',
  },
  OTHER_GATEWAY: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use this gateway key: the node is registered with another gateway ({gatewayName}).',
    fix: 'Use a state folder of its own for each gateway (--state), or remove {stateFolder} to leave the old gateway.',
  },
  STATE_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use the state folder {folder}: {reason}.',
    fix: 'Choose a folder that this user may read and write with --state or DMG_STATE.',
  },
  STATE_LOCKED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot start: another node process uses the state folder {folder}.',
    fix: 'Stop that process, or give this node a state folder of its own.',
  },
  REGISTRATION_REFUSED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot go on as node {nodeName}: its registration with the gateway {gatewayName} has ended.',
    fix: 'Its key was regenerated or the node was deleted. Register it with a current key: `dmg node register --key-file FILE`.',
  },
  PLAIN_TEXT_HOST_REFUSED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot listen on {host} without encryption: everybody on the network could read and forge what nodes say.',
    fix: 'Use --grpc-host 127.0.0.1 with --encryption none, or leave the encryption on.',
  },
  CREDENTIAL_KEY_MISSING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot decrypt a credential of this job: it was encrypted for another key.',
    fix: 'Save the linked service again, so that its secret is encrypted for the key this gateway has now.',
  },
  UNKNOWN_CONNECTOR: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy: this node has no connector named {connector}.',
    fix: 'Update the node to the version of the control plane.',
  },
});
