import { isUtf8 } from 'node:buffer';
import type { JsonFormat } from '@dmg/model';
import { ByteBuffer } from '../byte-buffer.ts';
import { formatErrors } from '../errors.ts';
import { columnsMax, fieldEscaped, fieldNull, RecordBatch } from '../record-batch.ts';
import type { RecordReader } from '../record-reader.ts';
import { firstInvalidUtf8, SourceDecoder, textEncodingOf } from '../text-encoding.ts';
import { compileColumns, compileProperties, type JsonColumn, type JsonTrees } from './json-columns.ts';
import { type FieldTable, JsonFields, propertyNames } from './json-fields.ts';
import { faulty, incomplete, JsonScanner, unescapeJson } from './json-scanner.ts';

/** As for delimited text: a record is held as it is read and as it is written. */
const recordBytesDefault = 48 * 1024 * 1024;
const decodedBytes = 6 * 1024 * 1024;
/** From this size on, an incomplete record is looked at again only when it has doubled, so that the work stays linear. */
const rescanBytes = 1024 * 1024;
/** No object follows. */
const ended = -3;

export interface JsonReaderOptions {
  readonly format: JsonFormat;
  readonly fileName: string;
  readonly startPosition: number;
  readonly startRow: number;
  readonly limitPosition: number;
  readonly recordBytesMax: number | undefined;
  /** Undefined: the properties of the file's first object. */
  readonly wanted: readonly JsonColumn[] | undefined;
  /** Properties of the first object, and whether the file is an array, as an earlier reader found them. Read from the file at 0. */
  readonly names: readonly string[] | undefined;
  readonly inArray: boolean | undefined;
}

/**
 * Reads JSON objects from the start of a file, or from the end of one of its objects on: one after the other (lines, or anything else
 * that JSON calls white space between them), or as the elements of one array. An object is a record, or has a record for each element
 * of one of its arrays (`collectionReference`). Of a property that is there twice the last one counts. Strings are valid Unicode or an
 * error; all other values are kept as they stand.
 */
export class JsonReader implements RecordReader {
  columns = 0;
  names: readonly string[] | undefined;
  row: number;
  position: number;
  finished = false;
  /** Undefined until the first object, or the end, is seen. */
  inArray: boolean | undefined;
  readonly sharesFields: boolean;
  readonly #options: JsonReaderOptions;
  readonly #decoder: SourceDecoder;
  readonly #scanner = new JsonScanner();
  readonly #fields: JsonFields;
  readonly #work: ByteBuffer;
  readonly #batch = new RecordBatch();
  readonly #recordBytesMax: number;
  #trees: JsonTrees | undefined;
  #stage: 'mark' | 'start' | 'records' | 'closed';
  #isFirst: boolean;
  #atEnd = false;
  #rescanAt = 0;
  /** The object whose collection is being given out: where its next element and its end are. */
  #open: { next: number; readonly start: number; readonly end: number } | undefined;
  readonly #shared: FieldTable;

  constructor(options: JsonReaderOptions) {
    const { format, wanted, startPosition } = options;
    this.#options = options;
    this.#recordBytesMax = options.recordBytesMax ?? recordBytesDefault;
    this.#work = new ByteBuffer(64 * 1024, this.#recordBytesMax + decodedBytes);
    this.#decoder = new SourceDecoder(textEncodingOf(format.encodingName), startPosition);
    this.#fields = new JsonFields(this.#scanner, wanted === undefined);
    this.row = options.startRow;
    this.position = startPosition;
    this.#stage = startPosition === 0 ? 'mark' : 'records';
    this.#isFirst = startPosition === 0;
    this.sharesFields = format.collectionReference !== undefined;
    if (wanted !== undefined) this.#know(wanted.map((column) => column.name), compileColumns(wanted, format.collectionReference));
    const count = this.columns + 1;
    this.#shared = { starts: new Uint32Array(count), ends: new Uint32Array(count), flags: new Uint8Array(count) };
    if (startPosition === 0) return;
    this.inArray = options.inArray;
    if (wanted === undefined && options.names !== undefined) this.#know(options.names, compileProperties(options.names));
    if (this.inArray === undefined || this.columns === 0) {
      throw formatErrors.HEADER_NEEDED.create({ file: options.fileName, position: startPosition });
    }
  }

  get bytes(): Uint8Array {
    return this.#work.bytes;
  }

  get unitBytes(): number {
    return this.#decoder.encoding.startsWith('utf-16') ? 2 : 1;
  }

  append(block: Uint8Array, atEnd: boolean): void {
    this.#decoder.append(block, atEnd, this.#work);
    this.#atEnd ||= atEnd && this.#decoder.fault === undefined;
  }

  next(): RecordBatch | undefined {
    const work = this.#work;
    const isMoreComing = !this.#atEnd && this.#decoder.fault === undefined;
    if (this.finished || (isMoreComing && work.length < this.#rescanAt)) return undefined;
    if (this.#stage === 'mark' && !this.#skipByteOrderMark()) return undefined;
    const batch = this.#batch;
    batch.reset(this.columns);
    const from = work.start;
    const stop = this.#open === undefined && this.#limitReached() ? ended : this.#fill(batch);
    this.#checkText(from, work.start, batch);
    this.row += batch.records;
    if (batch.records > 0) {
      this.#rescanAt = 0;
      return batch;
    }
    if (stop === ended) this.finished = true;
    else this.#needMore(stop);
    return undefined;
  }

  fieldText(batch: RecordBatch, field: number): string {
    const target = new Uint8Array((batch.ends[field] ?? 0) - (batch.starts[field] ?? 0));
    const isEscaped = ((batch.flags[field] ?? 0) & fieldEscaped) !== 0;
    if (!isEscaped) target.set(this.bytes.subarray(batch.starts[field], batch.ends[field]));
    return Buffer.from(target.buffer, 0, isEscaped ? this.unescape(batch, field, target) : target.length).toString('utf8');
  }

  unescape(batch: RecordBatch, field: number, target: Uint8Array): number {
    return unescapeJson(this.bytes, batch.starts[field] ?? 0, batch.ends[field] ?? 0, target);
  }

  positionOf(offset: number): number {
    const { bytes, start } = this.#work;
    if (offset < start) return this.position - this.#decoder.sourceLength(bytes, offset, start);
    return this.position + this.#decoder.sourceLength(bytes, start, offset);
  }

  /** The first chunk goes on to the first object, because the sink's header needs the columns; nothing is cut off behind an array. */
  #limitReached(): boolean {
    return this.position >= this.#options.limitPosition && this.columns > 0 && !this.#isFirst && this.#stage !== 'closed';
  }

  /** Fills the batch up to its end, or the limit, or why it cannot go on: `incomplete`, `faulty` or `ended`. */
  #fill(batch: RecordBatch): number {
    const work = this.#work;
    for (;;) {
      if (this.#open !== undefined) {
        const stop = this.#elements(batch);
        if (stop < 0) return stop;
        if (this.#open !== undefined) return 0;
      } else if (batch.records > 0 && batch.records === batch.recordEnds.length) {
        return 0;
      }
      if (this.#limitReached()) return ended;
      const { bytes } = work;
      const object = this.#nextObject(bytes, work.end);
      if (object < 0) return object;
      const isCut = work.end - object > this.#recordBytesMax;
      const end = isCut ? object + this.#recordBytesMax + 1 : work.end;
      const next = this.#record(batch, bytes, object, end);
      if (next === faulty) return faulty;
      if (next === incomplete || next - object > this.#recordBytesMax) {
        return isCut || next !== incomplete ? this.#tooLarge(object, batch) : incomplete;
      }
      if (this.#open === undefined) this.#advance(next);
    }
  }

  /** Reads the object at `from`; returns the offset after it. */
  #record(batch: RecordBatch, bytes: Uint8Array, from: number, end: number): number {
    if (this.#trees === undefined) {
      const names = propertyNames(this.#scanner, bytes, from, end);
      if (typeof names === 'number') return names;
      const { fileName: file } = this.#options;
      if (names.length > columnsMax) {
        throw formatErrors.TOO_MANY_COLUMNS.create({ file, position: this.positionOf(from), found: names.length, limit: columnsMax });
      }
      this.#know(names, compileProperties(names));
      batch.reset(this.columns);
      if (this.columns === 0) throw formatErrors.JSON_NO_COLUMNS.create({ file, position: this.positionOf(from) });
    }
    const { root, element } = this.#trees as JsonTrees;
    const range = { bytes, from, end };
    if (element === undefined) {
      const next = this.#fields.locate(root, range, batch, batch.records * this.columns);
      if (next >= 0 && next - from <= this.#recordBytesMax) this.#note(batch, from, next);
      return next;
    }
    const shared = this.#shared;
    const next = this.#fields.locate(root, range, shared, 0);
    if (next < 0) return next;
    const collection = this.columns;
    const isThere = shared.flags[collection] !== fieldNull;
    const start = shared.starts[collection] ?? 0;
    if (isThere && bytes[start] !== 0x5b) return this.#scanner.fail(start, 'stands no array, as which the collection is read');
    this.#open = { next: isThere ? start + 1 : next, start: from, end: next };
    return next;
  }

  /** Gives out the elements of the open object's collection; ends it when there are none left. */
  #elements(batch: RecordBatch): number {
    const open = this.#open;
    const element = this.#trees?.element;
    if (open === undefined || element === undefined) return 0;
    const { bytes } = this.#work;
    const { columns } = this;
    while (open.next < open.end && batch.records < batch.recordEnds.length) {
      const from = this.#scanner.skipSpace(bytes, open.next, open.end);
      if (bytes[from] === 0x5d) {
        open.next = open.end;
        break;
      }
      if (bytes[from] !== 0x7b) return this.#scanner.unexpected(bytes, from, 'an object');
      const base = batch.records * columns;
      for (let column = 0; column < columns; column++) {
        batch.starts[base + column] = this.#shared.starts[column] ?? 0;
        batch.ends[base + column] = this.#shared.ends[column] ?? 0;
        batch.flags[base + column] = this.#shared.flags[column] ?? 0;
      }
      const next = this.#fields.locate(element, { bytes, from, end: open.end }, batch, base);
      if (next < 0) return next;
      this.#note(batch, open.start, open.end);
      const behind = this.#scanner.skipSpace(bytes, next, open.end);
      open.next = bytes[behind] === 0x2c ? behind + 1 : behind;
    }
    if (open.next < open.end) return 0;
    this.#open = undefined;
    this.#advance(open.end);
    return 0;
  }

  #note(batch: RecordBatch, from: number, next: number): void {
    if (batch.recordStarts.length < batch.recordEnds.length) batch.recordStarts = new Uint32Array(batch.recordEnds.length);
    batch.recordStarts[batch.records] = from;
    batch.recordEnds[batch.records++] = next;
  }

  /** Offset of the next object's brace, behind white space and what stands between objects. */
  #nextObject(bytes: Uint8Array, end: number): number {
    const scanner = this.#scanner;
    let at = scanner.skipSpace(bytes, this.#work.start, end);
    if (this.#stage === 'start' && at < end) {
      this.inArray = bytes[at] === 0x5b;
      this.#stage = 'records';
      if (this.inArray) {
        this.#moveOn(at + 1);
        at = scanner.skipSpace(bytes, at + 1, end);
      }
    }
    if (this.#stage === 'records' && this.inArray === true && at < end && bytes[at] === 0x5d) {
      this.#stage = 'closed';
      this.#moveOn(at + 1);
      at = scanner.skipSpace(bytes, at + 1, end);
    }
    if (at >= end) return this.#nothing(at);
    if (this.#stage === 'closed') return scanner.unexpected(bytes, at, 'the end of the file');
    if (this.inArray === true && !this.#isFirst) {
      if (bytes[at] !== 0x2c) return scanner.unexpected(bytes, at, '"," or "]"');
      at = scanner.skipSpace(bytes, at + 1, end);
      if (at >= end) return this.#atEnd ? scanner.fail(at, 'the file ends within the array') : incomplete;
    }
    return bytes[at] === 0x7b ? at : scanner.unexpected(bytes, at, 'an object');
  }

  /** Nothing but white space is left. */
  #nothing(end: number): number {
    this.#moveOn(end);
    if (!this.#atEnd) return incomplete;
    if (this.#stage === 'records' && this.inArray === true) return this.#scanner.fail(end, 'the file ends within the array');
    this.inArray ??= false;
    return ended;
  }

  #advance(offset: number): void {
    this.#isFirst = false;
    this.#moveOn(offset);
  }

  #moveOn(offset: number): void {
    this.position += this.#decoder.sourceLength(this.#work.bytes, this.#work.start, offset);
    this.#work.start = offset;
  }

  #know(names: readonly string[], trees: JsonTrees): void {
    this.names = names;
    this.columns = names.length;
    this.#trees = trees;
  }

  #needMore(stop: number): void {
    const { fault } = this.#scanner;
    if (stop === faulty && fault !== undefined) throw this.#wrong(fault.offset, fault.reason);
    const { length, end } = this.#work;
    const decoding = this.#decoder.fault;
    if (decoding !== undefined) {
      const encoding = this.#decoder.encoding.toUpperCase();
      throw formatErrors.JSON_SYNTAX.create({
        row: this.row + 1, file: this.#options.fileName, position: decoding.position,
        reason: `the text is not ${encoding}: ${decoding.reason}`,
      });
    }
    if (stop === incomplete && this.#atEnd) throw this.#wrong(end, 'the file ends within an object');
    this.#rescanAt = length < rescanBytes ? 0 : Math.min(length * 2, this.#recordBytesMax + rescanBytes);
  }

  #tooLarge(from: number, batch: RecordBatch): number {
    // The records before it come first.
    if (batch.records > 0) return 0;
    throw formatErrors.JSON_TOO_LARGE.create({
      row: this.row + 1, file: this.#options.fileName, position: this.positionOf(from), limitBytes: this.#recordBytesMax,
    });
  }

  #wrong(offset: number, reason: string): Error {
    const { fileName: file } = this.#options;
    return formatErrors.JSON_SYNTAX.create({ row: this.row + 1, file, position: this.positionOf(offset), reason });
  }

  /** Refuses bytes that are no text before anything that holds them is given out. */
  #checkText(from: number, to: number, batch: RecordBatch): void {
    const { bytes } = this.#work;
    if (this.#decoder.encoding !== 'utf-8' || from === to || isUtf8(bytes.subarray(from, to))) return;
    const offset = firstInvalidUtf8(bytes, from, to);
    const before = batch.recordEnds.subarray(0, batch.records).findIndex((end) => end > offset);
    throw formatErrors.JSON_SYNTAX.create({
      row: this.row + 1 + Math.max(0, before), file: this.#options.fileName, position: this.positionOf(offset),
      reason: 'stand bytes that are not UTF-8',
    });
  }

  #skipByteOrderMark(): boolean {
    const { bytes, start, end } = this.#work;
    if (end - start < 4 && !this.#atEnd && this.#decoder.fault === undefined) return false;
    this.#stage = 'start';
    if (bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf && end - start >= 3) this.#moveOn(start + 3);
    return true;
  }
}
