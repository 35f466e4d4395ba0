import { defineErrors } from '@dmg/base';

export const cliErrors = defineErrors('CLI', {
  USAGE: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot use this command line: {reason}.',
    fix: '`dmg --help` and `dmg COMMAND --help` tell more.',
  },
  NO_CONTEXT: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot tell which control plane to talk to: {file} is not there.',
    fix: 'Start everything on this machine with `dmg up`, or give --endpoint, --ca and --token-file (or DMG_ENDPOINT, DMG_CA, DMG_TOKEN).',
  },
  INCOMPLETE_CONTEXT: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot talk to {endpoint}: {reason}.',
    fix: 'Give --endpoint, --ca and --token-file (or DMG_ENDPOINT, DMG_CA, DMG_TOKEN) together; the endpoint is `https://HOST:PORT`.',
  },
  BAD_CONTEXT: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot read {file}: {reason}.',
    fix: 'Correct the file, or give another one.',
  },
  BAD_DEFINITION: {
    category: 'config',
    retry: 'never',
    scope: 'job',
    message: 'Cannot apply {file}: {reason}.',
    fix: 'A definition is Data Factory JSON with `name` and `properties`: of a linked service, dataset, pipeline or integration runtime.',
  },
  UNKNOWN_GATEWAY: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot find a gateway: {reason}.',
    fix: 'List them with `dmg gateway list`, or make one with `dmg gateway create NAME`.',
  },
  UNKNOWN_NODE_REFUSED: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot {what}: the gateway {gateway} has no node {node}.',
    fix: 'Its nodes: {nodes}.',
  },
  NODE_ALIVE_REFUSED: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot delete the node {node} of the gateway {gateway}: it is alive ({status}, {running} jobs running).',
    fix: 'Let it finish with `dmg node drain {node} --wait`, stop it, and delete it then; or give --force: others take over what it runs.',
  },
  NO_RECEIPT: {
    category: 'config',
    retry: 'never',
    scope: 'job',
    message: 'Cannot find a receipt in {file}: {reason}.',
    fix: 'Give what `dmg receipt show RUN` or `dmg runs RUN --json` wrote. Only copies that succeeded have a receipt.',
  },
  ALREADY_UP_REFUSED: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot start: `dmg up` is already running on the state folder {folder}.',
    fix: 'Use the one that runs, stop it first, or give this one a folder of its own with --state or DMG_STATE.',
  },
});
