import { type LogLevel, logLevels } from '@dmg/telemetry';

const shownElsewhere: ReadonlySet<string> = new Set(['level', 'time', 'component', 'pid', 'msg']);

/**
 * A log line of a child, a JSON object, as a person reads it: time, level, program, sentence and the other fields. Undefined for what
 * is below `level`. What is no JSON is shown as it is: a crash, or a library that writes by itself.
 */
export function readableLogLine(line: string, level: LogLevel): string | undefined {
  const fields = parseFields(line);
  if (fields === undefined) return line;
  const { level: lineLevel, time, component, msg } = fields;
  const rank = logLevels.indexOf(lineLevel as LogLevel);
  if (rank > logLevels.indexOf(level) || level === 'silent') return undefined;
  const rest = Object.entries(fields).filter(([name]) => !shownElsewhere.has(name));
  const moment = typeof time === 'string' ? time.slice(11, 19) : '';
  const words = [
    moment,
    text(lineLevel).padEnd(5),
    `${text(component)}:`,
    text(msg),
    ...rest.map(([name, value]) => `${name}=${text(value)}`),
  ];
  return words.join(' ').trim();
}

function parseFields(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    return typeof parsed['msg'] === 'string' ? parsed : undefined;
  } catch {
    return undefined; // It only looked like JSON.
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
