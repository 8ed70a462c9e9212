// The grammar of a JSON batch, read slowly and plainly: what the scanner of batch/ must agree with.
// In:  a body.
// Out: its entries, or the first fault in it: item, member, position and what was expected.
// Absent: the scanner's code; speed.

/*
 * body   => ws "[" ws item *( ws "," ws item ) ws "]" ws         1 to 5000 items
 * item   => "{" ws member *( ws "," ws member ) ws "}"           id, account_id, amount, each once
 * member => string ws ":" ws value
 *
 * Bytes are characters here: no text that a batch may hold has any beyond ASCII.
 */

import { requestItemsMax } from '../../limits.ts'
import { encodeBatch, type Entry } from '../../record/encode.ts'

export interface GrammarFault {
  index?: number
  field?: string
  position?: number
  expected: string
}

export type Reading = { entries: Uint8Array } | { fault: GrammarFault }

const spaces = /[ \t\n\r]*/y
const string = /"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y
const integer = /-?(?:0|[1-9][0-9]*)(?![-+.0-9A-Za-z\x80-\xff])/y
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const digits = /^-?(?:0|[1-9][0-9]*)$/

const names = ['id', 'account_id', 'amount']
const anyKey = 'the key "id", "account_id" or "amount"'
const anyInt64 = 'an integer from -9223372036854775808 to 9223372036854775807'
const anyUuid = 'a UUID as a string of 36 characters'

/** One for all, since millions of them are thrown; the fault is with the reader. */
const refused = new Error('refused')

export function readJson(body: Uint8Array): Reading {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')
  const reader = new Reader(text)
  try {
    return { entries: encodeBatch(reader.batch()) }
  } catch (error) {
    if (error !== refused || reader.fault === undefined) throw error
    return { fault: reader.fault }
  }
}

class Reader {
  fault: GrammarFault | undefined
  readonly #text: string
  #at = 0
  readonly #amounts = new Map<string, { amount: bigint; index: number }>()

  constructor(text: string) {
    this.#text = text
  }

  batch(): Entry[] {
    const entries: Entry[] = []
    this.#skipSpace()
    if (!this.#has('[')) this.#refuse('an array')
    this.#skipSpace()
    if (this.#next === ']') this.#refuse(`1 to ${requestItemsMax} transactions`)
    do {
      this.#skipSpace()
      const index = entries.length
      if (index === requestItemsMax) this.#refuse(`1 to ${requestItemsMax} transactions`)
      entries.push(this.#item(index))
      this.#compare(entries[index], index)
      this.#skipSpace()
    } while (this.#has(','))
    if (!this.#has(']')) this.#refuse('`,` or `]`')
    this.#skipSpace()
    if (this.#next !== undefined) this.#refuse('the end of the body')
    return entries
  }

  #item(index: number): Entry {
    if (!this.#has('{')) this.#refuse('an object', index)
    const values = new Map<string, Uint8Array | bigint>()
    this.#skipSpace()
    if (this.#next !== '}') {
      do {
        this.#skipSpace()
        this.#member(index, values)
        this.#skipSpace()
      } while (this.#has(','))
    }
    if (this.#next !== '}') this.#refuse('`,` or `}`', index)
    for (const name of names) {
      if (!values.has(name)) this.#refuse(`the member "${name}"`, index, name)
    }
    this.#at += 1
    return {
      id: values.get('id') as Uint8Array,
      accountId: values.get('account_id') as Uint8Array,
      amount: values.get('amount') as bigint,
    }
  }

  #member(index: number, values: Map<string, Uint8Array | bigint>): void {
    const keyAt = this.#at
    const key = this.#string()
    if (key === undefined || !names.includes(key)) this.#refuse(anyKey, index, undefined, keyAt)
    if (values.has(key)) this.#refuse('each key once', index, key, keyAt)
    this.#skipSpace()
    if (!this.#has(':')) this.#refuse('`:`', index, key)
    this.#skipSpace()
    const valueAt = this.#at
    const value = key === 'amount' ? this.#int64() : this.#uuid()
    const expected = key === 'amount' ? anyInt64 : anyUuid
    if (value === undefined) this.#refuse(expected, index, key, valueAt)
    values.set(key, value)
  }

  #uuid(): Uint8Array | undefined {
    const text = this.#string()
    if (text === undefined || !uuid.test(text)) return undefined
    return Buffer.from(text.replaceAll('-', ''), 'hex')
  }

  #int64(): bigint | undefined {
    const text = this.#next === '"' ? this.#string() : this.#take(integer)
    if (text === undefined || !digits.test(text)) return undefined
    const amount = BigInt(text)
    return BigInt.asIntN(64, amount) === amount ? amount : undefined
  }

  /** An identity that comes again must come with the same amount. */
  #compare({ id, accountId, amount }: Entry, index: number): void {
    const identity = [id, accountId].map((each) => Buffer.from(each).toString('hex')).join(' ')
    const earlier = this.#amounts.get(identity)
    if (earlier === undefined) {
      this.#amounts.set(identity, { amount, index })
    } else if (earlier.amount !== amount) {
      const where = `the same account_id and id in item ${earlier.index}`
      const expected = `${earlier.amount}, the amount of ${where}`
      this.fault = { index, field: 'amount', expected }
      throw refused
    }
  }

  /** The characters of the string that stands here, behind which reading goes on. */
  #string(): string | undefined {
    const token = this.#take(string)
    if (token === undefined || !token.includes('\\')) return token?.slice(1, -1)
    return JSON.parse(token) as string
  }

  #skipSpace(): void {
    // Mostly there is none, and an expression costs.
    if (this.#text.charCodeAt(this.#at) <= 0x20) this.#take(spaces)
  }

  #take(token: RegExp): string | undefined {
    token.lastIndex = this.#at
    const found = token.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  get #next(): string | undefined {
    return this.#text[this.#at]
  }

  #has(character: string): boolean {
    if (this.#next !== character) return false
    this.#at += 1
    return true
  }

  #refuse(expected: string, index?: number, field?: string, position = this.#at): never {
    this.fault = { position, expected }
    if (index !== undefined) this.fault.index = index
    if (field !== undefined) this.fault.field = field
    throw refused
  }
}
