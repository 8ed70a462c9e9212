// What became of every request of a load: when its ids were made, what it repeats, how it was
// answered.
// In:  requests in the order they are made, numbered from 0.
// Out: the same, in memory and in a file that another process reads.
// Absent: bodies (bodies.mjs), HTTP.

import { readFileSync, writeFileSync } from 'node:fs'

export const unanswered = 0
/** 202: every item of it is durable. */
export const acknowledged = 1
/** 4xx: nothing of it was taken. A 5xx promises nothing, so it counts as unanswered. */
export const refused = 2

/** Request `source` of a request that repeats none. */
export const noSource = -1

export class RequestLog {
  count = 0
  #times = new Float64Array(1024)
  #sources = new Int32Array(1024)
  #states = new Uint8Array(1024)

  /** @returns {number} the number of a new request */
  begin(time, source) {
    if (this.count === this.#states.length) this.#grow()
    this.#times[this.count] = time
    this.#sources[this.count] = source
    this.#states[this.count] = unanswered
    return this.count++
  }

  /** Notes the answer's status code. */
  answer(number, status) {
    if (status >= 200 && status < 300) this.#states[number] = acknowledged
    else if (status >= 400 && status < 500) this.#states[number] = refused
  }

  timeOf(number) {
    return this.#times[number]
  }

  sourceOf(number) {
    return this.#sources[number]
  }

  stateOf(number) {
    return this.#states[number]
  }

  #grow() {
    const grown = (array) => {
      const twice = new array.constructor(array.length * 2)
      twice.set(array)
      return twice
    }
    this.#times = grown(this.#times)
    this.#sources = grown(this.#sources)
    this.#states = grown(this.#states)
  }

  save(path) {
    const parts = [this.#times, this.#sources, this.#states].map((array) => {
      const used = array.subarray(0, this.count)
      return Buffer.from(used.buffer, used.byteOffset, used.byteLength)
    })
    writeFileSync(path, Buffer.concat(parts))
  }

  static load(path) {
    const bytes = readFileSync(path)
    const count = bytes.length / (8 + 4 + 1)
    if (!Number.isInteger(count)) throw new Error(`${path}: cut short at ${bytes.length} bytes`)
    // A copy: what readFileSync returns need not begin at a multiple of eight.
    const { buffer } = new Uint8Array(bytes)
    const log = new RequestLog()
    log.count = count
    log.#times = new Float64Array(buffer, 0, count)
    log.#sources = new Int32Array(buffer, count * 8, count)
    log.#states = new Uint8Array(buffer, count * 12, count)
    return log
  }
}
