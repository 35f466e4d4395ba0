import { defineErrors } from '@dmg/base';

export const localCloudErrors = defineErrors('LOCALCLOUD', {
  USAGE: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot start: {reason}.',
    fix: 'Correct the flag; README.md of this package lists them all.',
  },
  STATE_NOT_WRITABLE: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot use the state directory {directory}: {reason}.',
    fix: 'Give another one with --state, or make this one writable for the user that runs this.',
  },
  STATE_IN_USE: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot use the state directory {directory}: another process works in it.',
    fix: 'Stop that process, or give this one its own directory with --state.',
  },
  PORT_TAKEN: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot listen on port {port} for {program}: {reason}.',
    fix: 'Stop what listens there, or choose another port with --{flag} (0 takes a free one).',
  },
  REDIS_MISSING: {
    category: 'config',
    retry: 'never',
    scope: 'node',
    message: 'Cannot start Redis: there is no {program}.',
    fix: 'Install it (Debian: apt-get install redis-server, and keep its service stopped), or set DMG_REDIS_SERVER to the binary.',
  },
  PROGRAM_FAILED: {
    category: 'system',
    retry: 'never',
    scope: 'node',
    message: 'Cannot start {program}: {reason}.',
    fix: 'Read the log lines of {program} on stderr.',
  },
  JOURNAL_UNREADABLE: {
    category: 'system',
    retry: 'never',
    scope: 'node',
    message: 'Cannot open the queue journal in {directory}: {reason}.',
    fix: 'Check that the directory exists and is readable and writable; to start with empty queues move the journal files away.',
  },
  JOURNAL_FAILED: {
    category: 'system',
    retry: 'never',
    scope: 'node',
    message: 'Cannot keep messages: writing the journal failed ({reason}).',
    fix: 'Free space on the disk of the state directory; the process starts again by itself.',
  },
});
