export { type ChildRoot, type ChildRootOptions, startChildRoot } from './child-root.ts';
export { lifecycleErrors } from './errors.ts';
export { claimFolder } from './folder-claim.ts';
export { describeError, type ExitCode, exitCodeFor, exitCodes } from './exit-codes.ts';
export { runRoot, type RunningRoot } from './run-root.ts';
export { type SupervisedRoot, superviseRoot } from './supervisor.ts';
export { withSettingsFile } from './settings-file.ts';
export { bearStrayErrors } from './stray-errors.ts';
