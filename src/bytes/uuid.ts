// UUIDs between their 36-character text and their 16 bytes in network order (RFC 9562).
// In:  text as bytes or as a string, of either case.
// Out: 16 bytes, or lower-case text.
// Absent: versions and variants (every UUID is as good as another), exceptions.

/*
 * uuid => 8hex "-" 4hex "-" 4hex "-" 4hex "-" 12hex      36 characters: dashes at 8, 13, 18 and 23
 *
 * Four characters are loaded as one little-endian word; each half of the word is a pair of digits
 * and indexes a table that holds the byte they stand for, or -1. Only the lines of the table that
 * hold digits are ever touched by valid text (2 KiB), so it stays in the nearest cache.
 * bench/scanner.mjs shows the speed.
 */

/** Length of a UUID as text, in characters. */
export const uuidTextBytes = 36

const dash = 0x2d
const uuidBytes = 16

/**
 * Byte for each pair of hexadecimal characters, by first character + 256 * second; -1 for all other
 * pairs.
 */
const byteOfPair = new Int16Array(65536).fill(-1)
/** Text of each byte in lower case. */
const textOfByte: string[] = []

for (let byte = 0; byte < 256; byte += 1) {
  const text = byte.toString(16).padStart(2, '0')
  textOfByte.push(text)
  const [high = '', low = ''] = text
  for (const first of [high, high.toUpperCase()]) {
    for (const second of [low, low.toUpperCase()]) {
      byteOfPair[first.charCodeAt(0) | (second.charCodeAt(0) << 8)] = byte
    }
  }
}

/**
 * Two bytes from four characters, the first byte lowest; negative when any of the four is no digit.
 */
function twoBytes(source: DataView, at: number): number {
  const word = source.getInt32(at, true)
  const first = byteOfPair[word & 0xffff]
  const second = byteOfPair[word >>> 16]
  return first | (second << 8)
}

/**
 * Reads the 36 characters at `at` into the 16 bytes at `targetAt`. False when they are not a UUID;
 * the 16 bytes are then overwritten with no meaning. Both ranges must lie within their views.
 */
export function readUuid(
  source: DataView,
  at: number,
  target: DataView,
  targetAt: number,
): boolean {
  const a = twoBytes(source, at)
  const b = twoBytes(source, at + 4)
  const c = twoBytes(source, at + 9)
  const d = twoBytes(source, at + 14)
  const e = twoBytes(source, at + 19)
  const f = twoBytes(source, at + 24)
  const g = twoBytes(source, at + 28)
  const h = twoBytes(source, at + 32)
  // Whole words are stored, since whole words are what the partition and repeat checks load again
  // at once.
  target.setInt32(targetAt, a | (b << 16), true)
  target.setInt32(targetAt + 4, c | (d << 16), true)
  target.setInt32(targetAt + 8, e | (f << 16), true)
  target.setInt32(targetAt + 12, g | (h << 16), true)
  const notDashes =
    (source.getUint8(at + 8) ^ dash) |
    (source.getUint8(at + 13) ^ dash) |
    (source.getUint8(at + 18) ^ dash) |
    (source.getUint8(at + 23) ^ dash)
  return (a | b | c | d | e | f | g | h) >= 0 && notDashes === 0
}

/** The 16 bytes of a UUID's text, or `undefined` when the text is not a UUID. */
export function parseUuid(text: string): Uint8Array | undefined {
  if (text.length !== uuidTextBytes) return undefined
  const source = new DataView(new ArrayBuffer(uuidTextBytes))
  for (let i = 0; i < uuidTextBytes; i += 1) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return undefined
    source.setUint8(i, code)
  }
  const bytes = new Uint8Array(uuidBytes)
  return readUuid(source, 0, new DataView(bytes.buffer), 0) ? bytes : undefined
}

/** The text, in lower case, of the 16 bytes at `at`. */
export function formatUuid(bytes: Uint8Array, at = 0): string {
  let text = ''
  for (let i = 0; i < uuidBytes; i += 1) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += textOfByte[bytes[at + i]]
  }
  return text
}
