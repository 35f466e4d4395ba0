import { formatErrors } from '../errors.ts';
import {
  directoryEntryBytes, end64Bytes, endBytes, full16, full32, localHeaderBytes, locator64Bytes, zip64Extra, zipFlags, zipMethods,
  zipSignatures,
} from './zip-format.ts';

/** One file of an archive, as its directory says. */
export interface ZipEntry {
  /** Below the archive, `/` between parts, never `..`. */
  readonly name: string;
  readonly stored: boolean;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly contentBytes: number;
  /** Position of its local header in the archive. */
  readonly headerPosition: number;
}

export interface ZipFile {
  /** For errors. */
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Exactly so many bytes of the archive. */
  readonly read: (position: number, bytes: number) => Promise<Uint8Array>;
}

/** The comment behind the end record has at most this length. */
const commentBytesMax = full16;
/** A directory of this size names a million files. */
const directoryBytesMax = 64 * 1024 * 1024;

/** Reads the directory of an archive, which stands at its end. Folders are left out. Throws `DMG_FORMATS_ARCHIVE_…`. */
export async function readZipDirectory(file: ZipFile): Promise<ZipEntry[]> {
  const { start, length, entries } = await findDirectory(file);
  if (length > directoryBytesMax) throw invalid(file, start, `its directory is longer than ${directoryBytesMax} bytes`);
  if (start + length > file.sizeBytes) throw invalid(file, start, 'its directory lies outside it');
  const bytes = Buffer.from(await file.read(start, length));
  const found: ZipEntry[] = [];
  let offset = 0;
  for (let index = 0; index < entries; index++) {
    const position = start + offset;
    if (offset + directoryEntryBytes > length || bytes.readUInt32LE(offset) !== zipSignatures.directoryEntry) {
      throw invalid(file, position, `entry ${index + 1} of its directory does not begin where it should`);
    }
    const lengths = [28, 30, 32].map((field) => bytes.readUInt16LE(offset + field));
    const next = offset + lengths.reduce((sum, value) => sum + value, directoryEntryBytes);
    if (next > length) throw invalid(file, position, `entry ${index + 1} of its directory is cut off`);
    const entry = readEntry(file, bytes.subarray(offset, next), position);
    if (entry !== undefined) found.push(entry);
    offset = next;
  }
  return found;
}

/** Position of an entry's data: its local header has a length of its own. */
export async function findZipData(file: ZipFile, entry: Pick<ZipEntry, 'headerPosition' | 'compressedBytes'>): Promise<number> {
  const position = entry.headerPosition;
  if (position + localHeaderBytes > file.sizeBytes) throw invalid(file, position, 'an entry lies outside it');
  const head = Buffer.from(await file.read(position, localHeaderBytes));
  if (head.readUInt32LE(0) !== zipSignatures.localHeader) throw invalid(file, position, 'no entry begins where its directory says');
  const data = position + localHeaderBytes + head.readUInt16LE(26) + head.readUInt16LE(28);
  if (data + entry.compressedBytes > file.sizeBytes) throw invalid(file, position, 'an entry lies outside it');
  return data;
}

interface Directory {
  readonly start: number;
  readonly length: number;
  readonly entries: number;
}

async function findDirectory(file: ZipFile): Promise<Directory> {
  const tailBytes = Math.min(file.sizeBytes, endBytes + commentBytesMax);
  const tailStart = file.sizeBytes - tailBytes;
  const tail = Buffer.from(await file.read(tailStart, tailBytes));
  let offset = tail.length - endBytes;
  while (offset >= 0 && !isEnd(tail, offset)) offset--;
  if (offset < 0) throw invalid(file, file.sizeBytes, 'it does not end like a zip archive, or it is cut off');
  const end = tail.subarray(offset);
  const entries = end.readUInt16LE(10);
  const length = end.readUInt32LE(12);
  const start = end.readUInt32LE(16);
  const position = tailStart + offset;
  if (end.readUInt16LE(4) !== end.readUInt16LE(6)) throw invalid(file, position, 'it has several parts');
  if (entries !== full16 && length !== full32 && start !== full32) return { start, length, entries };
  return await findDirectory64(file, position) ?? { start, length, entries };
}

function isEnd(tail: Buffer, offset: number): boolean {
  return tail.readUInt32LE(offset) === zipSignatures.end && offset + endBytes + tail.readUInt16LE(offset + 20) === tail.length;
}

async function findDirectory64(file: ZipFile, endPosition: number): Promise<Directory | undefined> {
  const position = endPosition - locator64Bytes;
  if (position < 0) return undefined;
  const locator = Buffer.from(await file.read(position, locator64Bytes));
  if (locator.readUInt32LE(0) !== zipSignatures.locator64) return undefined;
  const place = number64(file, locator, 8, position);
  if (place + end64Bytes > file.sizeBytes) throw invalid(file, position, 'the end of its directory lies outside it');
  const end = Buffer.from(await file.read(place, end64Bytes));
  if (end.readUInt32LE(0) !== zipSignatures.end64) throw invalid(file, place, 'its directory does not end where it should');
  return { entries: number64(file, end, 32, place), length: number64(file, end, 40, place), start: number64(file, end, 48, place) };
}

function readEntry(file: ZipFile, bytes: Buffer, position: number): ZipEntry | undefined {
  const nameEnd = directoryEntryBytes + bytes.readUInt16LE(28);
  const name = checkedName(file, nameOf(bytes.subarray(directoryEntryBytes, nameEnd), bytes.readUInt16LE(8)));
  if (name === undefined) return undefined;
  if ((bytes.readUInt16LE(8) & zipFlags.encrypted) !== 0) {
    throw formatErrors.ARCHIVE_ENTRY.create({ file: file.fileName, name, reason: 'it is encrypted' });
  }
  const method = bytes.readUInt16LE(10);
  if (method !== zipMethods.stored && method !== zipMethods.deflated) {
    throw formatErrors.ARCHIVE_ENTRY.create({ file: file.fileName, name, reason: `it is compressed with method ${method}, not deflate` });
  }
  const [contentBytes = 0, compressedBytes = 0, headerPosition = 0] = wideFields(file, bytes, { nameEnd, position });
  return { name, stored: method === zipMethods.stored, crc: bytes.readUInt32LE(16), compressedBytes, contentBytes, headerPosition };
}

/** Lengths and position of an entry; those that do not fit into 32 bits stand in an extra field, in this order. */
function wideFields(file: ZipFile, bytes: Buffer, place: { nameEnd: number; position: number }): number[] {
  const values = [24, 20, 42].map((field) => bytes.readUInt32LE(field));
  if (!values.includes(full32)) return values;
  const extraEnd = place.nameEnd + bytes.readUInt16LE(30);
  for (let offset = place.nameEnd; offset + 4 <= extraEnd;) {
    const length = bytes.readUInt16LE(offset + 2);
    if (bytes.readUInt16LE(offset) === zip64Extra) {
      const extra = bytes.subarray(offset + 4, Math.min(offset + 4 + length, extraEnd));
      let used = 0;
      return values.map((value) => {
        if (value !== full32) return value;
        if (used + 8 > extra.length) throw invalid(file, place.position, 'an entry has no length of 64 bits');
        used += 8;
        return number64(file, extra, used - 8, place.position);
      });
    }
    offset += 4 + length;
  }
  return values;
}

function number64(file: ZipFile, bytes: Buffer, offset: number, position: number): number {
  const value = bytes.readBigUInt64LE(offset);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(file, position, 'a length is larger than any file');
  return Number(value);
}

/** Characters 128 to 255 of code page 437, in which names are that are not marked as UTF-8. */
const codePage437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

function nameOf(bytes: Buffer, flags: number): string {
  if ((flags & zipFlags.utf8) !== 0) return bytes.toString('utf8');
  return Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : codePage437[byte - 128] ?? '')).join('');
}

/** The name with `/` between its parts; undefined for a folder. Names that would leave the folder are refused. */
function checkedName(file: ZipFile, given: string): string | undefined {
  const name = given.replaceAll('\\', '/');
  const refuse = (reason: string): Error => formatErrors.ARCHIVE_ENTRY.create({ file: file.fileName, name: given, reason });
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) throw refuse('its name is not relative to the archive');
  if (name.includes('\0')) throw refuse('its name holds a zero character');
  const parts = name.split('/');
  if (parts.includes('..')) throw refuse('its name leads out of the archive');
  if (name.endsWith('/')) return undefined;
  const kept = parts.filter((part) => part !== '' && part !== '.').join('/');
  if (kept === '') throw refuse('it has no name');
  return kept;
}

function invalid(file: ZipFile, position: number, reason: string): Error {
  return formatErrors.ARCHIVE_INVALID.create({ file: file.fileName, position, reason });
}
