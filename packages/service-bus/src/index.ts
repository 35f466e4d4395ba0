export type { ServiceBusConnection } from './connection.ts';
export { fromServiceBusError, queueErrors } from './errors.ts';
export { queueMetrics } from './metrics.ts';
export { defaultWatchTimes, type WatchTimes } from './queue-watch.ts';
export { ServiceBusJobQueue, type ServiceBusJobQueueOptions } from './service-bus-job-queue.ts';
export { ServiceBusJobSender, type ServiceBusJobSenderOptions } from './service-bus-job-sender.ts';
export { isStrayClientError } from './stray-client-error.ts';
