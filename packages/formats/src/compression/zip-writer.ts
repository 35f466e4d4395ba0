import { formatErrors } from '../errors.ts';
import {
  directoryEntryBytes, end64Bytes, endBytes, full16, full32, localHeaderBytes, locator64Bytes, zip64Extra, zipFlags, zipMethods,
  zipSignatures,
} from './zip-format.ts';

/** The one file of an archive, before its bytes are known. */
export interface ZipEntryHead {
  readonly name: string;
  /** In UTC; times before 1980 are written as its beginning. */
  readonly modifiedMs: number;
  /** It may become longer than 4 GiB: its lengths are written with 64 bits, which some readers of streams do not expect otherwise. */
  readonly isLarge: boolean;
}

export interface ZipEntryFacts {
  readonly crc: number;
  readonly contentBytes: number;
  readonly compressedBytes: number;
}

/** Version that a reader must know: 2.0 for deflate, 4.5 for lengths of 64 bits. */
const version = { deflate: 20, zip64: 45 };

/** What stands before the compressed bytes. Lengths and checksum follow behind them. */
export function zipEntryHead(entry: ZipEntryHead): Uint8Array {
  const name = Buffer.from(entry.name);
  const extra = entry.isLarge ? Buffer.alloc(20) : Buffer.alloc(0);
  if (entry.isLarge) {
    extra.writeUInt16LE(zip64Extra, 0);
    extra.writeUInt16LE(16, 2);
  }
  const head = Buffer.alloc(localHeaderBytes);
  head.writeUInt32LE(zipSignatures.localHeader, 0);
  head.writeUInt16LE(entry.isLarge ? version.zip64 : version.deflate, 4);
  writeCommon(head, 6, entry);
  if (entry.isLarge) head.fill(0xff, 18, 26);
  head.writeUInt16LE(name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, name, extra]);
}

/** What stands behind the compressed bytes: their lengths and checksum, and the directory. */
export function zipTail(entry: ZipEntryHead, facts: ZipEntryFacts): Uint8Array {
  const { crc, contentBytes, compressedBytes } = facts;
  const isLarge = Math.max(contentBytes, compressedBytes) >= full32;
  if (isLarge && !entry.isLarge) throw formatErrors.ARCHIVE_TOO_LARGE.create({ file: entry.name, contentBytes });
  const descriptor = Buffer.alloc(entry.isLarge ? 24 : 16);
  descriptor.writeUInt32LE(zipSignatures.descriptor, 0);
  descriptor.writeUInt32LE(crc, 4);
  if (entry.isLarge) {
    descriptor.writeBigUInt64LE(BigInt(compressedBytes), 8);
    descriptor.writeBigUInt64LE(BigInt(contentBytes), 16);
  } else {
    descriptor.writeUInt32LE(compressedBytes, 8);
    descriptor.writeUInt32LE(contentBytes, 12);
  }
  const start = zipEntryHead(entry).length + compressedBytes + descriptor.length;
  const directory = directoryEntry(entry, facts);
  return Buffer.concat([descriptor, directory, ...directoryEnd(start, directory.length)]);
}

function directoryEntry(entry: ZipEntryHead, { crc, contentBytes, compressedBytes }: ZipEntryFacts): Buffer {
  const isLarge = Math.max(contentBytes, compressedBytes) >= full32;
  const extra = Buffer.alloc(isLarge ? 20 : 0);
  if (isLarge) {
    extra.writeUInt16LE(zip64Extra, 0);
    extra.writeUInt16LE(16, 2);
    extra.writeBigUInt64LE(BigInt(contentBytes), 4);
    extra.writeBigUInt64LE(BigInt(compressedBytes), 12);
  }
  const name = Buffer.from(entry.name);
  const head = Buffer.alloc(directoryEntryBytes);
  head.writeUInt32LE(zipSignatures.directoryEntry, 0);
  // Made by version 4.5 under Unix, where a file has a mode.
  head.writeUInt16LE((3 << 8) | version.zip64, 4);
  head.writeUInt16LE(entry.isLarge ? version.zip64 : version.deflate, 6);
  writeCommon(head, 8, entry);
  head.writeUInt32LE(crc, 16);
  head.writeUInt32LE(isLarge ? full32 : compressedBytes, 20);
  head.writeUInt32LE(isLarge ? full32 : contentBytes, 24);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE((0o100644 << 16) >>> 0, 38);
  return Buffer.concat([head, name, extra]);
}

function directoryEnd(start: number, length: number): Buffer[] {
  const isFar = start >= full32;
  const end = Buffer.alloc(endBytes);
  end.writeUInt32LE(zipSignatures.end, 0);
  end.writeUInt16LE(isFar ? full16 : 1, 8);
  end.writeUInt16LE(isFar ? full16 : 1, 10);
  end.writeUInt32LE(isFar ? full32 : length, 12);
  end.writeUInt32LE(isFar ? full32 : start, 16);
  if (!isFar) return [end];
  const end64 = Buffer.alloc(end64Bytes);
  end64.writeUInt32LE(zipSignatures.end64, 0);
  end64.writeBigUInt64LE(BigInt(end64Bytes - 12), 4);
  end64.writeUInt16LE(version.zip64, 12);
  end64.writeUInt16LE(version.zip64, 14);
  end64.writeBigUInt64LE(1n, 24);
  end64.writeBigUInt64LE(1n, 32);
  end64.writeBigUInt64LE(BigInt(length), 40);
  end64.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(locator64Bytes);
  locator.writeUInt32LE(zipSignatures.locator64, 0);
  locator.writeBigUInt64LE(BigInt(start + length), 8);
  locator.writeUInt32LE(1, 16);
  return [end64, locator, end];
}

/** Flags, method and time stand in one order in both headers. */
function writeCommon(head: Buffer, offset: number, entry: ZipEntryHead): void {
  const { date, time } = dosTime(entry.modifiedMs);
  head.writeUInt16LE(zipFlags.descriptor | zipFlags.utf8, offset);
  head.writeUInt16LE(zipMethods.deflated, offset + 2);
  head.writeUInt16LE(time, offset + 4);
  head.writeUInt16LE(date, offset + 6);
}

function dosTime(ms: number): { date: number; time: number } {
  const at = new Date(Math.min(Math.max(ms, Date.UTC(1980, 0, 1)), Date.UTC(2107, 11, 31)));
  return {
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  };
}
