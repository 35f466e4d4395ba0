export { activityDigest } from './activity-digest.ts';
export { type AbortOptions, type CopyOptions, defaultMemoryBytes, runAbort, runCopy } from './copy-attempt.ts';
export { defaultEngineLimits, type EngineLimits } from './engine-limits.ts';
export { engineErrors } from './errors.ts';
export { engineMetrics } from './metrics.ts';
export type { CopySecrets } from './overlap.ts';
