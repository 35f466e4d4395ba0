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
  let lastLength = 0;
  const clearProgress = (): void => {
    if (lastLength > 0) process.stderr.write(`\r${' '.repeat(lastLength)}\r`);
    lastLength = 0;
  };
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
      if (!live) return;
      clearProgress();
      process.stderr.write(text);
      lastLength = text.length;
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
