// Random numbers that a seed repeats: the load generator and the checker draw the same ones.
// In:  a seed of 16 bytes in hex.
// Out: numbers, UUID bytes.
// Absent: secrecy.

/** sfc32 (Chris Doty-Humphrey's small fast counter), warmed up. */
export function randomFrom(seed) {
  const bytes = Buffer.from(seed, 'hex')
  if (bytes.length !== 16) throw new Error(`seed: expected 32 hex digits, found ${seed}`)
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => bytes.readInt32LE(at))
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let i = 0; i < 16; i++) next()
  return {
    /** A whole number below 2^32. */
    word: next,
    /** From 0 up to 1, without it. */
    fraction: () => next() / 2 ** 32,
    /** 16 bytes of a random UUID (version 4). */
    uuid() {
      const uuid = Buffer.alloc(16)
      for (let at = 0; at < 16; at += 4) uuid.writeUInt32LE(next(), at)
      uuid[6] = (uuid[6] & 0x0f) | 0x40
      uuid[8] = (uuid[8] & 0x3f) | 0x80
      return uuid
    },
  }
}

/** The text of 16 bytes as a UUID. */
export function uuidText(bytes) {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
