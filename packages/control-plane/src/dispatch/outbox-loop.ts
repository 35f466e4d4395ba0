import { asDmgError, backoffMs, type Clock, type Logger, type Meter, type Random, withDeadline } from '@dmg/base';
import type { JobSender } from '@dmg/core';
import type { Db } from '../database/open-database.ts';
import { messagesSentTotal } from '../metrics.ts';
import type { RunTracker } from '../tracking/run-tracker.ts';
import type { JobBuilder, SignedJob } from './job-builder.ts';
import { Alarm } from './alarm.ts';

export interface OutboxOptions {
  readonly db: Db;
  readonly builder: JobBuilder;
  readonly tracker: RunTracker;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Called when the queue has stored a job's message. */
  readonly onSent: (jobId: string, sendNo: number) => void;
  readonly sendLimitMs?: number;
}

interface Claimed {
  readonly jobId: string;
  readonly messageId: string;
  readonly sendNo: number;
}

const batchMax = 16;
/** A message of at most this size carries the job; a larger job is fetched by its address. */
export const bodyBytesMax = 200 * 1024;

/** The queue of a gateway. */
export function queueNameOf(gatewayId: string): string {
  return `dmg-${gatewayId}`;
}

/**
 * Takes what is due from the outbox to the queues. Each gateway has a lane of its own, so that a queue that fails delays no other.
 *
 * A message gets its id and `sendNo` on disk before it is sent for the first time, and keeps them until the queue has it: after a
 * crash or an unknown outcome the same message is sent again, and duplicate detection or the dispatcher's ledger recognises it.
 */
export class OutboxLoop {
  readonly #options: OutboxOptions;
  readonly #alarm: Alarm;
  readonly #lanes = new Map<string, Promise<void>>();
  /** Gateways whose queue failed: how often in a row, until when nothing is tried, and why. */
  readonly #failing = new Map<string, { failures: number; untilMs: number; reason: string }>();

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock);
  }

  /** Something may be due. */
  wake(): void {
    this.#alarm.ring();
  }

  /** Why messages to this gateway do not leave at present; undefined when they do. */
  troubleOf(gatewayId: string): string | undefined {
    return this.#failing.get(gatewayId)?.reason;
  }

  /** Runs until the signal; resolves when the last send has settled. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    const onAbort = (): void => this.#alarm.ring();
    signal.addEventListener('abort', onAbort);
    while (!signal.aborted) {
      let waitMs = 1000;
      try {
        waitMs = await this.#startLanes(signal);
      } catch (error) {
        logger.error({ error: asDmgError(error) }, 'outbox could not be read');
      }
      if (!signal.aborted) await this.#alarm.wait(waitMs);
    }
    signal.removeEventListener('abort', onAbort);
    await Promise.all(this.#lanes.values());
  }

  /** Starts a lane for each gateway that has something due; answers how long nothing more can be. */
  async #startLanes(signal: AbortSignal): Promise<number> {
    const { db, clock } = this.#options;
    const waiting = await db
      .selectFrom('outbox')
      .innerJoin('gateways', 'gateways.id', 'outbox.gateway_id')
      .select((eb) => ['outbox.gateway_id', eb.fn.min('outbox.due_at').as('due_at')])
      .where('gateways.credential_key', 'is not', null)
      .groupBy('outbox.gateway_id')
      .execute();
    let waitMs = 60_000;
    for (const { gateway_id: gatewayId, due_at: dueAt } of waiting) {
      if (this.#lanes.has(gatewayId)) continue;
      const failing = this.#failing.get(gatewayId);
      const restMs = Math.max(Number(dueAt) - clock.wallMs(), failing === undefined ? 0 : failing.untilMs - clock.monotonicMs());
      if (restMs > 0) {
        waitMs = Math.min(waitMs, restMs);
        continue;
      }
      const lane = this.#lane(gatewayId, signal).finally(() => {
        this.#lanes.delete(gatewayId);
        this.#alarm.ring();
      });
      this.#lanes.set(gatewayId, lane);
    }
    return waitMs;
  }

  async #lane(gatewayId: string, signal: AbortSignal): Promise<void> {
    const { logger, clock, random } = this.#options;
    try {
      while (!signal.aborted) {
        const batch = await this.#claim(gatewayId);
        if (batch.length === 0) return;
        await this.#sendAll(gatewayId, batch, signal);
        if (this.#failing.delete(gatewayId)) logger.info({ gatewayId }, 'messages reach the queue again');
      }
    } catch (error) {
      if (signal.aborted) return; // Stopping: what was claimed keeps its id and is sent after the next start.
      const failures = (this.#failing.get(gatewayId)?.failures ?? 0) + 1;
      const known = asDmgError(error);
      this.#failing.set(gatewayId, {
        failures, untilMs: clock.monotonicMs() + backoffMs(failures - 1, random.unit()), reason: known.message,
      });
      if (failures === 1 || failures % 20 === 0) logger.warn({ gatewayId, failures, error: known }, 'messages do not reach the queue');
    }
  }

  /** Chooses what is sent next and gives each message its id and number, on disk. */
  #claim(gatewayId: string): Promise<Claimed[]> {
    const { db, clock } = this.#options;
    return db.transaction().execute(async (trx) => {
      const due = await trx
        .selectFrom('outbox')
        .innerJoin('activity_runs', 'activity_runs.job_id', 'outbox.job_id')
        .select(['outbox.job_id', 'outbox.message_id', 'outbox.send_no', 'activity_runs.sends'])
        .where('outbox.gateway_id', '=', gatewayId)
        .where('due_at', '<=', clock.wallMs())
        .orderBy('due_at')
        .limit(batchMax)
        .execute();
      const fresh = due.filter(({ message_id: messageId }) => messageId === null).length;
      const gateway = await trx
        .updateTable('gateways')
        .set((eb) => ({ next_send_no: eb('next_send_no', '+', fresh) }))
        .where('id', '=', gatewayId)
        .returning('next_send_no')
        .executeTakeFirstOrThrow();
      let sendNo = gateway.next_send_no - fresh;
      const claimed: Claimed[] = [];
      for (const row of due) {
        if (row.message_id !== null && row.send_no !== null) {
          claimed.push({ jobId: row.job_id, messageId: row.message_id, sendNo: row.send_no });
          continue;
        }
        const message: Claimed = { jobId: row.job_id, messageId: `${row.job_id}.${row.sends + 1}`, sendNo: sendNo++ };
        claimed.push(message);
        await trx
          .updateTable('outbox')
          .set({ message_id: message.messageId, send_no: message.sendNo })
          .where('job_id', '=', row.job_id)
          .execute();
        await trx
          .updateTable('activity_runs')
          .set({ sends: row.sends + 1, send_no: message.sendNo })
          .where('job_id', '=', row.job_id)
          .execute();
      }
      return claimed;
    });
  }

  async #sendAll(gatewayId: string, batch: readonly Claimed[], signal: AbortSignal): Promise<void> {
    const { db, onSent } = this.#options;
    const results = await Promise.allSettled(batch.map((message) => this.#sendOne(gatewayId, message, signal)));
    const sent = batch.filter((_message, index) => results[index]?.status === 'fulfilled');
    if (sent.length > 0) {
      await db.transaction().execute(async (trx) => {
        for (const { jobId, messageId } of sent) {
          await trx.deleteFrom('outbox').where('job_id', '=', jobId).where('message_id', '=', messageId).execute();
        }
      });
    }
    for (const { jobId, sendNo } of sent) onSent(jobId, sendNo);
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  async #sendOne(gatewayId: string, message: Claimed, signal: AbortSignal): Promise<void> {
    const { sender, clock, meter } = this.#options;
    const job = await this.#build(gatewayId, message);
    if (job === undefined) return;
    const body = Buffer.byteLength(job.jws) <= bodyBytesMax ? job.jws : JSON.stringify({ address: `/gateway/v1/jobs/${message.jobId}` });
    try {
      await withDeadline({ clock, limitMs: this.#options.sendLimitMs ?? 30_000, what: 'send a job to the queue', signal }, () =>
        sender.send({ queueName: queueNameOf(gatewayId), messageId: message.messageId, sendNo: message.sendNo, body }),
      );
    } catch (error) {
      meter.add(messagesSentTotal, 1, { outcome: 'failed' });
      throw error;
    }
    meter.add(messagesSentTotal, 1, { outcome: 'sent' });
  }

  /** Undefined when there is nothing to send: the job is gone, or can never be made and has been failed with the reason. */
  async #build(gatewayId: string, { jobId, messageId }: Claimed): Promise<SignedJob | undefined> {
    const { builder, tracker, db, logger } = this.#options;
    try {
      return await builder.build(jobId, gatewayId);
    } catch (error) {
      const known = asDmgError(error);
      if (known.retry !== 'never' || known.code === 'DMG_BASE_UNEXPECTED') throw known;
      const row = await db.selectFrom('activity_runs').select(['run_id', 'name']).where('job_id', '=', jobId).executeTakeFirst();
      logger.error({ jobId, error: known }, 'job cannot be made');
      const neverLeft = messageId === `${jobId}.1`;
      if (row !== undefined) await tracker.apply(row.run_id, { type: 'abandoned', activity: row.name, fault: known.toFault(), neverLeft });
      return undefined;
    }
  }
}
