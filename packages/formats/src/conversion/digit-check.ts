import type { HeldDigits } from '@dmg/model';
import { finerThan } from './date-time.ts';
import { checkScale, parseExact } from './number.ts';
import { Problem } from './value.ts';

const [point, colon, zero, nine, plus, minus] = [0x2e, 0x3a, 0x30, 0x39, 0x2b, 0x2d];
const decoder = new TextDecoder();

/**
 * Why text that goes to a server as it stands would lose digits there: a server rounds what its column does not hold, and says nothing.
 * Undefined where nothing is lost, and for text that only the server can read.
 */
export function digitLoss(held: HeldDigits, bytes: Uint8Array, start: number, end: number): Problem | undefined {
  return held.of === 'number' ? numberLoss(held.scale, bytes, start, end) : timeLoss(held.scale, bytes, start, end);
}

function numberLoss(scale: number, bytes: Uint8Array, start: number, end: number): Problem | undefined {
  let fraction = -1;
  for (let index = start; index < end; index++) {
    const byte = bytes[index] as number;
    if (isDigit(byte)) {
      if (fraction >= 0 && index - fraction >= scale && byte !== zero) return wholeLoss(scale, bytes, start, end);
    } else if (byte === point && fraction < 0) {
      fraction = index + 1;
    } else if (index > start || (byte !== minus && byte !== plus)) {
      // With an exponent, or no number that is written plainly.
      return wholeLoss(scale, bytes, start, end);
    }
  }
  return scale >= 0 ? undefined : wholeLoss(scale, bytes, start, end);
}

function wholeLoss(scale: number, bytes: Uint8Array, start: number, end: number): Problem | undefined {
  const value = parseExact(decoder.decode(bytes.subarray(start, end)));
  return value instanceof Problem ? undefined : checkScale(value, scale);
}

function timeLoss(scale: number, bytes: Uint8Array, start: number, end: number): Problem | undefined {
  let first = start;
  while (first < end && bytes[first] !== colon) first++;
  if (first === end) return undefined;
  let hours = first;
  while (hours > start && isDigit(bytes[hours - 1] as number)) hours--;
  // A zone behind a date.
  if (bytes[hours - 1] === plus || (bytes[hours - 1] === minus && first - start > 8)) return undefined;
  let fraction = -1;
  for (let index = scale < 0 ? hours : first; index < end; index++) {
    const byte = bytes[index] as number;
    if (byte === point) fraction = index + 1;
    else if (byte !== colon && !isDigit(byte)) return undefined;
    else if (byte === colon || byte === zero) continue;
    else if (scale < 0 || (fraction >= 0 && index - fraction >= scale)) return finerThan(scale);
  }
  return undefined;
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}
