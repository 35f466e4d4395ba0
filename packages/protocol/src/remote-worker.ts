import type { DmgError } from '@dmg/base';
import type { DispatchAnswer, DispatchRequest, WorkerEvent, WorkerPort } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import { protocolErrors } from './errors.ts';
import type { LinkStream } from './link-stream.ts';
import type { LinkEvent, PeerLink } from './peer-link.ts';

/**
 * Another node's worker, at the end of a stream which may be down. Calls are made on the stream that is open now or fail at once with
 * `DMG_PROTOCOL_UNREACHABLE`: none waits for a stream to come. A call whose stream ends fails likewise, and may have taken effect.
 */
export class RemoteWorker implements WorkerPort {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly #link: PeerLink;
  #left = false;

  constructor(link: PeerLink) {
    this.#link = link;
    this.nodeId = link.nodeId;
    this.nodeName = link.nodeName;
  }

  async hello(epoch: Epoch): ReturnType<WorkerPort['hello']> {
    return this.#stream().hello(epoch);
  }

  async dispatch(request: DispatchRequest): Promise<DispatchAnswer> {
    return this.#stream().dispatch(request);
  }

  async cancel(attemptId: string): Promise<void> {
    await this.#stream().cancel(attemptId);
  }

  async supersede(attemptId: string): Promise<void> {
    await this.#stream().supersede(attemptId);
  }

  async tellAssistants(attemptId: string, assistants: number): Promise<void> {
    await this.#stream().tellAssistants(attemptId, assistants);
  }

  subscribe(listen: (event: WorkerEvent) => void): () => void {
    return this.#link.subscribe((event) => {
      const told = workerEventOf(event);
      if (told !== undefined) listen(told);
    });
  }

  /** The node is no member any more. */
  leave(): void {
    this.#left = true;
  }

  #stream(): LinkStream {
    const { stream, trouble } = this.#link;
    if (this.#left) throw protocolErrors.CLOSED.create({ nodeName: this.nodeName });
    if (stream === undefined) throw this.#unreachable(trouble ?? 'there is no stream');
    return stream;
  }

  #unreachable(reason: string): DmgError {
    return protocolErrors.UNREACHABLE.create({ nodeName: this.nodeName, reason });
  }
}

function workerEventOf(event: LinkEvent): WorkerEvent | undefined {
  switch (event.type) {
    case 'up':
    case 'alive':
      return { type: 'alive' };
    case 'event':
      return event.event;
    case 'gone':
      return { type: 'gone', refused: event.refused, reason: event.reason };
    case 'goodbye':
      return undefined;
  }
}
