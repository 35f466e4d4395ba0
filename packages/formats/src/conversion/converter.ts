import type { ColumnRef, InterimType, TypeConversionSettings } from '@dmg/model';
import type { ByteBuffer } from '../byte-buffer.ts';
import { formatErrors } from '../errors.ts';
import { badPattern, hasField, parsePattern, type Piece } from './date-pattern.ts';
import { formatDateTime, formatServerSpan, formatTimeSpan, parseDateTime, parseTimeSpan, timeLoss } from './date-time.ts';
import { copyPlainDateTime, copyPlainDecimal, type InPlace } from './in-place.ts';
import {
  checkDecimal, checkRange, checkScale, formatExact, formatFloating, parseExact, parseFloating, plainInteger, toFloating, toInteger,
} from './number.ts';
import { type DateTimeValue, type ExactNumber, families, isConvertible, Problem, type Value } from './value.ts';

/** Converts the text of one value; writes the new text into `target`, or says why it cannot. */
export interface Converter {
  convert(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): Problem | undefined;
}

export interface ConversionRequest {
  readonly source: ColumnRef;
  readonly sink: ColumnRef;
  readonly settings: TypeConversionSettings;
}

interface Plan {
  readonly from: InterimType;
  readonly to: InterimType;
  readonly truncate: boolean;
  readonly booleanAsNumber: boolean;
  readonly readPieces: readonly Piece[] | undefined;
  readonly writePieces: readonly Piece[] | undefined;
  /** The text is read from, or written for, a database server. */
  readonly readServer: boolean;
  readonly writeServer: boolean;
  /** Digits behind the point that may not be lost. */
  readonly scale: number | undefined;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Compiles the conversion of a column: text is read as the source's type, brought into the sink's type by Data Factory's matrix,
 * and written in one canonical form (or by a format). Undefined when no type is named: then bytes are copied unchanged.
 */
export function compileConverter(request: ConversionRequest): Converter | undefined {
  const from = request.source.type ?? 'String';
  const to = request.sink.type ?? from;
  checkCulture(request);
  if (!isConvertible(from, to)) {
    throw formatErrors.BAD_MAPPING.create({ reason: `${from} cannot be converted to ${to}` });
  }
  const timed = [from, to].find((type) => families[type] === 'DateTime' || families[type] === 'TimeSpan');
  const format = request.source.format ?? request.sink.format;
  if (timed === undefined && format !== undefined) {
    throw formatErrors.BAD_MAPPING.create(
      { reason: `the format ${format} is given for ${from} to ${to}; only dates, times and time spans have formats` },
    );
  }
  if (from === 'String' && to === 'String') return undefined;
  const { settings } = request;
  const plan: Plan = {
    from, to,
    truncate: settings.allowDataTruncation,
    booleanAsNumber: settings.treatBooleanAsNumber,
    readPieces: compilePattern(request.source.format, from === 'String' ? to : from, settings, 'read'),
    writePieces: compilePattern(request.sink.format, to === 'String' ? from : to, settings, 'write'),
    readServer: request.source.text === 'server',
    writeServer: request.sink.text === 'server',
    scale: settings.allowDataTruncation ? undefined : request.sink.scale,
  };
  const general = new TextConverter(plan);
  if (families[to] === 'Integer' && (families[from] === 'Integer' || from === 'String')) return new IntegerConverter(plan);
  const inPlace = inPlaceOf(plan, request);
  return inPlace === undefined ? general : new InPlaceConverter(inPlace, general);
}

/** The way without text, where there is one: the same type on both sides, and no format but the default. */
function inPlaceOf({ from, to, readPieces }: Plan, { sink, settings }: ConversionRequest): InPlace | undefined {
  if ((from !== to && from !== 'String') || sink.scale !== undefined) return undefined;
  if (to === 'Decimal') return copyPlainDecimal;
  const defaultForm = readPieces === undefined && sink.format === undefined && settings.dateTimeFormat === undefined;
  return to === 'DateTime' && defaultForm ? copyPlainDateTime : undefined;
}

function checkCulture(request: ConversionRequest): void {
  for (const culture of [request.source.culture, request.sink.culture, request.settings.culture]) {
    if (culture !== undefined && !/^(|invariant|en(-\w+)*)$/i.test(culture)) {
      throw formatErrors.BAD_MAPPING.create(
        { reason: `the culture ${culture} is not supported; numbers and names are read and written in English (en-us)` },
      );
    }
  }
}

const defaultPatterns: Readonly<Partial<Record<InterimType, string>>> = {
  DateTime: 'yyyy-MM-dd HH:mm:ss.fffffff',
  DateTimeOffset: 'yyyy-MM-dd HH:mm:ss.fffffff zzz',
};

function compilePattern(
  own: string | undefined, type: InterimType, settings: TypeConversionSettings, use: 'read' | 'write',
): readonly Piece[] | undefined {
  const general: Readonly<Partial<Record<InterimType, string | undefined>>> = {
    DateTime: settings.dateTimeFormat, DateTimeOffset: settings.dateTimeOffsetFormat, TimeSpan: settings.timeSpanFormat,
  };
  if (families[type] !== 'DateTime' && type !== 'TimeSpan') return undefined;
  const pattern = own ?? general[type] ?? (use === 'write' ? defaultPatterns[type] : undefined);
  if (pattern === undefined || (type === 'TimeSpan' && pattern === 'c')) return undefined;
  const family = type === 'TimeSpan' ? 'timeSpan' : 'date';
  const pieces = parsePattern(pattern, family);
  if (family === 'timeSpan') return pieces;
  if (type === 'DateTime' && hasField(pieces, 'z')) throw badPattern(pattern, family, 'DateTime has no offset; DateTimeOffset has');
  if (use === 'read' && !hasField(pieces, 'y')) throw badPattern(pattern, family, 'a date cannot be read without its year');
  return pieces;
}

class TextConverter implements Converter {
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  convert(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): Problem | undefined {
    const text = decoder.decode(bytes.subarray(start, end));
    const read = parseValue(text, this.#plan.from === 'String' ? this.#plan.to : this.#plan.from, this.#plan);
    if (read instanceof Problem) return read;
    const value = this.#plan.to === 'String' ? read : castValue(read, this.#plan);
    if (value instanceof Problem) return value;
    const loss = lossOf(value, this.#plan.scale);
    if (loss !== undefined) return loss;
    target.clear();
    target.append(encoder.encode(formatValue(value, this.#plan.to === 'String' ? this.#plan.from : this.#plan.to, this.#plan)));
    return undefined;
  }
}

/** Answered in place where the value is written plainly, else the general way. */
class InPlaceConverter implements Converter {
  readonly #inPlace: InPlace;
  readonly #general: Converter;

  constructor(inPlace: InPlace, general: Converter) {
    this.#inPlace = inPlace;
    this.#general = general;
  }

  convert(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): Problem | undefined {
    return this.#inPlace(bytes, start, end, target) ? undefined : this.#general.convert(bytes, start, end, target);
  }
}

/** Integers from text: answered in place where the digits say enough, else as any other value. */
class IntegerConverter implements Converter {
  readonly #plan: Plan;
  readonly #general: TextConverter;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#general = new TextConverter(plan);
  }

  convert(bytes: Uint8Array, start: number, end: number, target: ByteBuffer): Problem | undefined {
    const { from, to } = this.#plan;
    const plain = plainInteger(bytes, start, end, to);
    if (plain === undefined || (from !== 'String' && from !== to && plainInteger(bytes, start, end, from) === undefined)) {
      return this.#general.convert(bytes, start, end, target);
    }
    target.clear();
    target.reserve(end - start + 1);
    if (plain.negative) target.bytes[target.end++] = 0x2d;
    for (let index = plain.first; index < end; index++) target.bytes[target.end++] = bytes[index] as number;
    return undefined;
  }
}

/** What the server would cut off or round without a word. */
function lossOf(value: Value, scale: number | undefined): Problem | undefined {
  if (scale === undefined) return undefined;
  switch (value.kind) {
    case 'exact': return checkScale(value, scale);
    case 'dateTime': case 'timeSpan': return timeLoss(value.tick, scale);
    default: return undefined;
  }
}

function parseValue(text: string, type: InterimType, plan: Plan): Value | Problem {
  switch (families[type]) {
    case 'String': return { kind: 'string', text };
    case 'Boolean': return parseBoolean(text);
    case 'Integer': {
      const number = parseExact(text);
      return number instanceof Problem ? number : toInteger(number, type, false);
    }
    case 'Decimal': {
      const number = parseExact(text);
      return number instanceof Problem ? number : checkDecimal(number);
    }
    case 'Float': {
      const value = parseFloating(text, type);
      return value instanceof Problem ? value : { kind: 'float', value };
    }
    case 'DateTime': {
      const value = parseDateTime(text, plan.readPieces, plan.truncate);
      return value instanceof Problem ? value : fitOffset(value, type, plan.truncate);
    }
    case 'TimeSpan': return parseTimeSpan(text, plan.readPieces);
    case 'Guid': return parseGuid(text);
    case 'Bytes': return plan.readServer ? parseServerBytes(text) : parseBytes(text);
  }
}

function parseBoolean(text: string): Value | Problem {
  const word = text.trim().toLowerCase();
  if (word === 'true' || word === '1') return { kind: 'boolean', value: true };
  if (word === 'false' || word === '0') return { kind: 'boolean', value: false };
  return new Problem('it is neither true, false, 1 nor 0');
}

/** A DateTime has no offset, a DateTimeOffset always one (UTC where the text names none). */
function fitOffset(value: DateTimeValue, type: InterimType, truncate: boolean): DateTimeValue | Problem {
  if (type === 'DateTimeOffset') return { ...value, offsetMinutes: value.offsetMinutes ?? 0 };
  if ((value.offsetMinutes ?? 0) !== 0 && !truncate) return new Problem('it has an offset, which DateTime cannot hold; DateTimeOffset can');
  return { ...value, offsetMinutes: undefined };
}

function parseGuid(text: string): Value | Problem {
  const match = /^\s*[{(]?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})[)}]?\s*$/i.exec(text);
  if (match === null) return new Problem('it is not a GUID');
  return { kind: 'guid', text: match.slice(1, 6).join('-').toLowerCase() };
}

/** Bytes as a database server writes them. */
function parseServerBytes(text: string): Value | Problem {
  if (!/^\\x(?:[0-9a-f]{2})*$/i.test(text)) return new Problem('it is not \\x and hexadecimal digits');
  return { kind: 'bytes', bytes: Buffer.from(text.slice(2), 'hex') };
}

/** Bytes stand in text as base64. */
function parseBytes(text: string): Value | Problem {
  const trimmed = text.trim();
  const wellFormed = /^[A-Za-z0-9+/]*={0,2}$/.test(trimmed) && trimmed.length % 4 === 0;
  const bytes = Buffer.from(trimmed, 'base64');
  return wellFormed && bytes.toString('base64') === trimmed ? { kind: 'bytes', bytes } : new Problem('it is not base64');
}

/** Brings a value of the source's type into the sink's type; the pair is one that the matrix allows. */
function castValue(value: Value, plan: Plan): Value | Problem {
  const { to, truncate } = plan;
  switch (value.kind) {
    case 'boolean': return families[to] === 'Boolean' ? value : castExact(value.value ? one : zero, to, truncate);
    case 'exact': return castExact(value, to, truncate);
    case 'float': return castFloat(value.value, plan);
    case 'dateTime': return fitOffset(value, to, truncate);
    default: return value;
  }
}

const zero: ExactNumber = { kind: 'exact', negative: false, digits: '0', scale: 0 };
const one: ExactNumber = { ...zero, digits: '1' };

function castExact(value: ExactNumber, to: InterimType, truncate: boolean): Value | Problem {
  switch (families[to]) {
    case 'Boolean': {
      const text = formatExact(toInteger(value, 'String', true) as ExactNumber);
      if (/^0*$/.test(value.digits)) return { kind: 'boolean', value: false };
      if (text === '1' && /^10*$/.test(value.digits)) return { kind: 'boolean', value: true };
      return truncate ? { kind: 'boolean', value: true } : new Problem('it is neither 0 nor 1');
    }
    case 'Integer': return toInteger(value, to, truncate);
    case 'Decimal': return checkDecimal(checkRange(value, to) as ExactNumber);
    default: {
      const result = toFloating(value, to, truncate);
      return result instanceof Problem ? result : { kind: 'float', value: result };
    }
  }
}

function castFloat(value: number, plan: Plan): Value | Problem {
  const { from, to, truncate } = plan;
  if (families[to] === 'Float') {
    if (to === 'Double' || from === to || !Number.isFinite(value)) return { kind: 'float', value };
    const narrow = Math.fround(value);
    if (!Number.isFinite(narrow)) return new Problem('it is too large for Single');
    const kept = formatFloating(narrow, 'Single') === formatFloating(value, 'Double');
    return kept || truncate ? { kind: 'float', value: narrow } : new Problem('Single cannot hold all its digits');
  }
  if (!Number.isFinite(value)) return new Problem('it is not a finite number');
  const exact = parseExact(formatFloating(value, from));
  return exact instanceof Problem ? exact : castExact(exact, to, truncate);
}

function formatValue(value: Value, type: InterimType, plan: Plan): string {
  switch (value.kind) {
    case 'string': case 'guid': return value.text;
    case 'boolean': return plan.booleanAsNumber ? (value.value ? '1' : '0') : value.value ? 'True' : 'False';
    case 'exact': return formatExact(value);
    case 'float': return formatFloating(value.value, type);
    case 'dateTime': return formatDateTime(value, plan.writePieces ?? []);
    case 'timeSpan':
      return plan.writeServer && plan.writePieces === undefined ? formatServerSpan(value) : formatTimeSpan(value, plan.writePieces);
    case 'bytes': return plan.writeServer ? `\\x${Buffer.from(value.bytes).toString('hex')}` : Buffer.from(value.bytes).toString('base64');
  }
}
