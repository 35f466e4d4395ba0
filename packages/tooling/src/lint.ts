import { execFile } from 'node:child_process';
import { join } from 'node:path';

export interface LintResult {
  /** `file:line:column message [rule]` */
  readonly findings: readonly string[];
  readonly filesRead: number;
}

interface Diagnostic {
  readonly message: string;
  readonly code?: string;
  readonly filename: string;
  readonly labels: readonly { readonly span: { readonly line: number; readonly column: number } }[];
}

/** Runs oxlint with type information over `folder` and returns what it finds. */
export async function lint(root: string, folder: string): Promise<LintResult> {
  const args = ['--type-aware', '--config', join(root, '.oxlintrc.json'), '--format', 'json', '.'];
  const output = await collectOutput(join(root, 'node_modules/.bin/oxlint'), args, folder);
  const report = JSON.parse(output) as { readonly diagnostics: readonly Diagnostic[]; readonly number_of_files: number };
  return { findings: report.diagnostics.map(describe).sort(), filesRead: report.number_of_files };
}

/** Runs the type checker over the whole repository and returns its errors, a line each. */
export async function typeCheck(root: string): Promise<string[]> {
  const output = await collectOutput(join(root, 'node_modules/.bin/tsc'), ['--noEmit', '--pretty', 'false'], root);
  return output.split('\n').filter((line) => line !== '');
}

function describe({ message, code, filename, labels }: Diagnostic): string {
  const span = labels[0]?.span;
  return `${filename}:${span?.line ?? 0}:${span?.column ?? 0} ${message} [${code ?? 'syntax'}]`;
}

/** Standard output of a program that ends with 1 when it has found something. Any other end than 0 or 1 is an error. */
function collectOutput(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { cwd, maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (code === 0 || ((code === 1 || code === 2) && stdout !== '')) resolve(stdout);
      else reject(new Error(`${command} could not be run: ${stderr}`, { cause: error }));
    });
  });
}
