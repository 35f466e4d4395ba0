import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLogger, systemClock, systemRandom } from '@dmg/base';
import { type SupervisedRoot, superviseRoot } from '@dmg/lifecycle';
import { EpochWatch } from '../harness/epoch-watch.ts';
import { nodeEnvironment, parseNodeLog } from '../harness/node-process.ts';
import type { UpLine } from '../harness/up-line.ts';

export interface DemoNodesOptions {
  readonly count: number;
  readonly folder: string;
  readonly up: UpLine;
  readonly gatewayKey: string;
  readonly signal: AbortSignal;
  /** The environment that a node gets besides its own settings. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Takes each one as soon as it is there, so that it is ended whatever happens. */
  readonly started: (root: SupervisedRoot) => void;
}

/** The demo's nodes: programs of their own in process groups of their own, started again when they end, as a service manager does. */
export interface DemoNodes {
  readonly names: readonly string[];
  /** Who leads, by the nodes' logs. */
  readonly watch: EpochWatch;
  /** It was started again, and was ready. */
  hasRestarted(name: string): boolean;
  /** `kill -9` of the node and of everything that it started. */
  killGroup(name: string): void;
}

/** The first node brings the gateway's credential key, which the others fetch from it: they start when it is ready. */
export async function startNodes(options: DemoNodesOptions): Promise<DemoNodes> {
  const names = Array.from({ length: options.count }, (_, index) => `node-${index + 1}`);
  const watch = new EpochWatch();
  const roots = new Map<string, SupervisedRoot>();
  const restarted = new Set<string>();
  const start = async (name: string): Promise<void> => {
    const root = await superviseRoot({
      name: 'node',
      main: fileURLToPath(import.meta.resolve('@dmg/node/main')),
      args: ['start', '--state', join(options.folder, 'nodes', name)],
      env: { ...options.environment, ...nodeEnvironment(name, options.up, options.gatewayKey) },
      clock: systemClock,
      random: () => systemRandom.unit(),
      logger: silentLogger,
      onLog: (text) => {
        const line = parseNodeLog(name, text);
        if (line !== undefined) watch.take(line);
        appendFile(join(options.folder, `${name}.log`), `${text}\n`).catch(() => undefined); // The folder may be gone at the end.
      },
      signal: options.signal,
    });
    roots.set(name, root);
    root.onRestart(() => void restarted.add(name));
    options.started(root);
  };
  const [first = '', ...others] = names;
  await start(first);
  const results = await Promise.allSettled(others.map(start));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason as Error;
  return {
    names,
    watch,
    hasRestarted: (name) => restarted.has(name),
    killGroup(name) {
      const pid = roots.get(name)?.current().pid;
      if (pid === undefined) throw new Error(`there is no node ${name}`);
      process.kill(-pid, 'SIGKILL');
    },
  };
}
