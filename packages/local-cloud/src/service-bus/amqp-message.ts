import rhea, { type Message } from 'rhea';
import {
  nullItem, readItems, readSections, readText, type Section, sectionCodes, writeInt, writeList, writeLong, writeMap, writeSection,
  writeSimple, writeString, writeSymbol, writeTimestamp, writeUint,
} from './amqp-bytes.ts';
import type { PropertyChanges, QueueMessage } from './queue-types.ts';

/** What the queue must know of a message that comes in. */
export interface IncomingMessage {
  readonly payload: Buffer;
  readonly idKey: string;
  readonly timeToLiveMs: number | undefined;
  readonly dueMs: number | undefined;
}

/** Message annotations that the broker sets; those of a sender are dropped. */
const brokerAnnotations = new Set([
  'x-opt-sequence-number', 'x-opt-enqueued-time', 'x-opt-locked-until', 'x-opt-message-state', 'x-opt-deadletter-source',
]);

/**
 * rhea gives only the decoded form of a message, in which a long beyond 2^53, a UUID and bytes look alike; encoding it again would
 * change them. So the bytes are remembered beside what rhea decoded from them. This process has no other user of rhea.
 */
const bytesOf = new WeakMap<object, Buffer>();
const decode = rhea.message.decode;
rhea.message.decode = (bytes: Buffer) => {
  const message = decode(bytes);
  bytesOf.set(message, bytes);
  return message;
};

/** Decodes a whole message. rhea's typings call the result by another name than the events do; it is the same. */
export function readMessage(bytes: Buffer): Message {
  const decoded: unknown = rhea.message.decode(bytes);
  return decoded as Message;
}

/** Reads a message as rhea decoded it, or one element of a batch. A message without id gets `newId()`: the SDK needs one to settle. */
export function readIncoming(source: Message | Buffer, newId: () => string): IncomingMessage {
  const message = Buffer.isBuffer(source) ? readMessage(source) : source;
  const given: unknown = message.message_id;
  const hasId = given !== undefined && given !== null;
  if (!hasId) message.message_id = newId();
  // A copy: rhea's bytes are a view of the socket's buffer.
  const payload = hasId ? Buffer.from(bytesOf.get(message) ?? rhea.message.encode(message)) : rhea.message.encode(message);
  const due: unknown = message.message_annotations?.['x-opt-scheduled-enqueue-time'];
  const ttl: unknown = message.ttl;
  return {
    payload,
    idKey: idKeyOf(message.message_id),
    timeToLiveMs: typeof ttl === 'number' && ttl > 0 ? ttl : undefined,
    dueMs: due instanceof Date ? due.getTime() : typeof due === 'number' ? due : undefined,
  };
}

/** The messages of a batch envelope (message format 0x80013700): each data section is one encoded message. */
export function readBatch(envelope: Buffer): Buffer[] {
  const body: unknown = rhea.message.decode(envelope)['body'];
  const content: unknown = typeof body === 'object' && body !== null && 'content' in body ? body.content : undefined;
  const parts: unknown[] = Array.isArray(content) ? content : [content];
  return parts.filter((part) => Buffer.isBuffer(part));
}

/** The message as a receiver gets it: our header and annotations, its own properties and body. */
export function writeOutgoing(message: QueueMessage, deadLetterSource: string | undefined): Buffer {
  const payload = Buffer.from(message.payload.buffer, message.payload.byteOffset, message.payload.byteLength);
  const sections = readSections(payload);
  const find = (code: number): Section | undefined => sections.find((section) => section.code === code);
  const parts = [writeHeader(payload, find(sectionCodes.header), message.deliveryCount)];
  parts.push(writeAnnotations(payload, find(sectionCodes.annotations), message, deadLetterSource));
  const properties = find(sectionCodes.properties);
  if (properties !== undefined) parts.push(payload.subarray(properties.start, properties.end));
  parts.push(writeApplicationProperties(payload, find(sectionCodes.applicationProperties), message.changes));
  for (const section of sections) {
    if (section.code < sectionCodes.header || section.code > sectionCodes.applicationProperties) {
      parts.push(payload.subarray(section.start, section.end));
    }
  }
  return Buffer.concat(parts);
}

/** durable, priority and ttl stay; first-acquirer is left out; delivery-count is ours. */
function writeHeader(payload: Buffer, section: Section | undefined, deliveryCount: number): Buffer {
  const items = section === undefined ? [] : readItems(payload, section.valueStart);
  const kept = [0, 1, 2].map((index) => items[index] ?? nullItem);
  return writeSection(sectionCodes.header, writeList([...kept, nullItem, writeUint(deliveryCount)]));
}

function writeAnnotations(
  payload: Buffer,
  section: Section | undefined,
  message: QueueMessage,
  deadLetterSource: string | undefined,
): Buffer {
  const items = section === undefined ? [] : keepItems(readItems(payload, section.valueStart), (key) => !brokerAnnotations.has(key));
  items.push(writeSymbol('x-opt-sequence-number'), writeLong(message.sequence));
  items.push(writeSymbol('x-opt-enqueued-time'), writeTimestamp(message.enqueuedMs));
  items.push(writeSymbol('x-opt-message-state'), writeInt({ active: 0, deferred: 1, scheduled: 2 }[message.state]));
  if (message.lock !== undefined) items.push(writeSymbol('x-opt-locked-until'), writeTimestamp(message.lock.untilMs));
  if (deadLetterSource !== undefined) items.push(writeSymbol('x-opt-deadletter-source'), writeString(deadLetterSource));
  return writeSection(sectionCodes.annotations, writeMap(items));
}

function writeApplicationProperties(payload: Buffer, section: Section | undefined, changes: PropertyChanges | undefined): Buffer {
  if (changes === undefined) return section === undefined ? Buffer.alloc(0) : payload.subarray(section.start, section.end);
  const items = section === undefined ? [] : keepItems(readItems(payload, section.valueStart), (key) => !(key in changes));
  for (const [key, value] of Object.entries(changes)) items.push(writeString(key), writeSimple(value));
  return writeSection(sectionCodes.applicationProperties, writeMap(items));
}

/** The key-value pairs whose key is kept. */
function keepItems(items: readonly Buffer[], keep: (key: string) => boolean): Buffer[] {
  return items.filter((_item, index) => keep(readText(items[index - (index % 2)] ?? nullItem) ?? ''));
}

/** A message id is a string, a number or a UUID; the three never equal each other. */
function idKeyOf(id: unknown): string {
  if (typeof id === 'string') return `s:${id}`;
  if (Buffer.isBuffer(id)) return `b:${id.toString('hex')}`;
  return `n:${String(id)}`;
}

/** Application properties given with an abandon, a deferral or a dead letter. */
export function readChanges(map: unknown): PropertyChanges | undefined {
  if (typeof map !== 'object' || map === null) return undefined;
  const changes: Record<string, string | number | boolean | null> = {};
  for (const [key, value] of Object.entries(map as Record<string, unknown>)) {
    if (value === undefined) continue;
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') changes[key] = value;
    else if (value instanceof Date) changes[key] = value.getTime();
    else changes[key] = Buffer.isBuffer(value) ? value.toString('hex') : JSON.stringify(value);
  }
  return Object.keys(changes).length === 0 ? undefined : changes;
}
