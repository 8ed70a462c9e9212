// Protobuf base-128 varints, read from bytes that nobody has checked yet, and written.
// In:  bytes with their bounds; whole numbers.
// Out: where the varint ends, and its value.
// Absent: 64-bit exactness, exceptions.

/** Longest varint protobuf permits, in bytes. Shorter values may be padded up to it. */
const varintBytesMax = 10

const continues = 0x80

/**
 * Position after the varint at `at`, or -1 when it does not end before `end` or within ten bytes.
 */
export function varintEnd(bytes: DataView, at: number, end: number): number {
  const limit = Math.min(end, at + varintBytesMax)
  for (let next = at; next < limit; next += 1) {
    if (bytes.getUint8(next) < continues) return next + 1
  }
  return -1
}

/**
 * Value of the varint that fills `at` to `end`, as `varintEnd` returned it. Exact below 2^53 and
 * never rounded to below it, which is all that a tag or a length has to be compared with.
 */
export function varintValue(bytes: DataView, at: number, end: number): number {
  let value = 0
  for (let next = end - 1; next >= at; next -= 1) {
    value = value * 128 + (bytes.getUint8(next) & 0x7f)
  }
  return value
}

/**
 * Writes a whole number from 0 to 2^53 and returns where it ends. Such numbers pass 2^32, so this
 * divides where others shift.
 */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value >= continues) {
    target[at++] = (value % continues) | continues
    value = Math.floor(value / continues)
  }
  target[at++] = value
  return at
}
