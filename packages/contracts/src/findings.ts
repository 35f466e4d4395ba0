import type { JsonValue } from '@dmg/model';
import { contractErrors } from './errors.ts';
import type { Warning } from './types.ts';

/** Problems that one error names at most; what follows is counted. */
const problemsMax = 20;
/** Deeper JSON than any definition needs; keeps walks over foreign JSON from ending the process. */
const depthMax = 60;

/** Collects everything that is wrong with a definition, so that the user sees it at once. */
export class Findings {
  readonly warnings: Warning[] = [];
  readonly problems: Warning[] = [];

  problem(path: string, message: string): void {
    this.problems.push({ path, message });
  }

  warn(path: string, message: string): void {
    this.warnings.push({ path, message });
  }

  get failed(): boolean {
    return this.problems.length > 0;
  }

  /** Throws one error that names every problem. */
  throwIfFailed(kind: string, name: string): void {
    if (this.failed) throw contractErrors.INVALID_DEFINITION.create({ kind, name: shownName(name), problems: this.#list() });
  }

  throwIfCannotRun(pipelineName: string): void {
    if (this.failed) throw contractErrors.CANNOT_RUN.create({ name: shownName(pipelineName), problems: this.#list() });
  }

  #list(): string {
    // A property that is missing may be one that stands there misspelt.
    const misspelt = this.warnings.filter((warning) => warning.message.includes('did you mean'));
    const listed = [...this.problems, ...misspelt];
    const texts = listed.slice(0, problemsMax).map(({ path, message }) => (path === '' ? message : `${path} ${message}`));
    const more = listed.length - texts.length;
    return texts.join('; ') + (more > 0 ? `; and ${more} more` : '');
  }
}

export function shownName(name: string): string {
  return shown(name, 100);
}

/** User text in a message: short, on one line. */
export function shown(text: string, lengthMax = 60): string {
  const line = text.replaceAll(/\p{Cc}/gu, ' ');
  return line.length > lengthMax ? `${line.slice(0, lengthMax)}…` : line;
}

/** Adds a problem when the JSON is nested deeper than `depthMax`; to be asked before anything recursive touches it. */
export function isTooDeep(json: JsonValue, findings: Findings): boolean {
  let level: JsonValue[] = [json];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) {
      findings.problem('', `it is nested deeper than ${depthMax} levels`);
      return true;
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values<JsonValue>(value) : []));
  }
  return false;
}
