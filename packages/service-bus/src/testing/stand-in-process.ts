import { fileURLToPath } from 'node:url';
import type { CleanupContext } from '../../../../test/harness/cleanup.ts';
import { freePorts } from '../../../../test/harness/free-port.ts';
import { type RunningProcess, startProcess } from '../../../../test/harness/processes.ts';
import { tempDir } from '../../../../test/harness/temp-dir.ts';

export interface QueueCounts {
  readonly name: string;
  readonly active: number;
  readonly locked: number;
  readonly scheduled: number;
  readonly deferred: number;
  readonly deadLetter: number;
  readonly receivers: number;
}

/** The Service Bus stand-in as a process of its own, on ports and a state directory that survive `kill` and `start`. */
export class StandInProcess {
  readonly state: string;
  readonly #context: CleanupContext;
  readonly #ports: { readonly port: number; readonly controlPort: number };
  #process: RunningProcess | undefined;
  connectionString = '';

  private constructor(context: CleanupContext, state: string, ports: { port: number; controlPort: number }) {
    this.#context = context;
    this.state = state;
    this.#ports = ports;
  }

  static async start(context: CleanupContext): Promise<StandInProcess> {
    const [port = 0, controlPort = 0] = await freePorts(2);
    const standIn = new StandInProcess(context, await tempDir(context), { port, controlPort });
    await standIn.start();
    return standIn;
  }

  get process(): RunningProcess {
    if (this.#process === undefined) throw new Error('the stand-in was not started');
    return this.#process;
  }

  async start(): Promise<void> {
    const main = fileURLToPath(import.meta.resolve('@dmg/local-cloud/service-bus-stand-in'));
    const flags = ['--state', this.state, '--port', String(this.#ports.port), '--control-port', String(this.#ports.controlPort)];
    const { process, ready } = await startProcess(this.#context, {
      name: 'service-bus-stand-in',
      args: [main, ...flags, '--auto-create', 'dmg-*'],
      env: { DMG_LOG_LEVEL: 'warn' },
    });
    this.#process = process;
    this.connectionString = String(ready['connectionString']);
  }

  async kill(): Promise<void> {
    await this.process.kill();
  }

  /** Makes a queue with settings of its own, or changes them. */
  async configure(queue: string, settings: Readonly<Record<string, number>> = {}): Promise<string> {
    await this.control({ action: 'configure', queue, settings });
    return queue;
  }

  async control(request: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const response = await fetch(`http://127.0.0.1:${this.#ports.controlPort}/control`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    if (!response.ok) throw new Error(`control request failed: ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }

  async counts(queue: string): Promise<QueueCounts> {
    const response = await fetch(`http://127.0.0.1:${this.#ports.controlPort}/queues`);
    const counts = ((await response.json()) as QueueCounts[]).find(({ name }) => name === queue);
    if (counts === undefined) throw new Error(`there is no queue ${queue}`);
    return counts;
  }
}
