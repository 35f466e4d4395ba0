import type { Clock, Logger, Random } from '@dmg/base';
import { firstLine, isDmgError, withDeadline } from '@dmg/base';
import type { Connector, ConnectorContext, Sink, SinkState } from '@dmg/connector-api';
import type { CopyEnd, Job } from '@dmg/model';
import type { SourceEnd } from './copy-context.ts';
import { CopyLogs } from './copy-logs.ts';
import { engineErrors } from './errors.ts';
import type { EngineLimits } from './engine-limits.ts';
import type { CopySecrets } from './overlap.ts';
import { readingArchives } from './reading-archives.ts';
import type { StoreCalls } from './store-calls.ts';

export interface StoreEndsOptions {
  readonly job: Job;
  readonly attemptId: string;
  readonly connectors: ReadonlyMap<string, Connector>;
  readonly secrets: CopySecrets;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: EngineLimits;
  readonly calls: StoreCalls;
}

/** Both ends of one attempt: opened at most once, closed together, and the sink closed for good when the job ends badly. */
export class StoreEnds {
  readonly #options: StoreEndsOptions;
  #source: SourceEnd | undefined;
  #sink: Sink | undefined;
  /** What the copy writes about itself. */
  readonly logs: CopyLogs;

  constructor(options: StoreEndsOptions) {
    this.#options = options;
    this.logs = new CopyLogs(options);
  }

  async source(signal: AbortSignal): Promise<SourceEnd> {
    const end = this.#options.job.activity.source;
    const connector = this.#connector(end, 'source');
    const isTable = end.format.type === 'Table';
    if (isTable && connector.openTableSource === undefined) throw noTables(end, 'source');
    this.#source ??= await this.#open({ what: 'open the source', signal }, async (callSignal): Promise<SourceEnd> => {
      const context = this.#context('source');
      if (isTable && connector.openTableSource !== undefined) {
        return { kind: 'table', table: await whole(callSignal, connector.openTableSource(end, context)) };
      }
      const files = await whole(callSignal, connector.openSource(end, context));
      return { kind: 'objects', objects: readingArchives(this.#options.job.activity, files) };
    });
    return this.#source;
  }

  async sink(signal: AbortSignal): Promise<Sink> {
    const { job, attemptId } = this.#options;
    const end = job.activity.sink;
    const connector = this.#connector(end, 'sink');
    this.#sink ??= await this.#open({ what: 'open the sink', signal }, (callSignal) =>
      whole(callSignal, connector.openSink(end, { jobId: job.jobId, attemptId }, this.#context('sink'))));
    return this.#sink;
  }

  /**
   * Aborts the job at the sink, trying for `abortLimitMs`. Returns what stands there afterwards (`done` when another attempt had
   * finished), or undefined when the sink could not be reached. Does not listen to the attempt's signal: it is called because
   * the attempt was stopped.
   */
  async abort(): Promise<SinkState | undefined> {
    const { calls, clock, limits, logger } = this.#options;
    const what = 'close the job at the sink';
    try {
      return await withDeadline({ clock, limitMs: limits.abortLimitMs, what }, (signal) =>
        calls.repeating('call', { what, signal }, async () => {
          const sink = await this.sink(signal);
          const state = await calls.once({ what, limitMs: limits.abortLimitMs / 3, signal }, (callSignal) => sink.abort(callSignal));
          if (state.phase === 'aborted') await this.logs.clear(signal);
          return state;
        }));
    } catch (error) {
      const code = isDmgError(error) ? error.code : 'none';
      logger.warn({ code, reason: firstLine(error) }, 'sink could not be closed, to be repeated later');
      return undefined;
    }
  }

  /** Lets go of connections. A store that does not close in time is left alone. */
  async close(): Promise<void> {
    const { calls, limits, logger } = this.#options;
    const never = new AbortController().signal;
    const source = this.#source?.kind === 'table' ? this.#source.table : this.#source?.objects;
    await Promise.all([source, this.#sink, this.logs].map(async (end) => {
      try {
        await calls.once({ what: 'close a store', limitMs: limits.closeLimitMs, signal: never }, () => end?.close() ?? Promise.resolve());
      } catch (error) {
        logger.debug({ reason: firstLine(error) }, 'store was not closed');
      }
    }));
  }

  #open<T>(options: { what: string; signal: AbortSignal }, open: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#options.calls.repeated(options, open);
  }

  #connector(end: CopyEnd, side: 'source' | 'sink'): Connector {
    const connector = this.#options.connectors.get(end.connector);
    if (connector === undefined) throw engineErrors.CONNECTOR_UNKNOWN.create({ side, connector: end.connector });
    if (!connector.spec[side]) throw engineErrors.NOT_A_SIDE.create({ side, connector: end.connector });
    return connector;
  }

  #context(side: 'source' | 'sink'): ConnectorContext {
    const { clock, random, logger, secrets, limits } = this.#options;
    return { clock, random, logger: logger.child({ side }), secrets: secrets[side], callLimitMs: limits.callLimitMs };
  }
}

/** The format of an end is not one that its connector has on this side. */
export function noTables(end: CopyEnd, side: 'source' | 'sink'): Error {
  return engineErrors.NO_TABLES.create({ side, format: end.format.type, connector: end.connector });
}

/** An end that was opened after the call had been given up is closed at once: nobody else knows of it. */
async function whole<T extends { close(): Promise<void> }>(signal: AbortSignal, opening: Promise<T>): Promise<T> {
  const end = await opening;
  if (signal.aborted) await end.close();
  return end;
}
