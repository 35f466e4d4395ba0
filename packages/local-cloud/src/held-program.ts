import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { type Clock, firstLine, sleep } from '@dmg/base';
import { localCloudErrors } from './errors.ts';

export interface HeldProgramOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It is ready when this port on loopback takes connections. */
  readonly port: number;
  readonly readyLimitMs: number;
  readonly clock: Clock;
  /** The program ended although nobody stopped it. */
  readonly onEnd: (reason: string) => void;
}

export interface HeldProgram {
  readonly pid: number;
  stop(signal: NodeJS.Signals): Promise<void>;
}

const setpriv = '/usr/bin/setpriv';

/**
 * Starts a foreign program that must not outlive us. Where util-linux is there the kernel ends it with this process, however that
 * ends (prctl(2), PR_SET_PDEATHSIG, through setpriv(1), which then becomes the program); else only a clean end does.
 */
export async function startHeldProgram(options: HeldProgramOptions): Promise<HeldProgram> {
  const { name, command, clock } = options;
  const [program, args] = existsSync(setpriv) ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...options.args]] : [command, options.args];
  const child = spawn(program, [...args], { cwd: options.cwd, env: { ...options.env }, stdio: ['ignore', 'ignore', 'pipe'] });
  let lastLine = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    lastLine = text.trim().split('\n').at(-1) ?? lastLine;
  });
  let stopping = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(firstLine(error)));
    child.once('exit', (code, signal) => resolve(`it ended (${signal ?? `exit code ${code}`})${lastLine === '' ? '' : `: ${lastLine}`}`));
  });
  await waitForPort(options, ended);
  void ended.then((reason) => {
    if (!stopping) options.onEnd(`${name}: ${reason}`);
  });
  return {
    pid: child.pid ?? 0,
    async stop(signal) {
      stopping = true;
      child.kill(signal);
      const timer = clock.after(3000, () => child.kill('SIGKILL'));
      await ended;
      timer.cancel();
    },
  };
}

async function waitForPort(options: HeldProgramOptions, ended: Promise<string>): Promise<void> {
  const { name, port, clock, readyLimitMs } = options;
  const startedMs = clock.monotonicMs();
  let reason: string | undefined;
  void ended.then((text) => (reason = text));
  while (!(await answers(port))) {
    if (reason === undefined && clock.monotonicMs() - startedMs > readyLimitMs) reason = `port ${port} takes no connection after ${readyLimitMs} ms`;
    if (reason !== undefined) throw localCloudErrors.PROGRAM_FAILED.create({ program: name, reason });
    await sleep(clock, 25);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

