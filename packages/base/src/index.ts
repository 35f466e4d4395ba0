export { type BackoffPolicy, backoffMs, defaultBackoff } from './backoff.ts';
export { type Clock, ManualClock, sleep, systemClock, type Timer } from './clock.ts';
export { ByteCredits } from './credits.ts';
export { withDeadline } from './deadline.ts';
export {
  asDmgError,
  baseErrors,
  defineErrors,
  DmgError,
  type ErrorCatalogue,
  type ErrorCategory,
  type ErrorDefinition,
  type ErrorParams,
  type ErrorRetry,
  type ErrorScope,
  type Fault,
  firstLine,
  hasCode,
  isDmgError,
} from './errors.ts';
export { newId, newUuid } from './ids.ts';
export { type LogFields, type Logger, silentLogger } from './logger.ts';
export { type Labels, type Meter, type MetricDefinition, silentMeter } from './meter.ts';
export { type Random, seededRandom, systemRandom } from './random.ts';
export { Secret } from './secret.ts';
export { isStopReason, type StopKind, StopReason } from './stop-reason.ts';
