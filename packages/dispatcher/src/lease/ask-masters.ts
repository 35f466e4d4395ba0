import { type Clock, firstLine, type Logger, newId, type Random, withDeadline } from '@dmg/base';
import type { LeaseEffect, LeaseEvent, LeaseSettings, LeaseStore } from '@dmg/core';

/** The effects of the lease machine that ask the masters. */
export type Question = Extract<LeaseEffect, { type: 'peek' | 'acquire' | 'claim' | 'install' | 'renew' | 'seize' }>;

export interface AskOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: LeaseSettings;
  readonly nodeId: string;
  /** Where other nodes reach this one. */
  address(): string;
}

/**
 * Asks what the machine wants to know; gives the event that answers it. Never rejects and never hangs: the store has its own deadline
 * for every command, and one that does not keep it counts as silent.
 */
export function askMasters(question: Question, options: AskOptions): Promise<LeaseEvent> {
  const { store, random, settings, nodeId } = options;
  const silent = <T>(answer: T): T[] => Array.from({ length: store.masters }, () => answer);
  switch (question.type) {
    case 'peek':
      return within(options, 'look at the lease', async () => ({ type: 'peeked', sights: await store.peek() }), (reason) =>
        ({ type: 'peeked', sights: silent({ kind: 'silent', reason }) }));
    case 'acquire': {
      const token = newId(random);
      const unit = random.unit();
      return within(options, 'acquire the lease', async () => {
        const outcome = await store.acquire(token, settings.leaseMs) ? 'acquired' : 'refused';
        return { type: 'acquired', token, outcome, unit };
      }, () => ({ type: 'acquired', token, outcome: 'unknown', unit }));
    }
    case 'claim': {
      const { token } = question;
      return within(options, 'claim the lease', async () => ({ type: 'claimed', token, answers: await store.claim(token) }), () =>
        ({ type: 'claimed', token, answers: silent({ kind: 'silent' }) }));
    }
    case 'install': {
      const { epoch } = question;
      const node = { nodeId, address: options.address() };
      return within(options, 'install an epoch', async () => {
        const answers = await store.install(epoch, node);
        return { type: 'installed', epoch, answers };
      }, () => ({ type: 'installed', epoch, answers: silent({ kind: 'silent' }) }));
    }
    case 'renew': {
      const { token } = question;
      return within(options, 'renew the lease', async () => {
        const outcome = await store.renew(token, settings.leaseMs);
        return { type: 'renewed', token, outcome };
      }, () => ({ type: 'renewed', token, outcome: 'silent' }));
    }
    case 'seize': {
      const { token, beats } = question;
      return within(options, 'end a dead lease', async () => ({ type: 'seized', token, ended: await store.seize({ token, beats }) }), () =>
        ({ type: 'seized', token, ended: false }));
    }
  }
}

/** Gives a lease back, as far as that is possible now; what is not given back ends by itself. Never rejects. */
export async function giveBack(token: string, options: AskOptions): Promise<void> {
  const { store, clock, logger, settings } = options;
  try {
    await withDeadline({ clock, limitMs: limitMsOf(settings), what: 'release the lease' }, () => store.release(token));
  } catch (error) {
    logger.debug({ reason: firstLine(error) }, 'lease not released');
  }
}

/** Twice the deadline that the store has for a command: it may need two, and its own answer says more. */
function limitMsOf({ leaseMs }: LeaseSettings): number {
  return leaseMs / 2;
}

async function within(
  { clock, logger, settings }: AskOptions, what: string, ask: () => Promise<LeaseEvent>, failed: (reason: string) => LeaseEvent,
): Promise<LeaseEvent> {
  try {
    return await withDeadline({ clock, limitMs: limitMsOf(settings), what }, ask);
  } catch (error) {
    const reason = firstLine(error);
    logger.debug({ what, reason }, 'lease store failed');
    return failed(reason);
  }
}
