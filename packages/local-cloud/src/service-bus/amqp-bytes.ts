/**
 * The few AMQP 1.0 encodings that the stand-in reads and writes itself, so that a message is passed on byte for byte and only its
 * header, annotations and changed properties are made anew. Source: AMQP 1.0 part 1 (types) and part 3 §3.2 (message format).
 */

/** Where a value that starts at `at` ends. Throws a RangeError when the bytes end before it does. */
export function skipValue(bytes: Buffer, at: number): number {
  const code = bytes.readUInt8(at);
  if (code === 0) return skipValue(bytes, skipValue(bytes, at + 1));
  const end = at + 1 + widthOf(bytes, code, at + 1);
  if (end > bytes.length) throw new RangeError('an AMQP value is cut off');
  return end;
}

/** Bytes after the constructor: the upper half of a type code tells the width or the width of the size before it. */
function widthOf(bytes: Buffer, code: number, at: number): number {
  switch (code >> 4) {
    case 0x4:
      return 0;
    case 0x5:
      return 1;
    case 0x6:
      return 2;
    case 0x7:
      return 4;
    case 0x8:
      return 8;
    case 0x9:
      return 16;
    case 0xa:
    case 0xc:
    case 0xe:
      return 1 + bytes.readUInt8(at);
    case 0xb:
    case 0xd:
    case 0xf:
      return 4 + bytes.readUInt32BE(at);
    default:
      throw new RangeError(`unknown AMQP type code 0x${code.toString(16)}`);
  }
}

/** A section of a message: its descriptor's number, where its value starts and where both begin and end. */
export interface Section {
  readonly code: number;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
}

export const sectionCodes = { header: 0x70, deliveryAnnotations: 0x71, annotations: 0x72, properties: 0x73, applicationProperties: 0x74 };

export function readSections(message: Buffer): Section[] {
  const sections: Section[] = [];
  for (let start = 0; start < message.length; ) {
    const valueStart = skipValue(message, start + 1);
    const end = skipValue(message, valueStart);
    sections.push({ code: descriptorCode(message, start + 1), start, valueStart, end });
    start = end;
  }
  return sections;
}

/** Symbolic descriptors are allowed but written by nobody we know; they count as body and are passed on untouched. */
function descriptorCode(bytes: Buffer, at: number): number {
  const code = bytes.readUInt8(at);
  if (code === 0x53) return bytes.readUInt8(at + 1);
  if (code === 0x80) return Number(bytes.readBigUInt64BE(at + 1));
  return -1;
}

/** The raw items of a map or list value. */
export function readItems(bytes: Buffer, at: number): Buffer[] {
  const code = bytes.readUInt8(at);
  const isWide = code === 0xd0 || code === 0xd1;
  if (!isWide && code !== 0xc0 && code !== 0xc1) return [];
  const count = isWide ? bytes.readUInt32BE(at + 5) : bytes.readUInt8(at + 2);
  const items: Buffer[] = [];
  for (let start = at + (isWide ? 9 : 3); items.length < count; ) {
    const end = skipValue(bytes, start);
    items.push(bytes.subarray(start, end));
    start = end;
  }
  return items;
}

/** Text of a string or symbol item, undefined for others. */
export function readText(item: Buffer): string | undefined {
  const code = item.readUInt8(0);
  if (code === 0xa1 || code === 0xa3) return item.toString('utf8', 2);
  if (code === 0xb1 || code === 0xb3) return item.toString('utf8', 5);
  return undefined;
}

export function writeSection(code: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x00, 0x53, code]), value]);
}

export function writeMap(items: readonly Buffer[]): Buffer {
  return writeCompound(0xd1, items);
}

export function writeList(items: readonly Buffer[]): Buffer {
  return writeCompound(0xd0, items);
}

function writeCompound(code: number, items: readonly Buffer[]): Buffer {
  const head = Buffer.allocUnsafe(9);
  const bytes = items.reduce((sum, item) => sum + item.length, 0);
  head.writeUInt8(code, 0);
  head.writeUInt32BE(bytes + 4, 1);
  head.writeUInt32BE(items.length, 5);
  return Buffer.concat([head, ...items]);
}

export const nullItem: Buffer = Buffer.from([0x40]);

export function writeSymbol(text: string): Buffer {
  return writeVariable(text, 0xa3, 0xb3);
}

export function writeString(text: string): Buffer {
  return writeVariable(text, 0xa1, 0xb1);
}

function writeVariable(text: string, shortCode: number, longCode: number): Buffer {
  const content = Buffer.from(text, 'utf8');
  const head = content.length < 256 ? Buffer.from([shortCode, content.length]) : Buffer.alloc(5, longCode);
  if (content.length >= 256) head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

export function writeBoolean(value: boolean): Buffer {
  return Buffer.from([value ? 0x41 : 0x42]);
}

export function writeUint(value: number): Buffer {
  const bytes = Buffer.alloc(5, 0x70);
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

export function writeInt(value: number): Buffer {
  const bytes = Buffer.alloc(5, 0x71);
  bytes.writeInt32BE(value, 1);
  return bytes;
}

export function writeLong(value: number): Buffer {
  return writeWide(0x81, value);
}

/** Milliseconds since the Unix epoch. */
export function writeTimestamp(wallMs: number): Buffer {
  return writeWide(0x83, wallMs);
}

function writeWide(code: number, value: number): Buffer {
  const bytes = Buffer.alloc(9, code);
  bytes.writeBigInt64BE(BigInt(Math.trunc(value)), 1);
  return bytes;
}

export function writeDouble(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0x82);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

/** A value of an application property. */
export function writeSimple(value: string | number | boolean | null): Buffer {
  if (value === null) return nullItem;
  if (typeof value === 'string') return writeString(value);
  if (typeof value === 'boolean') return writeBoolean(value);
  return Number.isSafeInteger(value) ? writeLong(value) : writeDouble(value);
}
