export { createDispatcher, type Dispatcher, type DispatcherStatus } from './dispatcher.ts';
export type { EpochSource, Grant } from './epoch-source.ts';
export { dispatcherErrors } from './errors.ts';
export { leaseErrors } from './lease/errors.ts';
export { LeaseKeeper, type LeaseKeeperOptions } from './lease/lease-keeper.ts';
export { leaseMetrics } from './lease/metrics.ts';
export { dispatcherMetrics } from './metrics.ts';
export { defaultSettings, type DispatcherOptions, type DispatcherSettings } from './options.ts';
export type { WorkerSight } from './roster.ts';
