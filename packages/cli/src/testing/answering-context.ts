import type { CallOptions } from '@dmg/https-json';
import type { Context } from '../context.ts';

/** A context whose control plane is `answer`: it gets what is asked and throws what a client would. */
export function answering(answer: (what: string, call: CallOptions) => unknown): Context {
  return {
    client: {
      endpoint: 'https://control-plane:1',
      call: (what, call) => Promise.resolve().then(() => answer(what, call)),
      close: () => undefined,
    },
    subscriptionId: 's', resourceGroupName: 'g', factoryName: 'f', up: undefined,
  };
}
