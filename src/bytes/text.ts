// Ids, amounts and times as text, written into a buffer.
// In:  binary values as PostgreSQL sends them, big endian.
// Out: ASCII, and the position behind it.
// Absent: strings, for what every row has; allocation.

/*
 * A row of an export is three of these; as strings they would cost several times as much
 * (bench/statements.mjs).
 */

const dash = 0x2d
const zero = 0x30
const wordScale = 2 ** 32
const halfScale = 1e9

/** The two hexadecimal digits of each byte. */
const high = new Uint8Array(256)
const low = new Uint8Array(256)
for (let byte = 0; byte < 256; byte += 1) {
  high[byte] = '0123456789abcdef'.charCodeAt(byte >>> 4)
  low[byte] = '0123456789abcdef'.charCodeAt(byte & 15)
}

/** Writes the 36 characters of the UUID at `from`. */
export function writeUuid(target: Uint8Array, at: number, source: Uint8Array, from: number) {
  let to = at
  for (let i = 0; i < 16; i += 1) {
    if (i === 4 || i === 6 || i === 8 || i === 10) target[to++] = dash
    const byte = source[from + i]
    target[to] = high[byte]
    target[to + 1] = low[byte]
    to += 2
  }
  return to
}

/** Writes the decimal digits of a 64-bit integer. */
export function writeInt64(target: Uint8Array, at: number, source: DataView, from: number) {
  const value = source.getInt32(from) * wordScale + source.getUint32(from + 4)
  if (!Number.isSafeInteger(value)) {
    return writeAscii(target, at, String(source.getBigInt64(from)))
  }
  if (value >= 0) return writeDigits(target, at, value)
  target[at] = dash
  return writeDigits(target, at + 1, -value)
}

/** Writes text of characters below 128. */
export function writeAscii(target: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i += 1) target[at + i] = text.charCodeAt(i)
  return at + text.length
}

/** Writes so many digits, with zeros before them. */
export function writePadded(target: Uint8Array, at: number, value: number, digits: number) {
  let rest = value
  for (let i = at + digits - 1; i >= at; i -= 1) {
    const tenth = Math.trunc(rest / 10)
    target[i] = zero + (rest - tenth * 10)
    rest = tenth
  }
  return at + digits
}

function writeDigits(target: Uint8Array, at: number, value: number): number {
  // Two halves that are 32-bit integers, whose division is quick.
  if (value >= halfScale) {
    const upper = Math.trunc(value / halfScale)
    return writePadded(target, writeDigits(target, at, upper), value - upper * halfScale, 9)
  }
  let digits = 1
  for (let bound = 10; digits < 9 && value >= bound; bound *= 10) digits += 1
  return writePadded(target, at, value, digits)
}
