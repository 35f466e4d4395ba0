import rhea from 'rhea';
import { readChanges, readIncoming, writeOutgoing } from './amqp-message.ts';
import { tokenFromUuid, uuidFromToken } from './lock-token.ts';
import type { Entity } from './queue-store.ts';
import type { Outcome } from './queue-types.ts';

export interface ManagementReply {
  readonly status: number;
  readonly description: string;
  readonly condition?: string;
  readonly body?: unknown;
}

export interface ManagementContext {
  readonly entity: Entity;
  readonly nowMs: number;
  /** A new lock token. */
  readonly newToken: () => string;
  /** Resolves when everything that happened so far is on disk. */
  readonly durable: () => Promise<void>;
}

type Body = Readonly<Record<string, unknown>>;

const ok = (body?: unknown): ManagementReply => ({ status: 200, description: 'OK', body });
const notFound = (description: string): ManagementReply => ({ status: 404, description, condition: 'com.microsoft:message-not-found' });
const lockLost: ManagementReply = {
  status: 410,
  description: 'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.',
  condition: 'com.microsoft:message-lock-lost',
};
const badRequest = (description: string): ManagementReply => ({ status: 400, description, condition: 'com.microsoft:argument-error' });

/** Typecodes of AMQP arrays in replies. */
const typeCodes = { long: 0x81, timestamp: 0x83 };

/** One request to `<entity>/$management`. Names and shapes of the operations are those of the Service Bus AMQP protocol guide. */
export async function answerManagement(operation: string, body: Body, context: ManagementContext): Promise<ManagementReply> {
  switch (operation) {
    case 'com.microsoft:renew-lock':
      return renewLocks(body, context);
    case 'com.microsoft:peek-message':
      return peek(body, context);
    case 'com.microsoft:schedule-message':
      return await schedule(body, context);
    case 'com.microsoft:cancel-scheduled-message':
      return await cancelScheduled(body, context);
    case 'com.microsoft:receive-by-sequence-number':
      return receiveBySequence(body, context);
    case 'com.microsoft:update-disposition':
      return await updateDisposition(body, context);
    default:
      return {
        status: 501,
        description: `This Service Bus stand-in does not know the operation ${operation}; it has queues without sessions only.`,
        condition: 'amqp:not-implemented',
      };
  }
}

function renewLocks(body: Body, { entity, nowMs }: ManagementContext): ManagementReply {
  const untilMs = readTokens(body).map((token) => entity.queue.renew(entity.area, token, nowMs));
  if (untilMs.length === 0) return badRequest('No lock token was given.');
  if (untilMs.includes(undefined)) return lockLost;
  return ok({ expirations: rhea.types.wrap_array(untilMs, typeCodes.timestamp, undefined) });
}

function peek(body: Body, { entity, nowMs }: ManagementContext): ManagementReply {
  const from = readNumber(body['from-sequence-number']) ?? 0;
  const count = Math.min(readNumber(body['message-count']) ?? 1, 1000);
  entity.queue.advance(nowMs);
  const messages = entity.queue.peek(entity.area, from, count);
  if (messages.length === 0) return { status: 204, description: 'No messages.' };
  return ok({ messages: messages.map((message) => ({ message: writeOutgoing(message, deadLetterSource(entity)) })) });
}

async function schedule(body: Body, context: ManagementContext): Promise<ManagementReply> {
  const { entity, nowMs } = context;
  if (entity.area === 'dead') return badRequest('The dead-letter queue takes no messages.');
  const sequences: number[] = [];
  for (const item of Array.isArray(body['messages']) ? (body['messages'] as unknown[]) : []) {
    const bytes = typeof item === 'object' && item !== null && 'message' in item ? item.message : undefined;
    if (!Buffer.isBuffer(bytes)) return badRequest('A message to be scheduled has no content.');
    const result = entity.queue.enqueue(readIncoming(bytes, context.newToken), nowMs);
    // A duplicate is accepted and dropped, as on the sending link; no message has the number 0.
    sequences.push(result.kind === 'stored' ? result.sequence : 0);
  }
  await context.durable();
  for (const sequence of sequences) entity.queue.confirm(sequence);
  return ok({ 'sequence-numbers': rhea.types.wrap_array(sequences, typeCodes.long, undefined) });
}

async function cancelScheduled(body: Body, { entity, nowMs, durable }: ManagementContext): Promise<ManagementReply> {
  for (const sequence of readNumbers(body['sequence-numbers'])) {
    const isThere = entity.queue.cancelScheduled(sequence, nowMs);
    if (!isThere) return notFound(`There is no scheduled message with the sequence number ${sequence}.`);
  }
  await durable();
  return ok();
}

function receiveBySequence(body: Body, { entity, nowMs, newToken }: ManagementContext): ManagementReply {
  const { queue, area } = entity;
  const sequences = readNumbers(body['sequence-numbers']);
  const missing = sequences.find((sequence) => queue.deferred(area, sequence) === undefined);
  if (missing !== undefined) return notFound(`There is no deferred message with the sequence number ${missing}.`);
  const isLocking = readNumber(body['receiver-settle-mode']) === 1;
  const messages = sequences.map((sequence) => {
    const token = newToken();
    const message = queue.takeDeferred(area, sequence, isLocking ? token : undefined, nowMs);
    if (message === undefined) return {};
    return { message: writeOutgoing(message, deadLetterSource(entity)), 'lock-token': rhea.types.wrap_uuid(uuidFromToken(token)) };
  });
  return ok({ messages });
}

async function updateDisposition(body: Body, { entity, nowMs, durable }: ManagementContext): Promise<ManagementReply> {
  const outcome = readDisposition(body);
  const tokens = readTokens(body);
  if (outcome === undefined || tokens.length === 0) return badRequest('The disposition or its lock token is missing.');
  if (tokens.some((token) => !entity.queue.holds(entity.area, token, nowMs))) return lockLost;
  for (const token of tokens) {
    if (entity.queue.settle(entity.area, token, outcome, nowMs) === 'refused') return badRequest('A dead letter cannot be dead-lettered.');
  }
  await durable();
  return ok();
}

function readDisposition(body: Body): Outcome | undefined {
  const changes = readChanges(body['properties-to-modify']);
  switch (body['disposition-status']) {
    case 'completed':
      return { type: 'complete' };
    case 'abandoned':
      return { type: 'abandon', changes };
    // Spelt with one r on the wire.
    case 'defered':
      return { type: 'defer', changes };
    case 'suspended':
      return {
        type: 'deadLetter',
        reason: readText(body['deadletter-reason']),
        description: readText(body['deadletter-description']),
        changes,
      };
    default:
      return undefined;
  }
}

function deadLetterSource(entity: Entity): string | undefined {
  return entity.area === 'dead' ? entity.queue.name : undefined;
}

function readTokens(body: Body): string[] {
  const tokens: unknown = body['lock-tokens'];
  return Array.isArray(tokens) ? tokens.filter((token) => Buffer.isBuffer(token)).map(tokenFromUuid) : [];
}

/** AMQP longs arrive as numbers, or as 8 bytes beyond 2^53. */
function readNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return Buffer.isBuffer(value) && value.length === 8 ? Number(value.readBigInt64BE()) : undefined;
}

function readNumbers(value: unknown): number[] {
  return Array.isArray(value) ? value.map(readNumber).filter((number) => number !== undefined) : [];
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
