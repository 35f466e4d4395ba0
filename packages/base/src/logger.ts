/** Fields of a log line. Names are camelCase with their unit last; never put a secret or a row's content here. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Where packages log. The message is a constant, lower-case phrase; data are fields. The implementation is in `telemetry`
 * and is chosen by roots only.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  /** A logger that adds `fields` to each line. */
  child(fields: LogFields): Logger;
}

export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silentLogger,
};
