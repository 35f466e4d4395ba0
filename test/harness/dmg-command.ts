import { fileURLToPath } from 'node:url';
import { CleanupScope } from './cleanup.ts';
import type { NetworkNamespace } from './network-namespace.ts';
import { spawnProcess } from './processes.ts';
import { within } from './wait-for.ts';

const bin = fileURLToPath(new URL('../../packages/cli/bin/dmg.js', import.meta.url));

export interface CommandEnd {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `dmg` as users do, without a terminal, against the `dmg up` whose state folder this is. */
export async function runDmg(
  state: string, args: readonly string[], withinMs = 60_000, namespace?: NetworkNamespace,
): Promise<CommandEnd> {
  const scope = new CleanupScope();
  const program = namespace?.inside(process.execPath, [bin, ...args]) ?? { args: [bin, ...args] };
  const child = spawnProcess(scope, { name: 'dmg', ...program, env: { DMG_STATE: state } });
  try {
    const { code } = await within(`dmg ${args.join(' ')}`, withinMs, child.exited);
    return { code, out: child.stdout.join('\n'), err: child.stderr };
  } finally {
    await scope.close();
  }
}
