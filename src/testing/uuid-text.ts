// UUIDs as the clients and the checker write them. Independent of the program's own.
// In:  16 bytes.
// Out: 36 characters, and back.
// Absent: validation; tests only write what they made.

const digits = '0123456789abcdef'
const dashBefore = new Set([4, 6, 8, 10])

/** Writes the UUID at `from` in `source` as 36 ASCII bytes at `at` in `target`. */
export function writeUuidText(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  from: number,
): void {
  let p = at
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) target[p++] = 0x2d
    const byte = source[from + i] ?? 0
    target[p++] = digits.charCodeAt(byte >>> 4)
    target[p++] = digits.charCodeAt(byte & 15)
  }
}

export function uuidText(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (dashBefore.has(i)) text += '-'
    text += (bytes[i] ?? 0).toString(16).padStart(2, '0')
  }
  return text
}

export function uuidFromText(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'))
}
