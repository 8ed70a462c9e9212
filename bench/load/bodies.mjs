// Request bodies with ids that are unique per request, patched in place into prebuilt JSON.
// In:  items a body, how accounts are chosen, how much is repeated, a seed.
// Out: the same buffers over and over, with new ids in them; for the checker, what item stood where.
// Absent: HTTP, the program's code.

import { randomFrom, uuidText } from './random.mjs'
import { RequestLog, acknowledged, noSource } from './requests.mjs'

/*
 * An id is tttttttt-tttt-7ppp-8prr-rrrrrriiiiii: time, sender, request, index of the item in its
 * body.
 *
 * Which items of a request repeat an earlier one follows from its number: with T templates and every
 * tenth item a repeat, request n has repeats at the places i with i mod 10 = (n div T) mod 10. They
 * have the ids they had in request n - kT, made from the same template, so accounts and amounts are
 * the same too. No k is a multiple of ten, so they were new there.
 */
const idAt = '{"id":"'.length
const idPrefixLength = 30
/** How many rounds of the templates ago a repeated request was; mostly lately, sometimes long ago. */
const repeatRounds = [1, 9, 101]

/** How the account of an item is chosen: an index into a pool. */
export const accountChoices = {
  uniform: (size, random) => Math.floor(random.fraction() * size),
  /** The k-th account has a share of 1/k: Zipf's law with exponent 1. */
  zipf: (size, random) => Math.floor((size + 1) ** random.fraction()) - 1,
  one: () => 0,
}

/**
 * @typedef {object} BodyOptions
 * @property {string} seed 32 hex digits; another one for every load
 * @property {number} items in a body
 * @property {number} [accounts] in the pool
 * @property {keyof typeof accountChoices} [choice]
 * @property {number} [repeats] every how many items one is a repeat; 0 for none
 * @property {number} [conflicts] every how many repeats one has another amount; 0 for none
 */

export class Bodies {
  /** @param {BodyOptions} options */
  constructor({ seed, items, accounts = 100_000, choice = 'uniform', repeats = 0, conflicts = 0 }) {
    const random = randomFrom(seed)
    this.items = items
    this.repeats = repeats
    this.conflicts = conflicts
    this.requests = new RequestLog()
    /** 16 bits that tell the ids of one load from those of another. */
    this.sender = random.word() >>> 16
    this.pool = Array.from({ length: choice === 'one' ? 1 : accounts }, () => random.uuid())
    const templates = Math.max(32, Math.ceil(100_000 / items))
    const choose = accountChoices[choice]
    this.templates = Array.from({ length: templates }, () => this.#template(random, choose))
  }

  #template(random, choose) {
    const parts = []
    const template = {
      places: new Uint32Array(this.items),
      amountEnds: new Uint32Array(this.items),
      accounts: new Uint32Array(this.items),
      amounts: new Int32Array(this.items),
      /** Places of digits that were changed for a conflict, to be changed back. */
      changed: [],
    }
    let at = 1
    for (let i = 0; i < this.items; i++) {
      const account = choose(this.pool.length, random)
      // Two digits at least, so that changing the last one never makes a zero with a sign.
      const size = 10 + Math.floor(random.fraction() * 999_990)
      const amount = random.word() & 1 ? size : -size
      const id = `00000000-0000-7000-8000-000000${i.toString(16).padStart(6, '0')}`
      const item = `{"id":"${id}","account_id":"${uuidText(this.pool[account])}","amount":${amount}}`
      template.places[i] = at + idAt
      template.amountEnds[i] = at + item.length - 2
      template.accounts[i] = account
      template.amounts[i] = amount
      parts.push(item)
      at += item.length + 1
    }
    return { ...template, body: Buffer.from(`[${parts.join(',')}]`) }
  }

  templateOf(number) {
    return this.templates[number % this.templates.length]
  }

  /** Whether the item at `index` of a request has the id it had in the request that is its source. */
  isRepeat(number, index) {
    if (this.requests.sourceOf(number) === noSource) return false
    const round = Math.floor(number / this.templates.length)
    return index % this.repeats === round % this.repeats
  }

  /** Whether a repeated item has another amount than it had. */
  isConflict(index) {
    return this.conflicts > 0 && Math.floor(index / this.repeats) % this.conflicts === 0
  }

  /** The amount that a conflicting item has: the last digit with its lowest bit turned. */
  conflictingAmount(amount) {
    const size = Math.abs(amount)
    return Math.sign(amount) * (size - (size % 10) + ((size % 10) ^ 1))
  }

  /** Rows that a request adds when all it repeats is there. */
  newItems(number) {
    if (this.requests.sourceOf(number) === noSource) return this.items
    const first = Math.floor(number / this.templates.length) % this.repeats
    return this.items - Math.ceil((this.items - first) / this.repeats)
  }

  /**
   * A body whose new ids no earlier one had. Valid until the next call that comes back to the same
   * template.
   */
  next() {
    const number = this.requests.begin(Date.now(), this.#sourceFor(this.requests.count))
    const template = this.templateOf(number)
    const { body, places, changed } = template
    while (changed.length > 0) body[changed.pop()] ^= 1
    writeAt(body, places, this.#prefix(number))
    if (this.requests.sourceOf(number) !== noSource) this.#repeat(number, template)
    return { number, body }
  }

  #repeat(number, { body, places, amountEnds, changed }) {
    const prefix = this.#prefix(this.requests.sourceOf(number))
    const first = Math.floor(number / this.templates.length) % this.repeats
    for (let i = first; i < this.items; i += this.repeats) {
      body.set(prefix, places[i])
      if (!this.isConflict(i)) continue
      body[amountEnds[i]] ^= 1
      changed.push(amountEnds[i])
    }
  }

  /** Only what was acknowledged is repeated: it is known to come first. */
  #sourceFor(number) {
    if (this.repeats === 0) return noSource
    const round = Math.floor(number / this.templates.length)
    for (const back of [repeatRounds[round % repeatRounds.length], 1]) {
      const source = number - back * this.templates.length
      if (source >= 0 && this.requests.stateOf(source) === acknowledged) return source
    }
    return noSource
  }

  #prefix(number) {
    const time = this.requests.timeOf(number).toString(16).padStart(12, '0')
    const sender = this.sender.toString(16).padStart(4, '0')
    const request = number.toString(16).padStart(8, '0')
    const text =
      `${time.slice(0, 8)}-${time.slice(8)}-7${sender.slice(0, 3)}` +
      `-8${sender[3]}${request.slice(0, 2)}-${request.slice(2)}`
    return Buffer.from(text, 'latin1').subarray(0, idPrefixLength)
  }
}

/** Writes 30 bytes at each place, in words of which the last two overlap. */
function writeAt(body, places, bytes) {
  const from = new DataView(bytes.buffer, bytes.byteOffset, idPrefixLength)
  const to = new DataView(body.buffer, body.byteOffset, body.length)
  const [a, b, c, d, e, f, g] = [0, 4, 8, 12, 16, 20, 24].map((at) => from.getInt32(at))
  const last = from.getInt32(idPrefixLength - 4)
  for (let i = 0; i < places.length; i++) {
    const at = places[i]
    to.setInt32(at, a)
    to.setInt32(at + 4, b)
    to.setInt32(at + 8, c)
    to.setInt32(at + 12, d)
    to.setInt32(at + 16, e)
    to.setInt32(at + 20, f)
    to.setInt32(at + 24, g)
    to.setInt32(at + 26, last)
  }
}
