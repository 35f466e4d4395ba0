export type { LocalCloudReady } from './local-cloud.ts';
export type { ControlRequest, QueueReport } from './service-bus/control-server.ts';
export type { QueueCounts, QueueSettings } from './service-bus/queue-types.ts';
