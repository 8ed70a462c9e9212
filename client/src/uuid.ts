// UUIDv7 (RFC 9562): ids that sort by the time they were made, which keeps the tables fast.
// In:  the clock, randomness.
// Out: ids, each greater than the one before.
// Absent: other kinds of UUID.

const counterBits = 12
const counterMax = 2 ** counterBits - 1

/** A counter begins in the lower half of its range, so that a millisecond has room for many. */
const counterStartMax = 2 ** (counterBits - 1) - 1

let lastMs = 0
let counter = 0
const random = new Uint8Array(10)

/**
 * An id that is greater than every one this function returned before, also when the clock goes back
 * or many are made in one millisecond: then its time runs ahead.
 */
export function uuidv7(): string {
  crypto.getRandomValues(random)
  const now = Date.now()
  if (now > lastMs) begin(now)
  else if (counter < counterMax) counter += 1
  else begin(lastMs + 1)
  const time = lastMs.toString(16).padStart(12, '0')
  const sequence = counter.toString(16).padStart(3, '0')
  const variant = (0x80 | (random[2] & 0x3f)).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence}-${variant}${hex(3, 4)}-${hex(4, 10)}`
}

function begin(ms: number): void {
  lastMs = ms
  counter = ((random[0] << 8) | random[1]) & counterStartMax
}

function hex(from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) text += random[i].toString(16).padStart(2, '0')
  return text
}
