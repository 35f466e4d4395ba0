import type { DispatchAnswer, DispatchRequest, WorkerEvent, WorkerPort, Workers } from '@dmg/core';
import type { InMemoryWorker } from '@dmg/core/testing';
import type { Epoch } from '@dmg/model';
import type { ProcessModel } from './process-model.ts';

/** `held`: nothing gets through and nobody is told; what was on its way arrives later, or never. */
export type LinkState = 'open' | 'held' | 'cut';

export interface LinkHooks {
  /** Called before the dispatcher asks something of the worker that has an effect. */
  onEffect(what: 'dispatch' | 'cancel' | 'supersede', request?: DispatchRequest): void;
  onAnswer(answer: DispatchAnswer): void;
}

/** The stream of one dispatcher to one worker, with its faults. */
export class LinkModel implements WorkerPort {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly #process: ProcessModel;
  readonly #worker: InMemoryWorker;
  readonly #hooks: LinkHooks;
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #state: LinkState = 'open';
  #change = Promise.withResolvers<void>();
  #heldEvents: WorkerEvent[] = [];
  /** Since when it has been open without a gap. */
  openSinceMs: number;

  constructor(process: ProcessModel, worker: InMemoryWorker, hooks: LinkHooks) {
    this.nodeId = worker.nodeId;
    this.nodeName = worker.nodeName;
    this.#process = process;
    this.#worker = worker;
    this.#hooks = hooks;
    this.openSinceMs = process.monotonicMs();
    worker.subscribe((event) => this.#take(event));
  }

  get state(): LinkState {
    return this.#state;
  }

  set(state: LinkState, options: { refused: boolean } = { refused: false }): void {
    if (state === this.#state) return;
    const before = this.#state;
    this.#state = state;
    this.openSinceMs = state === 'open' ? this.#process.monotonicMs() : Number.POSITIVE_INFINITY;
    const events = this.#heldEvents.splice(0);
    this.#change.resolve();
    this.#change = Promise.withResolvers();
    if (state === 'cut') this.#tell({ type: 'gone', refused: options.refused, reason: 'reset' });
    if (state !== 'open') return;
    for (const event of events) this.#tell(event);
    if (before === 'cut') this.#tell({ type: 'alive' });
  }

  hello(epoch: Epoch): ReturnType<WorkerPort['hello']> {
    return this.#process.call(() => this.#across(() => this.#worker.hello(epoch)));
  }

  dispatch(request: DispatchRequest): Promise<DispatchAnswer> {
    this.#hooks.onEffect('dispatch', request);
    return this.#process.call(() => this.#across(async () => {
      const answer = await this.#worker.dispatch(request);
      this.#hooks.onAnswer(answer);
      return answer;
    }));
  }

  cancel(attemptId: string): Promise<void> {
    this.#hooks.onEffect('cancel');
    return this.#process.call(() => this.#across(() => this.#worker.cancel(attemptId)));
  }

  supersede(attemptId: string): Promise<void> {
    this.#hooks.onEffect('supersede');
    return this.#process.call(() => this.#across(() => this.#worker.supersede(attemptId)));
  }

  tellAssistants(attemptId: string, assistants: number): Promise<void> {
    return this.#process.call(() => this.#across(() => this.#worker.tellAssistants(attemptId, assistants)));
  }

  subscribe(listen: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  #take(event: WorkerEvent): void {
    if (this.#state === 'open') this.#tell(event);
    else if (this.#state === 'held') this.#heldEvents.push(event);
  }

  #tell(event: WorkerEvent): void {
    this.#process.run(() => {
      for (const listen of [...this.#listeners]) listen(event);
    });
  }

  /** There and back. */
  async #across<T>(work: () => Promise<T>): Promise<T> {
    await this.#passable();
    const value = await work();
    await this.#passable();
    return value;
  }

  async #passable(): Promise<void> {
    while (this.#state === 'held') await this.#change.promise;
    if (this.#state === 'cut') throw new Error('the stream was reset');
  }
}

/** The members of the gateway as one dispatcher has them. */
export class MembersModel implements Workers {
  readonly #links = new Map<string, LinkModel>();
  readonly #listeners = new Set<Parameters<Workers['subscribe']>[0]>();

  list(): readonly LinkModel[] {
    return [...this.#links.values()];
  }

  get(nodeId: string): LinkModel | undefined {
    return this.#links.get(nodeId);
  }

  join(link: LinkModel): void {
    this.#links.set(link.nodeId, link);
    for (const listen of this.#listeners) listen({ type: 'joined', worker: link });
  }

  leave(nodeId: string): void {
    const worker = this.#links.get(nodeId);
    if (worker === undefined) return;
    this.#links.delete(nodeId);
    for (const listen of this.#listeners) listen({ type: 'left', worker });
  }

  subscribe(listen: Parameters<Workers['subscribe']>[0]): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }
}
