// Whether the ledger's rows are exactly what was acknowledged.
// In:  what each load sent and how it was answered; then every row and every conflict.
// Out: what is missing, doubled, wrong or of nobody, and the sums by account.
// Absent: reading the tables (tables.mjs), the program's code.

import { acknowledged, refused, unanswered } from '../load/requests.mjs'

const problemsMax = 5

const kinds = {
  missing: 'acknowledged, but not in the ledger',
  doubled: 'in the ledger more than once',
  wrong: 'in the ledger with another account, amount or id than was sent',
  invented: 'in the ledger, though nobody sent it, or it was refused',
  missingConflicts: 'acknowledged with another amount, but no recorded conflict',
  wrongConflicts: 'recorded as a conflict, though nobody sent it so',
}

export class Checker {
  rows = 0
  conflicts = 0
  /** Rows of others, counted but not judged when the ledger is not ours alone. */
  foreign = 0
  problems = []
  counts = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]))
  #loads
  #probes
  #exclusive

  /**
   * @param {{ loads: import('../load/bodies.mjs').Bodies[], probes?: Map<string, object>,
   *   exclusive?: boolean }} sent `exclusive` when nobody else has written to the ledger
   */
  constructor({ loads, probes = new Map(), exclusive = true }) {
    this.#loads = new Map(loads.map((bodies) => [bodies.sender, new LoadRows(bodies)]))
    this.#probes = probes
    this.#exclusive = exclusive
  }

  /** A row of ledger.transactions, as bytes: where its account, id and amount begin. */
  row(bytes, accountAt, idAt, amountAt) {
    this.rows++
    const load = this.#loads.get(senderOf(bytes, idAt))
    if (load === undefined || bytes[idAt + 6] >> 4 !== 7) {
      this.#other(bytes, accountAt, idAt, amountAt)
      return
    }
    const kind = load.row(bytes, accountAt, idAt, amountAt)
    if (kind !== undefined) this.#note(kind, bytes, idAt)
  }

  /** A row of ledger.conflicts: the same, with the amount that was refused. */
  conflict(bytes, accountAt, idAt, amountAt) {
    this.conflicts++
    const load = this.#loads.get(senderOf(bytes, idAt))
    if (load?.conflict(bytes, accountAt, idAt, amountAt) === true) return
    if (load === undefined && !this.#exclusive) return
    this.#note('wrongConflicts', bytes, idAt)
  }

  #other(bytes, accountAt, idAt, amountAt) {
    const hex = (at) => bytes.toString('hex', at, at + 16)
    const probe = this.#probes.get(hex(idAt))
    if (probe === undefined) {
      this.foreign++
      if (this.#exclusive) this.#note('invented', bytes, idAt)
      return
    }
    if (probe.found) this.#note('doubled', bytes, idAt)
    probe.found = true
    const isRight =
      probe.accountHex === hex(accountAt) && bytes.readBigInt64BE(amountAt) === BigInt(probe.amount)
    if (!isRight) this.#note('wrong', bytes, idAt)
  }

  #note(kind, bytes, at) {
    this.#add(kind, 1, bytes.toString('hex', at, at + 16))
  }

  #add(kind, count, id) {
    this.counts[kind] += count
    if (count > 0 && this.problems.length < problemsMax) {
      this.problems.push(`${id}: ${kinds[kind]}`)
    }
  }

  /** Once every row was given: what was found, and whether it is exactly what was acknowledged. */
  finish() {
    let expected = 0
    let accounts = 0
    for (const load of this.#loads.values()) {
      const found = load.finish()
      expected += found.expected
      accounts += found.accounts
      for (const kind of ['missing', 'missingConflicts']) {
        this.#add(kind, found[kind].length, found[kind].first)
      }
      for (const account of found.wrongSums) {
        this.problems.push(`account ${account}: count or sum differs from what was acknowledged`)
      }
    }
    for (const [id, probe] of this.#probes) {
      if (probe.acknowledged) expected++
      if (probe.acknowledged && !probe.found) this.#add('missing', 1, id)
    }
    return {
      ok: this.problems.length === 0,
      rows: this.rows - this.foreign,
      expected,
      conflicts: this.conflicts,
      accounts,
      foreign: this.foreign,
      ...this.counts,
      problems: this.problems,
    }
  }

  /** What an account of a load must add up to, now that every row was seen. */
  expectedAccounts() {
    return [...this.#loads.values()].flatMap((load) => load.expectedAccounts())
  }
}

function senderOf(bytes, idAt) {
  return ((bytes[idAt + 6] & 15) << 12) | (bytes[idAt + 7] << 4) | (bytes[idAt + 8] & 15)
}

/** The rows of one load. */
class LoadRows {
  #bodies
  /** One bit an item: whether its row was seen. */
  #seen
  /** One bit an item: whether its conflict was seen. Only where there may be conflicts. */
  #seenConflicts
  #counts
  #sums

  constructor(bodies) {
    this.#bodies = bodies
    const bytes = Math.ceil((bodies.requests.count * bodies.items) / 8)
    this.#seen = new Uint8Array(bytes)
    this.#seenConflicts = new Uint8Array(bodies.conflicts > 0 ? bytes : 0)
    this.#counts = new Uint32Array(bodies.pool.length)
    this.#sums = new Float64Array(bodies.pool.length)
  }

  /** The item an id belongs to, when it is exactly the id that was sent. */
  #itemOf(bytes, idAt) {
    const { requests, items } = this.#bodies
    const number = bytes.readUInt32BE(idAt + 9)
    const index = bytes.readUIntBE(idAt + 13, 3)
    if (number >= requests.count || index >= items || bytes[idAt + 8] >> 4 !== 8) return undefined
    if (bytes.readUIntBE(idAt, 6) !== requests.timeOf(number)) return undefined
    return { number, index, template: this.#bodies.templateOf(number), bit: number * items + index }
  }

  /** Notes a row; returns what is wrong with it. */
  row(bytes, accountAt, idAt, amountAt) {
    const item = this.#itemOf(bytes, idAt)
    if (item === undefined) return 'invented'
    const { number, index, template, bit } = item
    const account = template.accounts[index]
    const amount = template.amounts[index]
    if (!this.#isAccount(account, bytes, accountAt)) return 'wrong'
    if (amountOf(bytes, amountAt) !== amount) return 'wrong'
    if (this.#bodies.requests.stateOf(number) === refused) return 'invented'
    if (this.#bodies.isRepeat(number, index)) return 'invented'
    const mask = 1 << (bit & 7)
    if (this.#seen[bit >>> 3] & mask) return 'doubled'
    this.#seen[bit >>> 3] |= mask
    this.#counts[account]++
    this.#sums[account] += amount
    return undefined
  }

  /** Notes a conflict; true when its key was sent and stands there with this other amount. */
  conflict(bytes, accountAt, idAt, amountAt) {
    const item = this.#itemOf(bytes, idAt)
    if (item === undefined || this.#seenConflicts.length === 0) return false
    const { index, template, bit } = item
    if (!this.#isAccount(template.accounts[index], bytes, accountAt)) return false
    const amount = this.#bodies.conflictingAmount(template.amounts[index])
    if (amountOf(bytes, amountAt) !== amount || !this.#bodies.isConflict(index)) return false
    this.#seenConflicts[bit >>> 3] |= 1 << (bit & 7)
    return true
  }

  #isAccount(account, bytes, at) {
    return this.#bodies.pool[account].compare(bytes, at, at + 16) === 0
  }

  finish() {
    const { requests, items, pool } = this.#bodies
    const missing = { length: 0, first: undefined }
    const missingConflicts = { length: 0, first: undefined }
    const counts = new Uint32Array(pool.length)
    const sums = new Float64Array(pool.length)
    let expected = 0
    for (let number = 0; number < requests.count; number++) {
      const state = requests.stateOf(number)
      if (state === refused) continue
      const template = this.#bodies.templateOf(number)
      for (let index = 0; index < items; index++) {
        const isRepeat = this.#bodies.isRepeat(number, index)
        if (isRepeat && state === acknowledged && this.#bodies.isConflict(index)) {
          this.#expectConflict(requests.sourceOf(number) * items + index, missingConflicts)
        }
        if (isRepeat) continue
        const isSeen = isSet(this.#seen, number * items + index)
        if (state === acknowledged) expected++
        else if (!isSeen) continue
        if (!isSeen) note(missing, number, index)
        counts[template.accounts[index]]++
        sums[template.accounts[index]] += template.amounts[index]
      }
    }
    const wrongSums = pool
      .filter((_, i) => counts[i] !== this.#counts[i] || sums[i] !== this.#sums[i])
      .map((account) => account.toString('hex'))
    const accounts = counts.reduce((used, count) => used + (count > 0 ? 1 : 0), 0)
    return { expected, accounts, missing, missingConflicts, wrongSums: wrongSums.slice(0, 3) }
  }

  #expectConflict(bit, missing) {
    if (isSet(this.#seenConflicts, bit)) return
    const { items } = this.#bodies
    note(missing, Math.floor(bit / items), bit % items)
  }

  expectedAccounts() {
    return this.#bodies.pool
      .map((account, i) => ({ account, count: this.#counts[i], sum: this.#sums[i] }))
      .filter(({ count }) => count > 0)
  }
}

function isSet(bits, bit) {
  return (bits[bit >>> 3] & (1 << (bit & 7))) !== 0
}

function note(list, number, index) {
  list.first ??= `item ${index} of request ${number}`
  list.length++
}

/** An int64 that a double holds exactly, or NaN. */
function amountOf(bytes, at) {
  const amount = bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  return Number.isSafeInteger(amount) ? amount : NaN
}

/** What was answered, in requests. */
export function answersOf({ requests }) {
  const answers = { acknowledged: 0, refused: 0, unanswered: 0 }
  for (let number = 0; number < requests.count; number++) {
    const state = requests.stateOf(number)
    if (state === acknowledged) answers.acknowledged++
    if (state === refused) answers.refused++
    if (state === unanswered) answers.unanswered++
  }
  return answers
}
