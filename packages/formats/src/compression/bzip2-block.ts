/** What is wrong with a block, for people. */
export class Bzip2Fault extends Error {}

/** Bits in memory, most significant first; up to 24 of them at once. */
export interface BlockBits {
  bits(count: number): number;
  /** The next bits without moving over them; zeros behind the last one. */
  peek(count: number): number;
  skip(count: number): void;
}

const groupSymbols = 50;
const codeBitsMax = 20;

interface HuffmanTable {
  readonly lengthMin: number;
  readonly lengthMax: number;
  /** Largest code of each length, and what has to be taken from a code to find its place in `symbols`. */
  readonly limits: Int32Array;
  readonly bases: Int32Array;
  readonly symbols: Uint16Array;
}

/** A block as its header, tables and symbols say it, before the transformations are undone. */
export interface RawBlock {
  readonly crc: number;
  /** Last column of the sorted rotations, one byte in the low 8 bits of each element. */
  readonly column: Uint32Array;
  readonly length: number;
  /** Row of the text itself. */
  readonly origin: number;
}

/**
 * Reads one block behind its magic number, by the format's description in the sources of bzip2 1.0. `column` is memory to work in,
 * with as many elements as the stream allows bytes in a block.
 */
export function readBlock(bits: BlockBits, column: Uint32Array): RawBlock {
  const crc = (bits.bits(16) * 65536 + bits.bits(16)) >>> 0;
  if (bits.bits(1) !== 0) throw new Bzip2Fault('a block is randomised, which bzip2 has not written since 1997');
  const origin = bits.bits(24);
  const used = readUsedBytes(bits);
  if (used.length === 0) throw new Bzip2Fault('a block uses no byte');
  const { tables, selectors } = readTables(bits, used.length + 2);
  const length = readSymbols(bits, { used, tables, selectors, column });
  if (origin >= length) throw new Bzip2Fault('the origin of a block lies outside it');
  return { crc, column, length, origin };
}

function readUsedBytes(bits: BlockBits): number[] {
  const used: number[] = [];
  const ranges = bits.bits(16);
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const members = bits.bits(16);
    for (let member = 0; member < 16; member++) if ((members & (0x8000 >> member)) !== 0) used.push(range * 16 + member);
  }
  return used;
}

function readTables(bits: BlockBits, symbols: number): { tables: HuffmanTable[]; selectors: Uint8Array } {
  const count = bits.bits(3);
  if (count < 2 || count > 6) throw new Bzip2Fault(`a block has ${count} code tables`);
  const selectorCount = bits.bits(15);
  if (selectorCount === 0) throw new Bzip2Fault('a block has no selector');
  const selectors = new Uint8Array(selectorCount);
  const order = Array.from({ length: count }, (_, index) => index);
  for (let index = 0; index < selectorCount; index++) {
    let place = 0;
    while (bits.bits(1) === 1) if (++place >= count) throw new Bzip2Fault('a selector names no code table');
    const [table = 0] = order.splice(place, 1);
    order.unshift(table);
    selectors[index] = table;
  }
  const tables = Array.from({ length: count }, () => readTable(bits, symbols));
  return { tables, selectors };
}

function readTable(bits: BlockBits, symbols: number): HuffmanTable {
  const lengths = new Uint8Array(symbols);
  let length = bits.bits(5);
  for (let symbol = 0; symbol < symbols; symbol++) {
    for (;;) {
      if (length < 1 || length > codeBitsMax) throw new Bzip2Fault(`a code has ${length} bits`);
      if (bits.bits(1) === 0) break;
      length += bits.bits(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  return makeTable(lengths);
}

function makeTable(lengths: Uint8Array): HuffmanTable {
  const counts = new Int32Array(codeBitsMax + 1);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  const lengthMin = Math.min(...lengths);
  const lengthMax = Math.max(...lengths);
  const limits = new Int32Array(codeBitsMax + 2).fill(-1);
  const bases = new Int32Array(codeBitsMax + 2);
  const symbols = new Uint16Array(lengths.length);
  let placed = 0;
  let code = 0;
  for (let length = lengthMin; length <= lengthMax; length++) {
    bases[length] = code - placed;
    for (const [symbol, other] of lengths.entries()) if (other === length) symbols[placed++] = symbol;
    code += counts[length] ?? 0;
    limits[length] = code - 1;
    code *= 2;
  }
  return { lengthMin, lengthMax, limits, bases, symbols };
}

function readSymbol(bits: BlockBits, table: HuffmanTable): number {
  const ahead = bits.peek(codeBitsMax);
  let length = table.lengthMin;
  while ((ahead >>> (codeBitsMax - length)) > (table.limits[length] ?? -1)) {
    if (++length > table.lengthMax) throw new Bzip2Fault('a code is in no table');
  }
  bits.skip(length);
  const symbol = table.symbols[(ahead >>> (codeBitsMax - length)) - (table.bases[length] ?? 0)];
  if (symbol === undefined) throw new Bzip2Fault('a code is in no table');
  return symbol;
}

interface SymbolRequest {
  readonly used: readonly number[];
  readonly tables: readonly HuffmanTable[];
  readonly selectors: Uint8Array;
  readonly column: Uint32Array;
}

/** Symbols 0 and 1 are the digits of a run's length, the last one ends the block, the others are places in a move-to-front list. */
function readSymbols(bits: BlockBits, { used, tables, selectors, column }: SymbolRequest): number {
  const front = Uint8Array.from(used);
  const endSymbol = used.length + 1;
  let length = 0;
  let group = 0;
  let left = 0;
  let table: HuffmanTable | undefined;
  let run = 0;
  let digit = 1;
  for (;;) {
    if (left === 0) {
      table = tables[selectors[group++] ?? -1];
      left = groupSymbols;
    }
    if (table === undefined) throw new Bzip2Fault('a block has more symbols than its selectors say');
    left--;
    const symbol = readSymbol(bits, table);
    if (symbol <= 1) {
      run += digit << symbol;
      digit *= 2;
      if (run > column.length) throw new Bzip2Fault('a block is longer than its stream allows');
      continue;
    }
    if (run > 0) {
      if (length + run > column.length) throw new Bzip2Fault('a block is longer than its stream allows');
      column.fill(front[0] ?? 0, length, length + run);
      length += run;
      run = 0;
      digit = 1;
    }
    if (symbol === endSymbol) return length;
    if (length >= column.length) throw new Bzip2Fault('a block is longer than its stream allows');
    const byte = front[symbol - 1] ?? 0;
    // Most places are near the front, where a call would take longer than the bytes do.
    for (let place = symbol - 1; place > 0; place--) front[place] = front[place - 1] ?? 0;
    front[0] = byte;
    column[length++] = byte;
  }
}
