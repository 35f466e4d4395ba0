import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

const signature = { local: 0x04034b50, entry: 0x02014b50, end: 0x06054b50 };

/** A zip archive as other programs write it: lengths in the local headers, no descriptors. Every second file is stored. */
export function zipped(files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let position = 0;
  for (const [index, [path, given]] of Object.entries(files).entries()) {
    const content = Buffer.from(given);
    const isStored = index % 2 === 1;
    const bytes = isStored ? content : deflateRawSync(content);
    const name = Buffer.from(path);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(isStored ? 0 : 8, 4);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(position, 10);
    const local = Buffer.concat([word(signature.local), common, name, bytes]);
    entries.push(Buffer.concat([word(signature.entry), Buffer.from([20, 0]), common, tail, name]));
    locals.push(local);
    position += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(position, 12);
  return Buffer.concat([...locals, directory, word(signature.end), end]);
}

/** What the only file of an archive holds. Throws where it is called otherwise, or the archive contradicts itself. */
export function unzipped(archive: Uint8Array, name: string): Uint8Array {
  const bytes = Buffer.from(archive);
  const end = bytes.length - 22;
  if (bytes.readUInt32LE(end) !== signature.end || bytes.readUInt16LE(end + 10) !== 1) throw new Error('not an archive of one file');
  const entry = bytes.readUInt32LE(end + 16);
  if (bytes.readUInt32LE(entry) !== signature.entry) throw new Error('no entry where the end says');
  const nameBytes = bytes.readUInt16LE(entry + 28);
  const found = bytes.toString('utf8', entry + 46, entry + 46 + nameBytes);
  if (found !== name) throw new Error(`the file is called ${found}`);
  const local = bytes.readUInt32LE(entry + 42);
  const data = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
  const content = inflateRawSync(bytes.subarray(data, data + bytes.readUInt32LE(entry + 20)));
  if (content.length !== bytes.readUInt32LE(entry + 24)) throw new Error('another length');
  if (crc32(content) !== bytes.readUInt32LE(entry + 16)) throw new Error('another checksum');
  return content;
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
