import {
  type CivilDate, dateOfDayNumber, dayNames, dayNumber, daysInMonth, monthNames, ticksPerDay, ticksPerHour, ticksPerMinute, ticksPerSecond,
} from './calendar.ts';
import type { Piece } from './date-pattern.ts';
import { type DateTimeValue, Problem, type TimeSpanValue } from './value.ts';

/** Parts of a time as its text gives them. */
interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  tick: number;
  offsetMinutes: number | undefined;
  weekday: number;
  afternoon: boolean | undefined;
}

const isoPattern =
  /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?\s*(?:(Z|z)|([+-])(\d{2})(?::?(\d{2}))?)?\s*$/;

const notATime = 'it is not a date of the form yyyy-MM-dd HH:mm:ss; a format in the mapping can describe another form';

/**
 * Reads a date and time. Without pieces: ISO 8601 (`yyyy-MM-dd`, then optionally `T` or a space and a time, then optionally an
 * offset). Digits beyond 100 ns are dropped only where `truncate` allows it.
 */
export function parseDateTime(text: string, pieces: readonly Piece[] | undefined, truncate: boolean): DateTimeValue | Problem {
  if (pieces !== undefined) {
    const parts = parseByPieces(text, pieces);
    return parts instanceof Problem ? parts : dateTimeOf(parts);
  }
  const match = isoPattern.exec(text);
  if (match === null) return new Problem(notATime);
  const tick = ticksOfFraction(match[7] ?? '', truncate);
  if (tick instanceof Problem) return tick;
  const offset = Number(match[10] ?? 0) * 60 + Number(match[11] ?? 0);
  return dateTimeOf({
    ...emptyParts(),
    year: Number(match[1]), month: Number(match[2]), day: Number(match[3]),
    hour: Number(match[4] ?? 0), minute: Number(match[5] ?? 0), second: Number(match[6] ?? 0), tick,
    offsetMinutes: match[8] !== undefined ? 0 : match[9] === undefined ? undefined : match[9] === '-' ? -offset : offset,
  });
}

function emptyParts(): Parts {
  return {
    year: 1, month: 1, day: 1, hour: 0, minute: 0, second: 0, tick: 0, offsetMinutes: undefined, weekday: -1, afternoon: undefined,
  };
}

function ticksOfFraction(digits: string, truncate: boolean): number | Problem {
  if (!truncate && /[1-9]/.test(digits.slice(7))) return new Problem('it is finer than 100 ns');
  return Number(digits.slice(0, 7).padEnd(7, '0'));
}

function dateTimeOf(parts: Parts): DateTimeValue | Problem {
  const { year, month, day, minute, second } = parts;
  let { hour } = parts;
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return new Problem('there is no such day');
  if (parts.afternoon !== undefined) {
    if (hour < 1 || hour > 12) return new Problem('there is no such hour');
    hour = (hour % 12) + (parts.afternoon ? 12 : 0);
  }
  if (hour > 23 || minute > 59 || second > 59) return new Problem('there is no such time of day');
  if (parts.offsetMinutes !== undefined && Math.abs(parts.offsetMinutes) > 14 * 60) return new Problem('its offset is over 14 hours');
  const number = dayNumber({ year, month, day });
  if (parts.weekday >= 0 && parts.weekday !== number % 7) return new Problem('the day of the week does not belong to the date');
  const tick = hour * ticksPerHour + minute * ticksPerMinute + second * ticksPerSecond + parts.tick;
  return { kind: 'dateTime', day: number, tick, offsetMinutes: parts.offsetMinutes };
}

/** Reads along a pattern. Fields of one letter take one digit more; all others take exactly their width. */
function parseByPieces(text: string, pieces: readonly Piece[]): Parts | Problem {
  const parts = emptyParts();
  let position = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece.kind === 'literal') {
      if (text.startsWith(piece.text, position)) {
        position += piece.text.length;
        continue;
      }
      const next = pieces[index + 1];
      const short = piece.text.slice(0, -1);
      // As in .NET, the point before an optional fraction may be missing with it.
      if (next?.kind === 'field' && next.letter === 'F' && piece.text.endsWith('.') && text.startsWith(short, position)) {
        position += short.length;
        continue;
      }
      return new Problem('it does not match the format');
    }
    const taken = takeField(text, position, piece, parts);
    if (taken < 0) return new Problem('it does not match the format');
    position += taken;
  }
  return position === text.length ? parts : new Problem('it is longer than the format');
}

/** Reads one field into `parts`; returns how many characters it took, -1 when it does not match. */
function takeField(text: string, position: number, piece: { letter: string; width: number }, parts: Parts): number {
  const { letter, width } = piece;
  const rest = text.slice(position, position + 12);
  if ((letter === 'M' || letter === 'd') && width > 2) {
    const found = takeName(rest, letter === 'M' ? monthNames : dayNames, width);
    if (found === undefined) return -1;
    if (letter === 'M') parts.month = found.index + 1;
    else parts.weekday = found.index;
    return found.length;
  }
  if (letter === 't') {
    const match = (width === 1 ? /^[ap]/i : /^[ap]m/i).exec(rest);
    if (match === null) return -1;
    parts.afternoon = match[0].charAt(0).toLowerCase() === 'p';
    return match[0].length;
  }
  if (letter === 'z' || letter === 'K') return takeOffset(rest, letter === 'K' ? 4 : width, parts);
  if (letter === 'F') {
    const digits = /^\d*/.exec(rest.slice(0, width))?.[0] ?? '';
    parts.tick = Number(digits.padEnd(7, '0'));
    return digits.length;
  }
  const most = width === 1 && letter !== 'f' ? 2 : letter === 'y' && width === 3 ? 4 : width;
  const digits = /^\d+/.exec(rest.slice(0, most))?.[0] ?? '';
  if (digits.length < width) return -1;
  setNumber(parts, letter, width, digits);
  return digits.length;
}

function setNumber(parts: Parts, letter: string, width: number, digits: string): void {
  const value = Number(digits);
  switch (letter) {
    case 'y':
      // Two digits mean 1930 to 2029, as .NET Framework reads them.
      parts.year = width <= 2 ? value + (value < 30 ? 2000 : 1900) : value;
      break;
    case 'M': parts.month = value; break;
    case 'd': parts.day = value; break;
    case 'H': case 'h': parts.hour = value; break;
    case 'm': parts.minute = value; break;
    case 's': parts.second = value; break;
    default: parts.tick = Number(digits.padEnd(7, '0'));
  }
}

function takeName(rest: string, names: readonly string[], width: number): { index: number; length: number } | undefined {
  for (const [index, name] of names.entries()) {
    const wanted = width === 3 ? name.slice(0, 3) : name;
    if (rest.slice(0, wanted.length).toLowerCase() === wanted.toLowerCase()) return { index, length: wanted.length };
  }
  return undefined;
}

/** `width` 1 to 3 as for `z`; 4 is `K`: `Z`, an offset, or nothing. */
function takeOffset(rest: string, width: number, parts: Parts): number {
  if (width >= 3 && /^z/i.test(rest)) {
    parts.offsetMinutes = 0;
    return 1;
  }
  const match = (width >= 3 ? /^([+-])(\d{2}):?(\d{2})/ : width === 2 ? /^([+-])(\d{2})/ : /^([+-])(\d{1,2})/).exec(rest);
  if (match === null) return width === 4 ? 0 : -1;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  parts.offsetMinutes = match[1] === '-' ? -minutes : minutes;
  return match[0].length;
}

const pad = (value: number, width: number): string => String(value).padStart(width, '0');

/** Writes along a pattern, in English names. */
export function formatDateTime(value: DateTimeValue, pieces: readonly Piece[]): string {
  const date = dateOfDayNumber(value.day);
  let text = '';
  for (const piece of pieces) {
    if (piece.kind === 'literal') text += piece.text;
    else if (piece.letter === 'F') text = withOptionalFraction(text, value.tick % ticksPerSecond, piece.width);
    else text += formatField(piece.letter, piece.width, value, date);
  }
  return text;
}

function withOptionalFraction(text: string, tick: number, width: number): string {
  const digits = pad(tick, 7).slice(0, width).replace(/0+$/, '');
  return digits === '' && text.endsWith('.') ? text.slice(0, -1) : text + digits;
}

function formatField(letter: string, width: number, value: DateTimeValue, date: CivilDate): string {
  const hour = Math.floor(value.tick / ticksPerHour);
  switch (letter) {
    case 'y': return width <= 2 ? pad(date.year % 100, width) : pad(date.year, width);
    case 'M': return nameOrNumber(monthNames, date.month - 1, date.month, width);
    case 'd': return width > 2 ? nameOrNumber(dayNames, value.day % 7, 0, width) : pad(date.day, width);
    case 'H': return pad(hour, width);
    case 'h': return pad(hour % 12 === 0 ? 12 : hour % 12, width);
    case 'm': return pad(Math.floor(value.tick / ticksPerMinute) % 60, width);
    case 's': return pad(Math.floor(value.tick / ticksPerSecond) % 60, width);
    case 'f': return pad(value.tick % ticksPerSecond, 7).slice(0, width);
    case 't': return (hour < 12 ? 'AM' : 'PM').slice(0, width);
    default: return formatOffset(value.offsetMinutes, letter === 'K' ? 4 : width);
  }
}

function nameOrNumber(names: readonly string[], index: number, number: number, width: number): string {
  if (width <= 2) return pad(number, width);
  const name = names[index] ?? '';
  return width === 3 ? name.slice(0, 3) : name;
}

function formatOffset(offsetMinutes: number | undefined, width: number): string {
  if (offsetMinutes === undefined) return width === 4 ? '' : formatOffset(0, width);
  const sign = offsetMinutes < 0 ? '-' : '+';
  const minutes = Math.abs(offsetMinutes);
  const hours = pad(Math.floor(minutes / 60), width === 1 ? 1 : 2);
  return width >= 3 ? `${sign}${hours}:${pad(minutes % 60, 2)}` : sign + hours;
}

const timeSpanPattern = /^\s*(-?)(?:(\d{1,8})\.)?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?\s*$/;
/** .NET's TimeSpan ends at 2^63 - 1 ticks: 10675199.02:48:05.4775807. */
const timeSpanDaysMax = 10_675_199;

/** Reads `[-][d.]hh:mm[:ss[.fffffff]]`, or along a pattern. */
export function parseTimeSpan(text: string, pieces: readonly Piece[] | undefined): TimeSpanValue | Problem {
  if (pieces !== undefined) return parseTimeSpanByPieces(text, pieces);
  const match = timeSpanPattern.exec(text);
  if (match === null) return new Problem('it is not a time span of the form d.hh:mm:ss');
  return timeSpanOf(match[1] === '-', {
    day: Number(match[2] ?? 0), hour: Number(match[3]), minute: Number(match[4]), second: Number(match[5] ?? 0),
    tick: Number((match[6] ?? '').padEnd(7, '0')),
  });
}

function parseTimeSpanByPieces(text: string, pieces: readonly Piece[]): TimeSpanValue | Problem {
  const negative = text.startsWith('-');
  // Days take all digits up to the next literal; a pattern's other fields read as those of dates do.
  const widened = pieces.map((piece) => (piece.kind === 'field' && piece.letter === 'd' ? { ...piece, letter: 'D' } : piece));
  const parts = emptyParts();
  parts.day = 0;
  let position = negative ? 1 : 0;
  for (const piece of widened) {
    const rest = text.slice(position);
    let taken = -1;
    if (piece.kind === 'literal') {
      taken = rest.startsWith(piece.text) ? piece.text.length : -1;
    } else if (piece.letter === 'D') {
      const digits = /^\d{1,8}/.exec(rest)?.[0] ?? '';
      if (digits.length >= piece.width) {
        parts.day = Number(digits);
        taken = digits.length;
      }
    } else {
      taken = takeField(text, position, piece, parts);
    }
    if (taken < 0) return new Problem('it does not match the format');
    position += taken;
  }
  return position === text.length ? timeSpanOf(negative, parts) : new Problem('it is longer than the format');
}

function timeSpanOf(negative: boolean, parts: Pick<Parts, 'day' | 'hour' | 'minute' | 'second' | 'tick'>): TimeSpanValue | Problem {
  if (parts.hour > 23 || parts.minute > 59 || parts.second > 59) return new Problem('its hours, minutes or seconds are too large');
  if (parts.day >= timeSpanDaysMax) return new Problem(`it is longer than ${timeSpanDaysMax} days`);
  const tick = parts.hour * ticksPerHour + parts.minute * ticksPerMinute + parts.second * ticksPerSecond + parts.tick;
  return { kind: 'timeSpan', negative: negative && (tick > 0 || parts.day > 0), days: parts.day, tick };
}

/** Why a time cannot be written with so many digits of a second (-1: not even a time of day); undefined when nothing is lost. */
export function timeLoss(tick: number, scale: number): Problem | undefined {
  const unit = scale < 0 ? ticksPerDay : 10 ** Math.max(0, 7 - scale);
  return tick % unit === 0 ? undefined : finerThan(scale);
}

/** The problem of a time with more digits of a second than the column holds. */
export function finerThan(scale: number): Problem {
  return new Problem(scale < 0 ? 'the column holds no time of day' : `the column holds ${scale} digits of a second`);
}

/** A time span as database servers read it: the days apart, the sign before each part. */
export function formatServerSpan(value: TimeSpanValue): string {
  const sign = value.negative ? '-' : '';
  const time = formatTimeSpan({ ...value, negative: false, days: 0 }, undefined);
  return value.days === 0 ? sign + time : `${sign}${value.days} days ${sign}${time}`;
}

/** Writes a time span: `[-][d.]hh:mm:ss[.fffffff]`, or along a pattern (which, as in .NET, writes no sign of its own). */
export function formatTimeSpan(value: TimeSpanValue, pieces: readonly Piece[] | undefined): string {
  const sign = value.negative ? '-' : '';
  const date: CivilDate = { year: 1, month: 1, day: value.days };
  const asTime: DateTimeValue = { kind: 'dateTime', day: 0, tick: value.tick % ticksPerDay, offsetMinutes: undefined };
  if (pieces === undefined) {
    const field = (letter: string): string => formatField(letter, 2, asTime, date);
    const fraction = value.tick % ticksPerSecond;
    const days = value.days === 0 ? '' : `${value.days}.`;
    return `${sign}${days}${field('H')}:${field('m')}:${field('s')}${fraction === 0 ? '' : `.${pad(fraction, 7)}`}`;
  }
  let text = sign;
  for (const piece of pieces) {
    if (piece.kind === 'literal') text += piece.text;
    else if (piece.letter === 'd') text += pad(value.days, piece.width);
    else if (piece.letter === 'F') text = withOptionalFraction(text, value.tick % ticksPerSecond, piece.width);
    else text += formatField(piece.letter === 'h' ? 'H' : piece.letter, piece.width, asTime, date);
  }
  return text;
}
