// A client of the ledger that remembers what it sent and what it was told.
// In:  batches of a history, addresses that may change while it runs.
// Out: requests, and their answers in the history.
// Absent: the program's code; what the answers mean for the tables (checker.ts).

import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { contentTypes, encodeBody, type BodyFormat } from './body.ts'
import { beginAttempt, endAttempt, type Answer, type History, type SentBatch } from './history.ts'

export interface ClientOptions {
  name: string
  history: History
  /** Base URLs that may answer now, such as `http://127.0.0.1:7070`; none while nothing is up. */
  targets: () => readonly string[]
  format?: BodyFormat
  /** How long to wait for an answer. */
  timeoutMs?: number
}

/**
 * How long to wait before trying again, so that a server that is down is not asked thousands of
 * times a second.
 */
const pauseMs = 25

interface Outcome {
  answer: Exclude<Answer, 'pending'>
  detail: string
}

export class Client {
  readonly name: string
  readonly #history: History
  readonly #targets: () => readonly string[]
  readonly #format: BodyFormat
  readonly #timeoutMs: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #turn = 0
  #closed = false

  constructor(options: ClientOptions) {
    this.name = options.name
    this.#history = options.history
    this.#targets = options.targets
    this.#format = options.format ?? 'json'
    this.#timeoutMs = options.timeoutMs ?? 5_000
  }

  /** One request with this batch, as soon as there is an address to send it to. Never rejects. */
  async send(batch: SentBatch): Promise<Exclude<Answer, 'pending'>> {
    const body = encodeBody(this.#history, batch, this.#format)
    let base = this.#nextTarget()
    while (base === undefined) {
      if (this.#closed) return 'unanswered'
      await delay(pauseMs)
      base = this.#nextTarget()
    }
    const attempt = beginAttempt(batch, this.name)
    const { answer, detail } = await this.#post(base, body, batch.count)
    endAttempt(attempt, answer, detail)
    return answer
  }

  /**
   * Sends the batch until it is acknowledged or refused; leaves it as it is once the client is
   * closed.
   */
  async deliver(batch: SentBatch): Promise<Answer> {
    for (;;) {
      const answer = await this.send(batch)
      if (answer !== 'unanswered' || this.#closed) return answer
      await delay(pauseMs)
    }
  }

  get isClosed(): boolean {
    return this.#closed
  }

  close(): void {
    this.#closed = true
    this.#agent.destroy()
  }

  /** Keeps to one address until it fails to answer. */
  #nextTarget(): string | undefined {
    const targets = this.#targets()
    return targets[this.#turn % Math.max(targets.length, 1)]
  }

  #post(base: string, body: Buffer, items: number): Promise<Outcome> {
    return new Promise((resolve) => {
      let done = false
      const finish = (outcome: Outcome): void => {
        if (done) return
        done = true
        clearTimeout(deadline)
        if (outcome.answer === 'unanswered') this.#turn += 1
        resolve(outcome)
      }
      const outgoing = request(`${base}/v1/transactions`, {
        method: 'POST',
        agent: this.#agent,
        headers: { 'content-type': contentTypes[this.#format], 'content-length': body.length },
      })
      const deadline = setTimeout(() => {
        finish({ answer: 'unanswered', detail: `no answer within ${this.#timeoutMs} ms` })
        outgoing.destroy()
      }, this.#timeoutMs)
      outgoing.on('error', (error) => finish({ answer: 'unanswered', detail: error.message }))
      outgoing.on('response', (response) => {
        const status = response.statusCode ?? 0
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        // Once the status line has come, the answer stands, even if the rest is cut.
        response.on('error', () => finish(this.#read(status, undefined, items)))
        response.on('end', () => finish(this.#read(status, Buffer.concat(chunks), items)))
      })
      outgoing.end(body)
    })
  }

  #read(status: number, body: Buffer | undefined, items: number): Outcome {
    const text = body?.toString() ?? '(cut)'
    if (status >= 200 && status < 300) {
      if (body !== undefined && acceptedIn(text) !== items) {
        this.#history.faults.push(`${this.name} sent ${items} items; ${status} said ${text}`)
      }
      return { answer: 'acknowledged', detail: `${status}` }
    }
    const answer = status >= 400 && status < 500 ? 'refused' : 'unanswered'
    return { answer, detail: `${status} ${text.slice(0, 300)}` }
  }
}

function acceptedIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { accepted?: unknown }).accepted
  } catch {
    return undefined
  }
}
