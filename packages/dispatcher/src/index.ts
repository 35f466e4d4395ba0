export { createDispatcher, type Dispatcher, type DispatcherStatus } from './dispatcher.ts';
export type { EpochSource, Grant } from './epoch-source.ts';
export { dispatcherErrors } from './errors.ts';
export { dispatcherMetrics } from './metrics.ts';
export { defaultSettings, type DispatcherOptions, type DispatcherSettings } from './options.ts';
export type { WorkerSight } from './roster.ts';
