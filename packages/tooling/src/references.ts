import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ErrorDefinition, MetricDefinition } from '@dmg/base';
import { generateWire } from '@dmg/protocol/generate';
import { formatLockfile, type Lockfile, pruneLockfile } from './lockfile.ts';
import { isTestFile } from './source-tree.ts';

/** One error of a catalogue, as `defineErrors` makes it. */
export interface CataloguedError {
  readonly code: string;
  readonly definition: ErrorDefinition;
  /** The file that declares it. */
  readonly source: string;
}

export interface CataloguedMetric extends MetricDefinition {
  readonly source: string;
}

/** A file of the repository that is made from others, and what must stand in it; undefined: it must not exist. */
export interface GeneratedFile {
  readonly path: string;
  readonly content: string | undefined;
}

/** All files that `npm run gen` writes. Reads the catalogues by importing them. */
export async function generateAll(root: string, files: readonly string[]): Promise<GeneratedFile[]> {
  const errors = await readCatalogue(root, files, 'errors.ts', readErrors);
  const metrics = await readCatalogue(root, files, 'metrics.ts', readMetrics);
  const lockfile = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lockfile;
  return [
    { path: 'packages/base/ERRORS.md', content: formatErrors(errors) },
    { path: 'packages/telemetry/METRICS.md', content: metrics.length === 0 ? undefined : formatMetrics(metrics) },
    { path: 'package-lock.json', content: formatLockfile(pruneLockfile(lockfile)) },
    ...await generateWire(root),
  ];
}

/** What must stand in a generated file and does not, or the other way round: a sentence, or undefined when they agree. */
export function findDrift(root: string, { path, content }: GeneratedFile): string | undefined {
  const actual = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined;
  if (actual === content) return undefined;
  const [missing, surplus] = [lineDifference(content, actual), lineDifference(actual, content)];
  return [
    `${path} is not what the sources say. Run: npm run gen`,
    ...missing.map((line) => `+ ${line}`),
    ...surplus.map((line) => `- ${line}`),
  ].join('\n');
}

function lineDifference(of: string | undefined, other: string | undefined): string[] {
  const known = new Set((other ?? '').split('\n'));
  return (of ?? '')
    .split('\n')
    .filter((line) => !known.has(line))
    .slice(0, 20);
}

async function readCatalogue<T>(
  root: string,
  files: readonly string[],
  name: string,
  read: (exports: unknown, source: string) => T[],
): Promise<T[]> {
  const sources = files.filter(
    (path) => path.startsWith('packages/') && path.endsWith(`/${name}`) && path.includes('/src/') && !isTestFile(path),
  );
  const found = await Promise.all(sources.map(async (path) => read(await importFile(root, path), path)));
  return found.flat();
}

async function importFile(root: string, path: string): Promise<unknown> {
  try {
    return (await import(pathToFileURL(join(root, path)).href)) as unknown;
  } catch (error) {
    throw new Error(`${path} cannot be imported`, { cause: error });
  }
}

/** The errors among what a module exports. */
export function readErrors(exports: unknown, source: string): CataloguedError[] {
  return values(exports)
    .flatMap(values)
    .filter(
      (value): value is Omit<CataloguedError, 'source'> =>
        isRecord(value) && typeof value['code'] === 'string' && isRecord(value['definition']),
    )
    .map(({ code, definition }) => ({ code, definition, source }));
}

/** The metrics among what a module exports: single ones, or records of them. */
export function readMetrics(exports: unknown, source: string): CataloguedMetric[] {
  const candidates = values(exports).flatMap((value) => [value, ...values(value)]);
  return candidates.filter(isMetric).map((metric) => ({ ...metric, source }));
}

function isMetric(value: unknown): value is MetricDefinition {
  return isRecord(value) && typeof value['name'] === 'string' && typeof value['kind'] === 'string' && typeof value['help'] === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function values(value: unknown): unknown[] {
  return isRecord(value) ? Object.values(value) : [];
}

const messageForm = /^Cannot [^]+[.}]$/;

/** What is wrong with the catalogues themselves. */
export function findErrorComplaints(errors: readonly CataloguedError[]): string[] {
  const seen = new Map<string, string>();
  return errors.flatMap(({ code, definition, source }) => {
    const complaints: string[] = [];
    const earlier = seen.get(code);
    if (earlier !== undefined) complaints.push(`${code} is declared in ${earlier} and in ${source}`);
    seen.set(code, source);
    if (!/^DMG_[A-Z0-9]+(?:_[A-Z0-9]+)+$/.test(code)) complaints.push(`${code} is not DMG_‹AREA›_‹NAME›`);
    if (!messageForm.test(definition.message)) complaints.push(`${code}: its message is not "Cannot ‹verb› ‹object›: ‹reason›."`);
    if (definition.fix.trim() === '') complaints.push(`${code} says not what to do`);
    return complaints;
  });
}

export function findMetricComplaints(metrics: readonly CataloguedMetric[]): string[] {
  const seen = new Map<string, string>();
  return metrics.flatMap(({ name, kind, help, source }) => {
    const complaints: string[] = [];
    const earlier = seen.get(name);
    if (earlier !== undefined && earlier !== source) complaints.push(`${name} is declared in ${earlier} and in ${source}`);
    seen.set(name, source);
    if (!/^dmg_[a-z0-9]+(?:_[a-z0-9]+)+$/.test(name)) complaints.push(`${name} is not dmg_‹area›_‹noun›_‹unit›`);
    if ((kind === 'counter') !== name.endsWith('_total')) complaints.push(`${name}: counters, and only they, end in _total`);
    if (help.trim() === '') complaints.push(`${name} has no help text`);
    return complaints;
  });
}

const note = '<!-- Generated by `npm run gen`. Do not edit. -->';

export function formatErrors(errors: readonly CataloguedError[]): string {
  const sections = [...errors]
    .sort(by('code'))
    .map(
      ({ code, definition: { category, retry, scope, message, fix } }) =>
        `## ${code}\n\n${category} · retry ${retry} · scope ${scope}\n\n- Message: ${cell(message)}\n- What to do: ${cell(fix)}\n`,
    );
  const intro = [
    'Codes are stable and are never used again once retired. The category says who must act: `config` the user, `transient` nobody',
    '(wait), `system` the makers of the gateway. Retry is what the gateway does by itself. Scope is how far the damage goes.',
  ].join('\n');
  return `${note}\n# Errors\n\n${intro}\n\n${errors.length} codes.\n\n${sections.join('\n')}`;
}

export function formatMetrics(metrics: readonly CataloguedMetric[]): string {
  const unique = new Map(metrics.map((metric) => [metric.name, metric]));
  const rows = [...unique.values()].sort(by('name')).map(({ name, kind, labels, help }) => {
    const list = (labels ?? []).map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${kind} | ${list || '–'} | ${cell(help)} |`;
  });
  return `${note}\n# Metrics\n\n| name | kind | labels | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function by<K extends string>(member: K): (a: Record<K, string>, b: Record<K, string>) => number {
  return (a, b) => (a[member] < b[member] ? -1 : 1);
}

function cell(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim();
}

export async function readAllErrors(root: string, files: readonly string[]): Promise<CataloguedError[]> {
  return readCatalogue(root, files, 'errors.ts', readErrors);
}

export async function readAllMetrics(root: string, files: readonly string[]): Promise<CataloguedMetric[]> {
  return readCatalogue(root, files, 'metrics.ts', readMetrics);
}
