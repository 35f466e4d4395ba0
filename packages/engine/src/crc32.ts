// CRC-32 of a concatenation from the CRCs of its pieces, after zlib's crc32_combine: appending n zero bytes multiplies the CRC,
// seen as a polynomial over GF(2), by x^(8n) modulo the CRC's polynomial. Bit 31 holds the coefficient of x^0.

const polynomial = 0xedb88320;

/** a · b modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let power = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= power;
    power = (power & 1) === 0 ? power >>> 1 : (power >>> 1) ^ polynomial;
  }
  return product >>> 0;
}

/** x^(2^n) for n = 0 … 31; the powers repeat with period 32 since the polynomial has degree 32 and is primitive. */
const squares: readonly number[] = (() => {
  const table = [0x40000000];
  for (let index = 1; index < 32; index++) {
    const last = table[index - 1] ?? 0;
    table.push(multiply(last, last));
  }
  return table;
})();

/** x^(8 · bytes). */
function shiftOf(bytes: number): number {
  let power = 0x80000000;
  let rest = bytes;
  for (let index = 3; rest > 0; index++) {
    if (rest % 2 === 1) power = multiply(squares[index & 31] ?? 0, power);
    rest = Math.floor(rest / 2);
  }
  return power;
}

let cached: { readonly bytes: number; readonly shift: number } = { bytes: 0, shift: 0x80000000 };

/** CRC-32 of `first` followed by `second`, given the CRC of each and the length of the second. */
export function combineCrc32(first: number, second: number, secondBytes: number): number {
  // Nearly all parts of a copy have the same length.
  if (cached.bytes !== secondBytes) cached = { bytes: secondBytes, shift: shiftOf(secondBytes) };
  return (multiply(cached.shift, first) ^ second) >>> 0;
}
