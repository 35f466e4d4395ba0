import type { Clock, Timer } from '@dmg/base';
import type { DispatchAnswer, DispatchRequest, WorkerEvent, WorkerPort } from '@dmg/core';
import type { Epoch } from '@dmg/model';

/** This node's worker as one of the gateway's: it gives the signs of life that the others give on their streams. */
export class OwnWorker implements WorkerPort {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly #worker: WorkerPort;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #timer: Timer | undefined;

  constructor(worker: WorkerPort, options: { readonly clock: Clock; readonly intervalMs: number }) {
    this.#worker = worker;
    this.nodeId = worker.nodeId;
    this.nodeName = worker.nodeName;
    this.#clock = options.clock;
    this.#intervalMs = options.intervalMs;
  }

  start(): void {
    this.#timer = this.#clock.after(this.#intervalMs, () => {
      this.start();
      for (const listen of this.#listeners) listen({ type: 'alive' });
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  hello(epoch: Epoch): ReturnType<WorkerPort['hello']> {
    return this.#worker.hello(epoch);
  }

  dispatch(request: DispatchRequest): Promise<DispatchAnswer> {
    return this.#worker.dispatch(request);
  }

  cancel(attemptId: string): Promise<void> {
    return this.#worker.cancel(attemptId);
  }

  async supersede(attemptId: string): Promise<void> {
    await this.#worker.supersede?.(attemptId);
  }

  async tellAssistants(attemptId: string, assistants: number): Promise<void> {
    await this.#worker.tellAssistants?.(attemptId, assistants);
  }

  subscribe(listen: (event: WorkerEvent) => void): () => void {
    // A function of its own: the same listener may subscribe twice.
    const own = (event: WorkerEvent): void => listen(event);
    this.#listeners.add(own);
    const unsubscribe = this.#worker.subscribe(listen);
    return () => {
      this.#listeners.delete(own);
      unsubscribe();
    };
  }
}
