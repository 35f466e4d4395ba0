import { isServiceBusError, type ServiceBusErrorCode } from '@azure/service-bus';
import { defineErrors, type DmgError, firstLine, isDmgError } from '@dmg/base';

export const queueErrors = defineErrors('QUEUE', {
  BAD_CONNECTION_STRING: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use the Service Bus connection string: {reason}.',
    fix: 'Copy it from "Shared access policies" of the namespace: Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=….',
  },
  OTHER_QUEUE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use queue {queue}: the connection string is for {entityPath} only.',
    fix: 'Give the connection string of the namespace, or that of this queue.',
  },
  UNAUTHORIZED: {
    category: 'config', retry: 'backoff', scope: 'node',
    message: 'Cannot {verb} queue {queue}: Service Bus refused the key ({reason}).',
    fix: 'Check the key in the connection string and that its policy has the rights Listen and Send; check this machine\'s clock.',
  },
  NOT_FOUND: {
    category: 'config', retry: 'backoff', scope: 'node',
    message: 'Cannot {verb} queue {queue}: there is no such queue in the namespace.',
    fix: 'Create the queue {queue} (lock 10 s, 100 deliveries, duplicate detection on), or correct its name.',
  },
  TOO_LARGE: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot {verb} queue {queue}: the message is larger than the queue takes ({reason}).',
    fix: 'This is a defect of the gateway: large jobs go through a blob. Report it with the job id.',
  },
  QUOTA: {
    category: 'config', retry: 'backoff', scope: 'node',
    message: 'Cannot {verb} queue {queue}: the queue is full ({reason}).',
    fix: 'Look why its messages are not taken out: is a node of this gateway running? Otherwise raise the size of the queue.',
  },
  DISABLED: {
    category: 'config', retry: 'backoff', scope: 'node',
    message: 'Cannot {verb} queue {queue}: it is disabled.',
    fix: 'Set the status of the queue to Active.',
  },
  BUSY: {
    category: 'transient', retry: 'backoff', scope: 'node',
    message: 'Cannot {verb} queue {queue}: Service Bus is busy ({reason}).',
    fix: 'Wait; it is tried again. If it lasts, look at the throttled requests of the namespace.',
  },
  UNREACHABLE: {
    category: 'transient', retry: 'reconnect', scope: 'node',
    message: 'Cannot {verb} queue {queue}: Service Bus cannot be reached ({reason}).',
    fix: 'Check the host name and that this machine may open connections to it, port 5671 (or 443 over WebSockets).',
  },
  TIMEOUT: {
    category: 'transient', retry: 'reconnect', scope: 'node',
    message: 'Cannot {verb} queue {queue}: Service Bus gave no answer in time ({reason}).',
    fix: 'Wait; it is tried again over a new connection.',
  },
  LOCK_LOST: {
    category: 'transient', retry: 'never', scope: 'job',
    message: 'Cannot {verb} queue {queue}: the lock of message {messageId} is lost.',
    fix: 'Nothing: the message was settled already, or it is delivered again.',
  },
  ALREADY_STARTED: {
    category: 'system',
    retry: 'never',
    scope: 'node',
    message: 'Cannot start queue {queue}: it is started already.',
    fix: 'This is a defect of the gateway. Report it with the log of this node.',
  },
  STOPPED: {
    category: 'transient', retry: 'never', scope: 'job',
    message: 'Cannot {verb} queue {queue}: receiving was stopped.',
    fix: 'Nothing: the message is delivered again when its lock lapses.',
  },
  FAILED: {
    category: 'transient', retry: 'backoff', scope: 'node',
    message: 'Cannot {verb} queue {queue}: {reason}.',
    fix: 'Wait; it is tried again. If it lasts, report it with the log of this node.',
  },
});

export interface QueueOperation {
  /** As in *Cannot receive from queue x*. */
  readonly verb: string;
  readonly queue: string;
  readonly messageId?: string;
}

type ErrorName = Exclude<keyof typeof queueErrors, 'BAD_CONNECTION_STRING' | 'OTHER_QUEUE' | 'ALREADY_STARTED' | 'STOPPED'>;

/** Codes of the SDK's errors. What is not here is `FAILED`. */
const nameOfCode: Partial<Record<ServiceBusErrorCode, ErrorName>> = {
  UnauthorizedAccess: 'UNAUTHORIZED',
  MessagingEntityNotFound: 'NOT_FOUND',
  MessageSizeExceeded: 'TOO_LARGE',
  QuotaExceeded: 'QUOTA',
  MessagingEntityDisabled: 'DISABLED',
  ServiceBusy: 'BUSY',
  ServiceCommunicationProblem: 'UNREACHABLE',
  ServiceTimeout: 'TIMEOUT',
  MessageLockLost: 'LOCK_LOST',
  MessageNotFound: 'LOCK_LOST',
};

/** The SDK reports what Node says of a socket in texts and codes of its own; these mean that nobody is there. */
const unreachable =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EAI_AGAIN|EPIPE|Connection is reopening|socket|disconnected|CERT/i;
/** A second settling of one message fails in the SDK itself, without a code. */
const alreadySettled = /already settled|been deleted/i;

/** Turns anything that `@azure/service-bus` throws into an error of ours. */
export function fromServiceBusError(error: unknown, operation: QueueOperation): DmgError {
  if (isDmgError(error)) return error;
  const inner = unwrap(error);
  const reason = firstLine(inner) || 'no reason given';
  const { verb, queue } = operation;
  const create = queueErrors[nameOf(inner, reason)].create;
  return create({ verb, queue, reason, messageId: operation.messageId ?? '' }, { cause: inner });
}

function nameOf(error: unknown, reason: string): ErrorName {
  if (alreadySettled.test(reason)) return 'LOCK_LOST';
  const name = isServiceBusError(error) ? nameOfCode[error.code] : undefined;
  if (name !== undefined && name !== 'FAILED') return name;
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return unreachable.test(`${reason} ${String(code)}`) ? 'UNREACHABLE' : 'FAILED';
}

/** After several attempts the SDK throws an AggregateError without text; the last attempt says what is wrong now. */
function unwrap(error: unknown): unknown {
  if (!(error instanceof Error) || !('errors' in error) || !Array.isArray(error.errors)) return error;
  const last: unknown = error.errors.at(-1);
  return last === undefined ? error : unwrap(last);
}
