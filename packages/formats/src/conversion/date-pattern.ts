import { formatErrors } from '../errors.ts';

/** A piece of a .NET date, time or time span pattern. */
export type Piece =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'field'; readonly letter: string; readonly width: number };

/** What may stand in a pattern. Patterns of one letter are .NET's standard formats: `o`, `s` and `u` for dates, `c` for time spans. */
const dateFields: Readonly<Record<string, number>> = { y: 4, M: 4, d: 4, H: 2, h: 2, m: 2, s: 2, f: 7, F: 7, t: 2, z: 3, K: 1 };
const timeSpanFields: Readonly<Record<string, number>> = { d: 8, h: 2, m: 2, s: 2, f: 7, F: 7 };
const standardFormats: Readonly<Record<string, string>> = {
  o: "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
  O: "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
  s: "yyyy'-'MM'-'dd'T'HH':'mm':'ss",
  u: "yyyy'-'MM'-'dd HH':'mm':'ss'Z'",
};

export const supportedDateFields =
  'yyyy yy MMMM MMM MM M dddd ddd dd d HH H hh h mm m ss s f to fffffff, F to FFFFFFF, tt t zzz zz z K, or o, s, u alone';
export const supportedTimeSpanFields = 'd to dddddddd, hh h mm m ss s, f to fffffff, F to FFFFFFF, or c alone';

/** Cuts a pattern into pieces. Letters that mean nothing to .NET are refused, but for `T` and `Z`, which stand for themselves. */
export function parsePattern(pattern: string, family: 'date' | 'timeSpan'): readonly Piece[] {
  const expanded = family === 'date' && Object.hasOwn(standardFormats, pattern) ? (standardFormats[pattern] ?? pattern) : pattern;
  const fields = family === 'date' ? dateFields : timeSpanFields;
  const pieces: Piece[] = [];
  const literal = (text: string): void => {
    const last = pieces.at(-1);
    if (last?.kind === 'literal') pieces[pieces.length - 1] = { kind: 'literal', text: last.text + text };
    else pieces.push({ kind: 'literal', text });
  };
  for (let index = 0; index < expanded.length; ) {
    const letter = expanded.charAt(index);
    if (letter === "'" || letter === '"') {
      const close = expanded.indexOf(letter, index + 1);
      if (close < 0) throw badPattern(pattern, family, 'a quote is not closed');
      literal(expanded.slice(index + 1, close));
      index = close + 1;
    } else if (letter === '\\') {
      if (index + 1 >= expanded.length) throw badPattern(pattern, family, 'it ends with a backslash');
      literal(expanded.charAt(index + 1));
      index += 2;
    } else if (/[A-Za-z]/.test(letter) && !(family === 'date' && (letter === 'T' || letter === 'Z'))) {
      let width = 1;
      while (expanded.charAt(index + width) === letter) width++;
      const widest = Object.hasOwn(fields, letter) ? (fields[letter] ?? 0) : 0;
      if (widest === 0) throw badPattern(pattern, family, `the letter ${letter} has no meaning here`);
      if (width > widest) throw badPattern(pattern, family, `${letter.repeat(width)} is longer than ${letter.repeat(widest)}`);
      pieces.push({ kind: 'field', letter, width });
      index += width;
    } else if (letter === '%' && index === 0) {
      index++;
    } else {
      literal(letter);
      index++;
    }
  }
  checkPieces(pieces, pattern, family);
  return pieces;
}

function checkPieces(pieces: readonly Piece[], pattern: string, family: 'date' | 'timeSpan'): void {
  const letters = pieces.flatMap((piece) => (piece.kind === 'field' ? [piece.letter] : []));
  if (letters.length === 0) throw badPattern(pattern, family, 'it holds no part of a time');
  const kinds = pieces.flatMap((piece) => (piece.kind === 'field' ? [kindOf(piece.letter, piece.width)] : []));
  const repeated = kinds.find((kind, index) => kinds.indexOf(kind) !== index);
  if (repeated !== undefined) throw badPattern(pattern, family, `the ${repeated} stands twice`);
  if (letters.includes('h') && family === 'date' && !letters.includes('t')) {
    throw badPattern(pattern, family, 'h needs tt to tell morning from afternoon; H counts to 23');
  }
}

function kindOf(letter: string, width: number): string {
  if (letter === 'd') return width > 2 ? 'day of the week' : 'day';
  const kinds: Readonly<Record<string, string>> = {
    y: 'year', M: 'month', H: 'hour', h: 'hour', m: 'minute', s: 'second', f: 'fraction', F: 'fraction', t: 'half of the day', z: 'offset',
    K: 'offset',
  };
  return kinds[letter] ?? letter;
}

export function badPattern(pattern: string, family: 'date' | 'timeSpan', reason: string): Error {
  return formatErrors.BAD_PATTERN.create({
    pattern, reason,
    type: family === 'date' ? 'dates' : 'time spans',
    supported: family === 'date' ? supportedDateFields : supportedTimeSpanFields,
  });
}

/** True when the pattern holds a field of one of these letters. */
export function hasField(pieces: readonly Piece[], letters: string): boolean {
  return pieces.some((piece) => piece.kind === 'field' && letters.includes(piece.letter));
}
