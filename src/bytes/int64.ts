// Signed 64-bit integers from decimal digits, exact, as two 32-bit words.
// In:  digits as bytes.
// Out: 8 bytes, little endian.
// Absent: BigInt, rounding, any notation with a fraction or an exponent.

/*
 * int64 => [ "-" ] ( "0" / digit1-9 *digit )             "-0" is JSON for 0, and is taken as 0
 *
 * Up to 15 digits fit a double exactly, and almost all amounts are that short. Longer ones are put
 * together from two halves in base 2^16, so that no intermediate value reaches 2^53.
 * bench/scanner.mjs shows the speed.
 */

const minus = 0x2d
const zero = 0x30
/** Digits a double holds exactly whatever they are. */
const exactDigits = 15
/** Digits of 2^63. */
const digitsMax = 19
/** Digits after the first part of a long number. */
const tailDigits = 9
const tailScale = 1e9
const halfScale = 2 ** 16
const wordScale = 2 ** 32
const signBit = 2 ** 31

/**
 * Reads the integer at `at` into the 8 bytes at `targetAt` and returns the position after its last
 * digit, or -1 when there is none or it is outside of int64. What follows the digits is for the
 * caller to judge.
 */
export function readInt64(
  source: DataView,
  at: number,
  end: number,
  target: DataView,
  targetAt: number,
): number {
  if (at >= end) return -1
  const negative = source.getUint8(at) === minus
  const first = negative ? at + 1 : at
  const limit = Math.min(end, first + exactDigits)
  let value = 0
  let next = first
  for (; next < limit; next += 1) {
    const digit = source.getUint8(next) - zero
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
    if (value === 0) return writeSmall(0, next + 1, target, targetAt)
  }
  if (next === first) return -1
  if (next < end && next === limit && isDigit(source.getUint8(next))) {
    return readLong(source, first, end, negative, target, targetAt)
  }
  return writeSmall(negative ? -value : value, next, target, targetAt)
}

/**
 * Writes an integer below 2^53 in magnitude. Conversion to 32 bits is modulo 2^32, which is two's
 * complement.
 */
function writeSmall(value: number, next: number, target: DataView, targetAt: number): number {
  target.setInt32(targetAt, value, true)
  target.setInt32(targetAt + 4, Math.floor(value / wordScale), true)
  return next
}

/** Reads more than 15 digits. */
function readLong(
  source: DataView,
  first: number,
  end: number,
  negative: boolean,
  target: DataView,
  targetAt: number,
): number {
  let next = first
  while (next < end && isDigit(source.getUint8(next))) next += 1
  if (next - first > digitsMax) return -1
  // head < 10^10 and tail < 10^9, so none of these sums and products reaches 2^53.
  const head = digitsValue(source, first, next - tailDigits)
  const tail = digitsValue(source, next - tailDigits, next)
  const headHigh = Math.floor(head / halfScale)
  const product = (head - headHigh * halfScale) * tailScale + tail
  const carry = Math.floor(product / halfScale)
  const rest = headHigh * tailScale + carry
  const high = Math.floor(rest / halfScale)
  const low = (rest - high * halfScale) * halfScale + (product - carry * halfScale)
  const fits = high < signBit || (negative && high === signBit && low === 0)
  if (!fits) return -1
  target.setInt32(targetAt, negative ? -low : low, true)
  target.setInt32(targetAt + 4, negative ? -high - (low === 0 ? 0 : 1) : high, true)
  return next
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= zero + 9
}

function digitsValue(source: DataView, at: number, end: number): number {
  let value = 0
  for (let next = at; next < end; next += 1) value = value * 10 + source.getUint8(next) - zero
  return value
}
