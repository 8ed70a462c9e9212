// Request bodies with ids that are unique per request, patched in place into prebuilt JSON.
// In:  items a body, how accounts are chosen.
// Out: the same buffer over and over, with new ids in it.
// Absent: HTTP, the program's code.

import { randomBytes, randomUUID } from 'node:crypto'

/* An id is tttttttt-tttt-7ppp-8prr-rrrrrriiiiii: time, process, request, index of the item in its body. */
const idAt = '{"id":"'.length

function accountPool(size) {
  return Array.from({ length: size }, () => randomUUID())
}

/** How the accounts of a body's items are chosen from a pool. */
export const accountChoices = {
  uniform: (pool) => pool[Math.floor(Math.random() * pool.length)],
  zipf: (pool) => pool[Math.floor(pool.length ** Math.random()) - 1] ?? pool[0],
  one: (pool) => pool[0],
}

export class Bodies {
  /**
   * @param {{ items: number, accounts?: number, choice?: keyof typeof accountChoices, templates?:
   * number }} options
   */
  constructor({ items, accounts = 100_000, choice = 'uniform', templates = 16 }) {
    this.items = items
    this.requests = 0
    this.process = randomBytes(2).toString('hex')
    const pool = accountPool(accounts)
    this.templates = Array.from({ length: templates }, () => this.build(pool, choice))
  }

  build(pool, choice) {
    const parts = []
    const places = []
    let at = 1
    for (let i = 0; i < this.items; i++) {
      const id = `00000000-0000-7000-8000-000000${i.toString(16).padStart(6, '0')}`
      const amount = Math.floor(Math.random() * 2_000_001) - 1_000_000
      const account = accountChoices[choice](pool)
      const item = `{"id":"${id}","account_id":"${account}","amount":${amount}}`
      places.push(at + idAt)
      parts.push(item)
      at += item.length + 1
    }
    return { body: Buffer.from(`[${parts.join(',')}]`), places }
  }

  /**
   * A body whose ids no earlier one had. Valid until the next call that comes back to the same
   * template.
   */
  next() {
    const template = this.templates[this.requests % this.templates.length]
    const time = Date.now().toString(16).padStart(12, '0')
    const request = (this.requests++ >>> 0).toString(16).padStart(8, '0')
    const millisecond = `${time.slice(0, 8)}-${time.slice(8)}`
    const sender = `7${this.process.slice(0, 3)}-8${this.process[3]}`
    const text = `${millisecond}-${sender}${request.slice(0, 2)}-${request.slice(2)}`
    const prefix = Buffer.from(text)
    const { body, places } = template
    for (const place of places) body.set(prefix, place)
    return body
  }
}
