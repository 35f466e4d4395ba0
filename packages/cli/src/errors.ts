import { defineErrors } from '@dmg/base';

export const cliErrors = defineErrors('CLI', {
  NO_CONTEXT: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot tell which control plane to talk to: {file} is not there.',
    fix: 'Start everything on this machine with `dmg up`, or give --endpoint, --ca and --token-file (or DMG_ENDPOINT, DMG_CA, DMG_TOKEN).',
  },
  BAD_CONTEXT: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot read {file}: {reason}.',
    fix: 'Correct the file, or give another one.',
  },
  BAD_DEFINITION: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot apply {file}: {reason}.',
    fix: 'A definition is Data Factory JSON, an object with `name` and `properties`, of a linked service, dataset, pipeline or integration runtime.',
  },
  UNKNOWN_GATEWAY: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot find a gateway: {reason}.',
    fix: 'List them with `dmg gateway list`, or make one with `dmg gateway create NAME`.',
  },
});
