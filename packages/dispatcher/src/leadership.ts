import { asDmgError, backoffMs, type DmgError, hasCode, isStopReason, sleep } from '@dmg/base';
import { type Epoch, formatEpoch } from '@dmg/model';
import type { DispatchLoop } from './dispatch-loop.ts';
import { dispatcherErrors } from './errors.ts';
import { createSoleEpochSource, type EpochSource } from './epoch-source.ts';
import { LedgerSession } from './ledger-session.ts';
import type { Mail } from './mail.ts';
import { dispatcherMetrics } from './metrics.ts';
import type { DispatcherOptions, DispatcherSettings } from './options.ts';

/** A dispatcher that led for so long begins its backoff anew. */
const steadyMs = 10_000;
/** How often a repeated failure to get a grant is logged. */
const logEveryFailures = 20;

export interface LeadershipHooks {
  onLead(): void;
  onStepDown(): Promise<void>;
}

/**
 * Gets the right to act and keeps to it (DESIGN-RULES 12, steps 5 to 9):
 * 1. a grant: an epoch larger than all before it,
 * 2. Hello to every worker, whose answer is the complete list of its attempts,
 * 3. the ledger's records, merged with what memory holds,
 * 4. the lists: listed and known → adopted; listed and unknown → written; known and not listed → waits again,
 * 5. everything that the ledger does not hold is written to it,
 * 6. only then jobs are received and placed, and ends that are not reported yet are reported.
 * When a write is not taken, nothing is received or placed until all of this was done again. Running attempts do not notice, and
 * ends go on being reported.
 */
export class Leadership {
  readonly #loop: DispatchLoop;
  readonly #options: DispatcherOptions;
  readonly #settings: DispatcherSettings;
  readonly #epochs: EpochSource;
  readonly #hooks: LeadershipHooks;
  /** Largest epoch number that any worker has told. */
  #above = 0;
  #life: string | undefined;
  #trouble: DmgError | undefined;
  #failures = 0;

  constructor(loop: DispatchLoop, options: DispatcherOptions, settings: DispatcherSettings, hooks: LeadershipHooks) {
    this.#loop = loop;
    this.#options = options;
    this.#settings = settings;
    this.#hooks = hooks;
    this.#epochs = options.epochs ?? createSoleEpochSource(options);
  }

  /** Why this node does not lead; undefined when it does. */
  get trouble(): DmgError | undefined {
    return this.#trouble;
  }

  /** Leads until the signal is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options;
    const aborted = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
    for (let repetition = 0; !signal.aborted; ) {
      const sinceMs = clock.monotonicMs();
      try {
        const session = await this.#acquire(signal);
        if (signal.aborted) return;
        this.#trouble = undefined;
        this.#failures = 0;
        this.#hooks.onLead();
        this.#trouble = await Promise.race([session.lost, aborted]);
        this.#loop.leading = false;
        await this.#hooks.onStepDown();
        if (signal.aborted) return;
        const { code, message: reason } = this.#trouble ?? {};
        logger.warn({ epoch: formatEpoch(session.epoch), code, reason }, 'dispatcher stepped down');
        // A loss of data is mended at once; one that repeats itself is not.
        repetition = clock.monotonicMs() - sinceMs > steadyMs ? 0 : repetition + 1;
        if (repetition <= 1) continue;
      } catch (error) {
        if (signal.aborted) return;
        this.#onFailure(asDmgError(error));
        repetition += 1;
        // After a loss of data the workers know more than the ledger: what they told is all that was missing.
        if (repetition === 1 && hasCode(error, dispatcherErrors.HELLO_REFUSED.code)) continue;
      }
      await sleep(clock, backoffMs(repetition - 1, random.unit(), this.#settings.grantBackoff), signal).catch(rethrowUnlessStopped);
    }
  }

  async #acquire(signal: AbortSignal): Promise<LedgerSession> {
    const { ledger, clock, logger, meter } = this.#options;
    const { epoch, life } = await this.#epochs.grant(this.#above);
    const lostData = this.#life !== undefined && this.#life !== life;
    const lists = await this.#helloAll(epoch);
    const records = await ledger.readAll();
    signal.throwIfAborted();
    const session = new LedgerSession(ledger, epoch);
    this.#loop.table.merge(records, clock.monotonicMs());
    this.#loop.session = session;
    // Ends that came meanwhile belong to the attempts of the ledger's records; the lists then say what is left.
    for (const list of lists) this.#loop.post(list);
    this.#loop.resume();
    // The loop handles the lists in the next microtask; what they change is written with the rest.
    await Promise.resolve();
    await this.#writeBack(session);
    signal.throwIfAborted();
    this.#life = life;
    meter.add(dispatcherMetrics.grants, 1, { cause: lostData ? 'data_lost' : this.#trouble === undefined ? 'start' : 'unreachable' });
    logger.info({ epoch: formatEpoch(epoch), records: records.length, jobs: this.#loop.table.size, lostData }, 'dispatcher leads');
    this.#loop.leading = true;
    return session;
  }

  async #helloAll(epoch: Epoch): Promise<Mail[]> {
    const { roster } = this.#loop;
    const answers = await Promise.all(roster.nodeIds.map(async (nodeId) => ({ nodeId, ...await this.#loop.hello(nodeId, epoch) })));
    const refused = answers.flatMap(({ nodeId, result }) => (result.kind === 'refused' ? [{ nodeId, known: result.known }] : []));
    const [first] = refused;
    if (first !== undefined) {
      this.#above = Math.max(this.#above, ...refused.map(({ known }) => known.n));
      throw dispatcherErrors.HELLO_REFUSED.create({ nodeName: roster.nodeName(first.nodeId), known: formatEpoch(first.known) });
    }
    return answers.flatMap(({ mail }) => (mail === undefined ? [] : [mail]));
  }

  /** What the lists changed and what the ledger has lost. */
  async #writeBack(session: LedgerSession): Promise<void> {
    const behind = [...this.#loop.table.all()].filter(
      ({ written, record }) => written?.version !== record.version || written.epochN !== record.epochN,
    );
    await Promise.all(behind.map((entry) => this.#loop.effects.write(entry)));
    if (!session.alive) throw await session.lost;
  }

  #onFailure(error: DmgError): void {
    this.#trouble = error;
    if (this.#failures++ % logEveryFailures !== 0) return;
    this.#options.logger.warn({ code: error.code, reason: error.message, failures: this.#failures }, 'dispatcher cannot lead yet');
  }
}

/** The wait for the next attempt ends early when the dispatcher stops. */
function rethrowUnlessStopped(error: unknown): void {
  if (!isStopReason(error)) throw error;
}
