import { defineErrors } from '@dmg/base';

export const controlPlaneErrors = defineErrors('CONTROLPLANE', {
  DATABASE_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use the database {path}: {reason}.',
    fix: 'If it is locked, another control plane runs on this state folder: stop it. '
      + 'Else choose a folder that this user may write, on a disk with free space.',
  },
  OTHER_MASTER_SECRET: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot start: the database was made under another master secret.',
    fix: 'Give the master secret that belongs to this state folder (its file master-secret, or DMG_MASTER_SECRET as it was).',
  },
  PORT_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot listen on {host}:{port}: {reason}.',
    fix: 'Stop what uses the port, or choose another with --port or DMG_CONTROL_PLANE_PORT (0: any free one).',
  },
  NOT_FOUND: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot find {what} {name}.',
    fix: 'Check the name, the factory, the resource group and the subscription; list what is there.',
  },
  ETAG_DIFFERS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot change {what} {name}: it is not the version that If-Match names.',
    fix: 'Read it again and apply the change to what is there now.',
  },
  NAME_REFUSED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the name {name} for {what}: {reason}.',
    fix: 'Use {allowed}.',
  },
  BODY_REFUSED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the request body: {path} {reason}.',
    fix: 'Correct the body; the REST API of Microsoft.DataFactory, version 2018-06-01, describes it.',
  },
  GATEWAY_KIND: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot create the integration runtime {name}: its type is {type}.',
    fix: 'Only the type SelfHosted is run here.',
  },
  STILL_USED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot delete {what} {name}: {count} of its activity runs have not ended.',
    fix: 'Cancel them or wait for their end, then delete it.',
  },
  UNKNOWN_GATEWAY: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot run the activity {activity}: the factory has no integration runtime named {gateway}.',
    fix: 'Create it, or name another one in `connectVia` of the linked service.',
  },
  NO_NODE: {
    category: 'transient', retry: 'backoff', scope: 'job',
    message: 'Cannot send the activity yet: no node is registered with the gateway {gateway}.',
    fix: 'Register a node with one of its keys (listAuthKeys, `dmg node register`).',
  },
  SECRET_MISSING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the linked service {linkedService}: the value of its secret {property} is not stored.',
    fix: 'Save the linked service with the secret itself; a mask stands only for a secret that was saved before.',
  },
  TOO_LARGE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read the request: its body has more than {limitBytes} bytes.',
    fix: 'Send smaller definitions.',
  },
  UNAUTHENTICATED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot answer: the bearer token is missing or not valid.',
    fix: 'Send `Authorization: Bearer …` with the token from the file that the control plane names when it starts.',
  },
  API_VERSION: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot answer: the api-version is {version}.',
    fix: 'Add the query parameter api-version=2018-06-01.',
  },
  NO_ROUTE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot answer {method} {path}: this operation is not offered here.',
    fix: 'The README of the control plane lists the operations of the REST API that are built.',
  },
  UNEXPECTED: {
    category: 'system', retry: 'backoff', scope: 'job',
    message: 'Cannot answer: an unexpected error occurred. The log of the control plane has it under this request id.',
    fix: 'Try again. If it stays, report the request id and the log.',
  },
  KEY_REFUSED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot register: the gateway key is not valid here.',
    fix: 'It may have been regenerated, or its gateway deleted. Take a fresh key from the gateway (listAuthKeys).',
  },
  GATEWAY_FULL: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot register {node}: the gateway {gateway} has {count} nodes already ({nodes}).',
    fix: 'Delete a node that is gone for good, then register again. A node that comes back under its own name needs no place.',
  },
  MACHINE_TAKEN: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot register {node}: its machine {machine} already carries the node {other} of the gateway {gateway}.',
    fix: 'Two nodes on one machine fail together and share its memory. If that is wanted, start this one with --share-machine '
      + '(DMG_SHARE_MACHINE=1); if {other} is gone for good, delete it first.',
  },
  VERSION_TOO_OLD: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot register {node}: it runs version {version}, which is older than version {required} of the gateway {gateway}.',
    fix: 'Update this node to version {required} or newer, then register it again.',
  },
  NODE_NAME_TAKEN: {
    category: 'config', retry: 'never', scope: 'node',
    message:
      'Cannot register {node}: another machine or installation works under this name in the gateway {gateway}, ' +
      'heard {seconds} s ago.',
    fix:
      'Give this one another name (--name). If it replaces the other, stop that first and register again {waitSeconds} s later, ' +
      'or delete it.',
  },
  NODE_NOT_REGISTERED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot answer this node: its token is not valid.',
    fix: 'It was deleted, or the key it registered with was regenerated. Register it again with a fresh key.',
  },
  REGISTRATION_ENDED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot {what} {node}: its registration has ended, because the key with which it registered was regenerated.',
    fix: 'Register it again with a fresh key, or delete it.',
  },
  LIMIT_TOO_HIGH: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot set the limit of {node} to {limit} concurrent jobs: its machine bears at most {maximum}.',
    fix: 'Use a number from 1 to {maximum}, or add a node.',
  },
  RUN_TIMED_OUT: {
    category: 'transient', retry: 'never', scope: 'job',
    message: 'Cannot wait longer for this activity: no end was reported {seconds} s after it started, which is past its timeout.',
    fix: 'Look at the node that ran it. The sink was not confirmed as closed: check what it shows. '
      + 'Raise policy.timeout if the copy needs longer.',
  },
  RUN_EXPIRED: {
    category: 'transient', retry: 'never', scope: 'job',
    message: 'Cannot run this activity any more: no node knows it, and it was accepted more than {days} days ago.',
    fix: 'Start the pipeline again.',
  },
  POISON_MESSAGE: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot deliver this activity: the queue gave its message up {count} times, last because of {reason}.',
    fix: 'Look at the log of the dispatcher for that reason; start the pipeline again when it is mended.',
  },
});
