import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A Lua script. Its contract (keys, arguments, results, why it is atomic) is the header of its file. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

/** The digest by which Redis knows a script that it has seen. */
export function scriptOf(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

function load(name: string): Script {
  return scriptOf(readFileSync(new URL(`scripts/${name}.lua`, import.meta.url), 'utf8'));
}

/** Who holds the lease, and under which epoch. */
export const leaseScripts = {
  peek: load('peek'), claim: load('claim'), install: load('install'), beat: load('beat'), seize: load('seize'),
} as const;

/** The records of jobs. */
export const ledgerScripts = { put: load('put'), remove: load('remove'), index: load('index') } as const;

/** The server does not know the script: it was restarted, or its script cache flushed. */
export function scriptIsMissing(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
