// The parts of JSON a batch is made of: white space and strings, read from bytes.
// In:  a body, and a position in it.
// Out: the next position; the characters of a string; excerpts of what stands somewhere, for
//      faults.
// Absent: numbers (bytes/int64.ts), objects and arrays (parse-json.ts), characters outside of
//         ASCII: no member a batch may have contains one, so a string that does is refused, and its
//         encoding need not be checked.

const quote = 0x22
const backslash = 0x5c
const space = 0x20

/** Longest text a member may have, with room for what is one character too long. */
const textBytesMax = 64

/** A string's characters after its escapes are resolved, as bytes in `view` from `at` to `end`. */
export interface Text {
  view: DataView
  at: number
  end: number
  /** Position in the body after the closing quote. */
  next: number
}

const unescaped = new DataView(new ArrayBuffer(textBytesMax))

/** The byte at `at`, or -1 at the end. */
export function byteAt(body: DataView, at: number): number {
  return at < body.byteLength ? body.getUint8(at) : -1
}

/** Position of the first byte from `at` on that is not white space. */
export function skipSpace(body: DataView, at: number): number {
  const end = body.byteLength
  let next = at
  for (; next < end; next += 1) {
    const byte = body.getUint8(next)
    if (byte > space) break
    if (byte !== space && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
  }
  return next
}

/**
 * Reads the string whose opening quote is at `at` into `text`. False when there is none, when it is
 * not JSON, or when it is too long to be any text a batch may hold. `text` is valid until the next
 * call.
 */
export function readText(body: DataView, at: number, text: Text): boolean {
  const end = body.byteLength
  if (at >= end || body.getUint8(at) !== quote) return false
  for (let next = at + 1; next < end; next += 1) {
    const byte = body.getUint8(next)
    if (byte === quote) {
      text.view = body
      text.at = at + 1
      text.end = next
      text.next = next + 1
      return true
    }
    if (byte === backslash) return readEscaped(body, at, text)
    if (byte < space) return false
  }
  return false
}

/** Whether a string's characters are these, all ASCII. */
export function isText(text: Text, characters: string): boolean {
  if (text.end - text.at !== characters.length) return false
  for (let i = 0; i < characters.length; i += 1) {
    if (text.view.getUint8(text.at + i) !== characters.charCodeAt(i)) return false
  }
  return true
}

/** Reads a string that has escapes: copies it with each escape replaced. */
function readEscaped(body: DataView, at: number, text: Text): boolean {
  const end = body.byteLength
  let length = 0
  for (let next = at + 1; next < end && length < textBytesMax;) {
    let byte = body.getUint8(next)
    next += 1
    if (byte === quote) {
      text.view = unescaped
      text.at = 0
      text.end = length
      text.next = next
      return true
    }
    if (byte < space) return false
    if (byte === backslash) {
      const escape = next < end ? body.getUint8(next) : 0
      const isUnicode = escape === 0x75
      byte = isUnicode ? unicodeEscape(body, next + 1) : (shortEscapes.get(escape) ?? -1)
      // No text a batch may hold has a character beyond ASCII.
      if (byte < 0 || byte > 0x7f) return false
      next += isUnicode ? 5 : 1
    }
    unescaped.setUint8(length, byte)
    length += 1
  }
  return false
}

/** The characters that a backslash and one more character stand for. */
const shortEscapes = new Map([
  [quote, quote],
  [backslash, backslash],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
])

/** Value of the four hexadecimal digits at `at`, or -1. */
function unicodeEscape(body: DataView, at: number): number {
  if (at + 4 > body.byteLength) return -1
  let value = 0
  for (let next = at; next < at + 4; next += 1) {
    const digit = parseInt(String.fromCharCode(body.getUint8(next)), 16)
    if (Number.isNaN(digit)) return -1
    value = value * 16 + digit
  }
  return value
}

const excerptBytes = 32

/**
 * What stands at `at`, for a fault: a whole string, number or word, or else one character, in
 * backquotes; printable ASCII as it is and other bytes as \xHH, and at most 40 characters in all.
 */
export function excerpt(body: DataView, at: number): string {
  if (at >= body.byteLength) return 'the end of the body'
  const end = tokenEnd(body, at, Math.min(body.byteLength, at + excerptBytes + 1))
  let text = ''
  for (let next = at; next < end; next += 1) {
    const shown = shownByte(body.getUint8(next))
    if (text.length + shown.length > excerptBytes) return `\`${text}…\``
    text += shown
  }
  return `\`${text}\``
}

function shownByte(byte: number): string {
  if (byte >= space && byte < 0x7f) return String.fromCharCode(byte)
  return `\\x${byte.toString(16).padStart(2, '0')}`
}

/** Where the token at `at` ends, not looking beyond `limit`. */
function tokenEnd(body: DataView, at: number, limit: number): number {
  const isString = body.getUint8(at) === quote
  for (let next = at; next < limit; next += 1) {
    const byte = body.getUint8(next)
    if (isString) {
      if (byte === quote && next > at) return next + 1
      if (byte === backslash) next += 1
    } else if (!isWordByte(byte)) {
      return Math.max(next, at + 1)
    }
  }
  return limit
}

/**
 * Letters, digits, signs and dots, and every byte beyond ASCII: what a number or a word is made of.
 */
export function isWordByte(byte: number): boolean {
  const letter = byte | 0x20
  if (letter >= 0x61 && letter <= 0x7a) return true
  return (
    (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e || byte > 0x7f
  )
}
