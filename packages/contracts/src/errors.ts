import { defineErrors } from '@dmg/base';

export const contractErrors = defineErrors('CONTRACTS', {
  JSON_SYNTAX: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {what} as JSON: {reason} at line {line}, column {column}.',
    fix: 'Correct the text at that place.',
  },
  INVALID_DEFINITION: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use {kind} {name}: {problems}.',
    fix: 'Correct the JSON at the places named; every place is a path from the root of the definition.',
  },
  CANNOT_RUN: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot run pipeline {name}: {problems}.',
    fix: 'Correct the definitions or the parameters of the run at the places named.',
  },
});
