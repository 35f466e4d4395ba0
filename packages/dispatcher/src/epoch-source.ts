import { newId, type Random } from '@dmg/base';
import type { Ledger } from '@dmg/core';
import type { Epoch } from '@dmg/model';

/** Where a dispatcher gets its right to act from. With several candidates the lease stands in front of it. */
export interface EpochSource {
  /**
   * Installs an epoch larger than `above` and than everything that the ledger has installed. `life` is the id of the ledger's
   * data: another one than last time means that it lost what it held. Rejects when the ledger does not answer.
   */
  grant(above: number): Promise<{ readonly epoch: Epoch; readonly life: string }>;
}

/** For a gateway with one node: whoever asks is granted. */
export function createSoleEpochSource(options: { ledger: Ledger; random: Random; nodeId: string; address: string }): EpochSource {
  const { ledger, random, nodeId, address } = options;
  return {
    async grant(above) {
      let installed = Math.max(above, (await ledger.head()).n);
      for (;;) {
        const epoch: Epoch = { n: installed + 1, token: newId(random) };
        const answer = await ledger.install(epoch, { nodeId, address });
        if (answer.ok) return { epoch, life: (await ledger.head()).life };
        installed = Math.max(installed + 1, answer.behind);
      }
    },
  };
}
