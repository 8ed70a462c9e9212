// A reader of GET /v1/changes as any client would write it.
// In:  the URL of a program, a cursor.
// Out: what was read: rows, in which order, and from where to go on.
// Absent: the program's code.

import assert from 'node:assert/strict'

export interface ReadRow {
  id: string
  account_id: string
  amount: string
  created_at: string
}

export interface ReadEvent {
  partition?: number
  transactions?: ReadRow[]
  cursor: string
}

export class ChangesReader {
  readonly #url: string
  readonly #query: string
  readonly #accept: string
  cursor: string
  /** `account id amount`, in the order in which they came. */
  readonly rows: string[] = []
  events = 0
  readonly #lastOf = new Map<number, string>()

  constructor(url: string, cursor: string, { query = '', accept = 'application/x-ndjson' } = {}) {
    this.#url = url
    this.cursor = cursor
    this.#query = query
    this.#accept = accept
  }

  /** Reads until `enough` says so after an event, or the reply ends. */
  async read(query: string, enough: () => boolean = () => false): Promise<void> {
    const leaving = new AbortController()
    const after = encodeURIComponent(this.cursor)
    const url = `${this.#url}/v1/changes?after=${after}${this.#query}${query}`
    const reply = await fetch(url, { headers: { Accept: this.#accept }, signal: leaving.signal })
    assert.equal(reply.status, 200, reply.status === 200 ? '' : await reply.text())
    assert.equal(reply.headers.get('content-type'), this.#accept)
    try {
      for await (const line of linesOf(reply)) {
        if (this.#accept === 'text/event-stream' && !line.startsWith('data: ')) continue
        this.#take(JSON.parse(line.replace(/^data: /, '')) as ReadEvent)
        if (enough()) break
      }
    } finally {
      leaving.abort()
    }
  }

  /** Rows of a partition come by time, and those of one instant in one event. */
  #take({ partition, transactions = [], cursor }: ReadEvent): void {
    this.cursor = cursor
    if (partition === undefined) return
    this.events++
    assert(transactions.length > 0, 'no event without rows')
    const before = this.#lastOf.get(partition) ?? ''
    let last = ''
    for (const { id, account_id, amount, created_at } of transactions) {
      assert(created_at > before, `partition ${partition}: ${created_at} after ${before}`)
      assert(created_at >= last, `partition ${partition}: ${created_at} after ${last}`)
      last = created_at
      this.rows.push(`${account_id} ${id} ${amount}`)
    }
    this.#lastOf.set(partition, last)
  }
}

async function* linesOf(reply: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of reply.body as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
}
