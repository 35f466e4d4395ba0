import { type Clock, firstLine, type Logger, type Random, systemRandom, withDeadline } from '@dmg/base';
import { findStoreId, localRootsOf, storeIdPath } from '@dmg/connector-file';
import type { Job, StoreClaim } from '@dmg/model';

export interface StoreBindingOptions {
  /** The claims of the gateway, as the desired state lists them. */
  readonly claims: () => readonly StoreClaim[];
  /** Claims a path at the control plane; answers the id that was claimed first. Rejects while the control plane is away. */
  readonly claim: (claim: StoreClaim) => Promise<{ readonly storeId: string }>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random?: Random;
  /** How long the file system, and how long the control plane, may take to answer. Default 1 s each. */
  readonly callLimitMs?: number;
}

/** That a path is fit is believed for so long; that it is not, only so long that jobs do not ask the disk again and again. */
const fitMs = 30_000;
const unfitMs = 5_000;

interface Verdict {
  /** Why jobs with this path may not run here; undefined: they may. */
  readonly reason: string | undefined;
  /** The claim of the path when it was judged. */
  readonly bound: string | undefined;
  readonly untilMs: number;
}

/**
 * Says why this node may not run a job: a local path of it is not here, or is another store here than on the nodes that use it already
 * (DESIGN-RULES 6). A path that nobody has claimed is claimed for the store that this node finds there. Never rejects.
 */
export function createStoreBinding(options: StoreBindingOptions): (job: Job) => Promise<string | undefined> {
  const binding = new StoreBinding(options);
  return async (job) => {
    const reasons = await Promise.all(localRootsOf(job).map((path) => binding.whyUnfit(path)));
    return reasons.find((reason) => reason !== undefined);
  };
}

class StoreBinding {
  readonly #options: StoreBindingOptions;
  readonly #verdicts = new Map<string, Verdict>();
  /** One look at a path at a time: a file system that hangs would take another thread for each. */
  readonly #looks = new Map<string, Promise<string | undefined>>();
  /** What the control plane answered and the desired state does not list yet, by path. */
  readonly #answered = new Map<string, string>();
  /** Paths for which the control plane knows that this node has their store. */
  readonly #told = new Set<string>();

  constructor(options: StoreBindingOptions) {
    this.#options = options;
  }

  async whyUnfit(path: string): Promise<string | undefined> {
    const bound = this.#boundId(path);
    const known = this.#verdicts.get(path);
    if (known !== undefined && known.bound === bound && this.#options.clock.monotonicMs() < known.untilMs) return known.reason;
    const reason = await this.#judge(path, bound).catch((error: unknown) => `${path} cannot be used on this node now: ${firstLine(error)}`);
    const untilMs = this.#options.clock.monotonicMs() + (reason === undefined ? fitMs : unfitMs);
    if (reason !== known?.reason) this.#options.logger.info({ path, reason }, 'local path judged');
    this.#verdicts.set(path, { reason, bound: this.#boundId(path), untilMs });
    return reason;
  }

  #boundId(path: string): string | undefined {
    const listed = this.#options.claims().find((claim) => claim.path === path)?.storeId;
    // From now on the desired state counts: it may forget the claim one day.
    if (listed !== undefined) this.#answered.delete(path);
    return listed ?? this.#answered.get(path);
  }

  async #judge(path: string, bound: string | undefined): Promise<string | undefined> {
    const found = await this.#look(path, bound === undefined);
    if (found === undefined) return `${path} does not exist on this node; create or mount it here, or let nodes run the job that have it.`;
    if (bound === undefined) return this.#claim(path, found);
    if (found !== bound) return otherStore(path, found, bound);
    // The control plane forgets a claim with the last node that it knows to have the store, so it is told; nothing waits for that.
    if (!this.#told.has(path)) void this.#tell(path, found);
    return undefined;
  }

  #look(path: string, create: boolean): Promise<string | undefined> {
    const { clock, random = systemRandom, callLimitMs: limitMs = 1_000 } = this.#options;
    const key = `${create} ${path}`;
    let look = this.#looks.get(key);
    if (look === undefined) {
      look = findStoreId(path, { create, random }).finally(() => this.#looks.delete(key));
      this.#looks.set(key, look);
    }
    const running = look;
    return withDeadline({ clock, limitMs, what: `look at ${path}` }, () => running);
  }

  async #claim(path: string, found: string): Promise<string | undefined> {
    let first: string;
    try {
      first = await this.#ask(path, found);
    } catch (error) {
      const reason = firstLine(error);
      return `${path} is used for the first time and cannot be claimed for this node while the control plane does not answer: ${reason}`;
    }
    this.#answered.set(path, first);
    return first === found ? undefined : otherStore(path, found, first);
  }

  async #tell(path: string, found: string): Promise<void> {
    this.#told.add(path);
    try {
      await this.#ask(path, found);
    } catch (error) {
      this.#told.delete(path);
      this.#options.logger.debug({ path, reason: firstLine(error) }, 'control plane does not know yet that this node has the store');
    }
  }

  async #ask(path: string, storeId: string): Promise<string> {
    const { clock, claim, callLimitMs: limitMs = 1_000 } = this.#options;
    const answer = await withDeadline({ clock, limitMs, what: `claim ${path}` }, () => claim({ path, storeId }));
    if (answer.storeId === storeId) this.#told.add(path);
    return answer.storeId;
  }
}

function otherStore(path: string, found: string, bound: string): string {
  return [
    `${path} is another folder on this node than on those that use it already (store id ${found} here, ${bound} there).`,
    `Mount the same folder here, or give this one a path of its own; if it is the same folder, write ${bound} into ${path}/${storeIdPath}.`,
  ].join(' ');
}
