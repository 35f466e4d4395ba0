import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A Lua script. Its contract (keys, arguments, results, why it is atomic) is the header of its file. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

function load(name: string): Script {
  const text = readFileSync(new URL(`scripts/${name}.lua`, import.meta.url), 'utf8');
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

export const scripts = { head: load('head'), install: load('install'), put: load('put'), remove: load('remove') } as const;

/** The server does not know the script: it was restarted, or its script cache flushed. */
export function scriptIsMissing(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
