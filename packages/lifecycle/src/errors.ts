import { defineErrors } from '@dmg/base';

export const lifecycleErrors = defineErrors('LIFECYCLE', {
  CHILD_NOT_READY: {
    category: 'system', retry: 'never', scope: 'node',
    message: 'Cannot start {name}: {reason}.',
    fix: 'Read its last lines: {lastLines}',
  },
  BAD_SETTING: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use the setting {setting}: {reason}.',
    fix: '{remedy}',
  },
});
