import { describeError } from '@dmg/lifecycle';
import { asDmgError } from '@dmg/base';

/** The one place of this root that writes to the terminal. Results go to standard output, everything else to standard error. */
export interface Output {
  /** A result: `value` as one JSON line, or `text()` for people. */
  result(value: unknown, text: () => string): void;
  /** A remark for people; left out of standard output. */
  note(text: string): void;
  /** Replaces the line written before, on a terminal; nothing elsewhere. */
  progress(text: string): void;
  error(error: unknown): void;
  readonly json: boolean;
}

export function createOutput(options: { json: boolean }): Output {
  // Pretty on a terminal, JSON lines otherwise; `--json` is always JSON (DESIGN §12).
  const json = options.json || !process.stdout.isTTY;
  const live = process.stderr.isTTY;
  let shown = '';
  const show = (text: string): void => {
    // A line that wraps could not be replaced.
    const line = text.slice(0, Math.max(0, (process.stderr.columns || 80) - 1));
    if (line !== shown) process.stderr.write(`\r\u001b[K${line}`);
    shown = line;
  };
  const clearProgress = (): void => show('');
  return {
    json,
    result(value, text) {
      clearProgress();
      process.stdout.write(`${json ? JSON.stringify(value) : text()}\n`);
    },
    note(text) {
      clearProgress();
      process.stderr.write(`${text}\n`);
    },
    progress(text) {
      if (live) show(text);
    },
    error(error) {
      clearProgress();
      process.stderr.write(options.json ? `${JSON.stringify({ error: asDmgError(error).toFault() })}\n` : `dmg: ${describeError(error)}\n`);
    },
  };
}

/** Columns padded to their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n');
}
