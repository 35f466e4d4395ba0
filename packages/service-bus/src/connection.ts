import { parseServiceBusConnectionString, ServiceBusClient, type ServiceBusClientOptions } from '@azure/service-bus';
import { baseErrors, type Clock, firstLine, hasCode, type Logger, type Secret, withDeadline } from '@dmg/base';
import { queueErrors } from './errors.ts';

/** Where Service Bus is and how to get there. */
export interface ServiceBusConnection {
  readonly connectionString: Secret;
  /** For networks that let only port 443 out: a WebSocket constructor and its options (proxy agent). */
  readonly webSocketOptions?: ServiceBusClientOptions['webSocketOptions'];
}

/**
 * The SDK's defaults wait 60 s for an answer and 30 s between attempts. Here an attempt is short, and what is slower is watched by
 * our own deadlines.
 */
const retryOptions = { timeoutInMs: 4000, retryDelayInMs: 200, maxRetryDelayInMs: 2000, mode: 0 } as const;

/** Checks a connection string without using it. Throws `BAD_CONNECTION_STRING` or `OTHER_QUEUE`; neither shows its content. */
export function checkConnection(connection: ServiceBusConnection, queueName?: string): void {
  let parsed: ReturnType<typeof parseServiceBusConnectionString>;
  try {
    parsed = parseServiceBusConnectionString(connection.connectionString.reveal());
  } catch (error) {
    throw queueErrors.BAD_CONNECTION_STRING.create({ reason: firstLine(error) });
  }
  if (parsed.sharedAccessKey === undefined && parsed.sharedAccessSignature === undefined) {
    throw queueErrors.BAD_CONNECTION_STRING.create({ reason: 'it has no SharedAccessKey' });
  }
  if (queueName !== undefined && parsed.entityPath !== undefined && parsed.entityPath !== queueName) {
    throw queueErrors.OTHER_QUEUE.create({ queue: queueName, entityPath: parsed.entityPath });
  }
}

/** Makes a client; it connects when it is first used. `maxRetries` counts repetitions by the SDK itself. */
export function openClient(connection: ServiceBusConnection, maxRetries: number): ServiceBusClient {
  return new ServiceBusClient(connection.connectionString.reveal(), {
    retryOptions: { ...retryOptions, maxRetries },
    ...(connection.webSocketOptions === undefined ? {} : { webSocketOptions: connection.webSocketOptions }),
  });
}

/**
 * Closes something of the SDK's, waiting at most `limitMs`: on a dead connection its `close` waits a minute. It goes on behind our
 * back then; nothing is lost by it but a socket for that long.
 */
export async function closeQuietly(
  options: { clock: Clock; logger: Logger; limitMs: number; what: string },
  close: () => Promise<void>,
): Promise<void> {
  const { clock, logger, limitMs, what } = options;
  try {
    await withDeadline({ clock, limitMs, what: `close ${what}` }, close);
  } catch (error) {
    const isSlow = hasCode(error, baseErrors.DEADLINE.code);
    logger.debug({ what, reason: isSlow ? 'no answer in time' : firstLine(error) }, 'closing was not confirmed');
  }
}
