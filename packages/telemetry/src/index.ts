export { createLogger, type LoggerOptions, type LogLevel, logLevels } from './logger.ts';
export { createMeter, type PrometheusMeter } from './meter.ts';
export { type Health, type MetricsServer, startMetricsServer } from './metrics-server.ts';
