import type { LogFields, Logger } from '@dmg/base';
import { pino, type Logger as PinoLogger } from 'pino';

export const logLevels = ['error', 'warn', 'info', 'debug', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Package or root that logs; bound to each line. */
  readonly component: string;
  readonly level: LogLevel;
  /** Where lines go; default is standard error, so that standard output stays free for results. */
  readonly write?: (line: string) => void;
}

/**
 * JSON lines by pino behind base's port. Writing is synchronous: between state changes the gateway is silent, and a line that
 * is lost in a crash is the one that would have explained it.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = options.write === undefined ? pino.destination({ fd: 2, sync: true }) : { write: options.write };
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: errorFields, cause: errorFields },
    },
    destination,
  );
  return adapt(root, { component: options.component, pid: process.pid });
}

/** Bound fields are merged here: pino would write a field that a child binds again twice. */
function adapt(root: PinoLogger, bound: LogFields): Logger {
  const target = root.child(bound);
  return {
    error: (fields: LogFields, message: string) => target.error(fields, message),
    warn: (fields: LogFields, message: string) => target.warn(fields, message),
    info: (fields: LogFields, message: string) => target.info(fields, message),
    debug: (fields: LogFields, message: string) => target.debug(fields, message),
    child: (fields: LogFields) => adapt(root, { ...bound, ...fields }),
  };
}

/** An error as a log line shows it: code and message, the chain of causes, and the stack only of what is unexpected. */
function errorFields(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const code = (value as { code?: unknown }).code;
  const fields: Record<string, unknown> = { message: value.message };
  if (typeof code === 'string') fields['code'] = code;
  else fields['stack'] = value.stack;
  if (value.cause !== undefined) fields['cause'] = errorFields(value.cause);
  return fields;
}
