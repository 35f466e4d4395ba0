import type { ServiceBusClient, ServiceBusReceivedMessage } from '@azure/service-bus';
import { type Clock, type Logger, withDeadline } from '@dmg/base';
import type { DeadLetterReport } from '@dmg/model';
import { closeQuietly } from './connection.ts';
import { fromServiceBusError } from './errors.ts';

/** How long the sub-queue may stay silent before it counts as empty. */
const emptyWaitMs = 500;
const receiveLimitMs = 6000;

export interface DrainOptions {
  readonly client: ServiceBusClient;
  readonly queueName: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isStopped: () => boolean;
  readonly take: (report: DeadLetterReport) => Promise<void>;
}

/**
 * Hands over the dead letters of a queue, one after another, and completes each that was taken; one that was not taken is given
 * back and its error thrown. Returns how many were taken.
 */
export async function drainDeadLetters(options: DrainOptions): Promise<number> {
  const { client, queueName, clock, logger, isStopped, take } = options;
  const operation = { verb: 'drain the dead letters of', queue: queueName };
  const receiver = client.createReceiver(queueName, {
    subQueueType: 'deadLetter',
    maxAutoLockRenewalDurationInMs: 0,
    skipParsingBodyAsJson: true,
  });
  const bounded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await withDeadline({ clock, limitMs: receiveLimitMs, what: `${operation.verb} queue ${queueName}` }, work);
    } catch (error) {
      throw fromServiceBusError(error, operation);
    }
  };
  try {
    for (let taken = 0; ; taken++) {
      const [message] = isStopped() ? [] : await bounded(() => receiver.receiveMessages(1, { maxWaitTimeInMs: emptyWaitMs }));
      if (message === undefined) return taken;
      try {
        await take(reportOf(message));
      } catch (error) {
        await bounded(() => receiver.abandonMessage(message));
        throw error;
      }
      // Unsettled after a lost connection it comes again, and is reported twice, which the control plane bears.
      await bounded(() => receiver.completeMessage(message));
    }
  } finally {
    await closeQuietly({ clock, logger, limitMs: 1000, what: 'the dead-letter receiver' }, () => receiver.close());
  }
}

function reportOf(message: ServiceBusReceivedMessage): DeadLetterReport {
  return {
    messageId: String(message.messageId ?? ''),
    reason: message.deadLetterReason ?? '',
    description: message.deadLetterErrorDescription ?? '',
    deliveryCount: message.deliveryCount ?? 0,
  };
}
