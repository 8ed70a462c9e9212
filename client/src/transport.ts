// One request until it has its answer: attempts with a time limit, pauses between them.
// In:  an operation's method, path, query and body.
// Out: a successful reply with its text, or open for reading; or an error that says what to do.
// Absent: what the operations are (ledger.ts).

import { RefusedError, UnavailableError, problemIn } from './errors.ts'
import { mayPass, pause, pauseMs, retryAfterMs, retryDefaults, type RetryOptions } from './retry.ts'

export interface TransportOptions {
  /** Where the ledger listens, e.g. `http://127.0.0.1:7070`; a path in it stays. */
  url: string
  /** Further headers of every request, for a proxy that wants them. */
  headers?: Readonly<Record<string, string>>
  /** Longest time for one attempt, in milliseconds. Default: 30 s. */
  timeoutMs?: number
  retry?: RetryOptions
  /** Instead of the global one. */
  fetch?: typeof fetch
}

export interface Call {
  method: 'GET' | 'POST'
  /** With parameters filled in. */
  path: string
  query?: Readonly<Record<string, unknown>>
  body?: string
  accept?: string
  /** What the ledger may spend waiting on purpose, beside the time for an attempt. */
  waitMs?: number
  signal?: AbortSignal | undefined
}

export interface Answer {
  status: number
  text: string
}

/** What an attempt came to, if not to an answer. */
interface Failure {
  reason: string
  status?: number
  askedMs: number
  cause?: unknown
  text?: string
}

export class Transport {
  readonly #base: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeoutMs: number
  readonly #retry: Required<RetryOptions>
  readonly #fetch: typeof fetch

  constructor({ url, headers = {}, timeoutMs = 30_000, retry, fetch: other }: TransportOptions) {
    const { origin, pathname } = new URL(url)
    this.#base = origin + pathname.replace(/\/$/, '')
    this.#headers = headers
    this.#timeoutMs = timeoutMs
    this.#retry = { ...retryDefaults, ...retry }
    // Some runtimes insist on being called as a method of the global object.
    this.#fetch = other ?? ((input, init) => globalThis.fetch(input, init))
  }

  /** The whole answer, once it is a success. */
  send(call: Call): Promise<Answer> {
    return this.#untilAnswered(call, async (reply) => ({
      status: reply.status,
      text: await reply.text(),
    }))
  }

  /**
   * The answer's body, to be read as it comes. The time for an attempt ends with the head; whoever
   * reads passes the signal to stop.
   */
  open(call: Call): Promise<ReadableStream<Uint8Array>> {
    return this.#untilAnswered(call, async (reply) => reply.body ?? new ReadableStream())
  }

  async #untilAnswered<T>(call: Call, read: (reply: Response) => Promise<T>): Promise<T> {
    const started = Date.now()
    for (let failures = 1; ; failures++) {
      call.signal?.throwIfAborted()
      const outcome = await this.#attempt(call, read)
      if ('value' in outcome) return outcome.value
      const pauseFor = pauseMs(this.#retry, failures, outcome.askedMs)
      const isOver = Date.now() - started + pauseFor > this.#retry.forMs
      if (isOver) throw unavailable(call, outcome, failures)
      await pause(pauseFor, call.signal)
    }
  }

  async #attempt<T>(
    call: Call,
    read: (reply: Response) => Promise<T>,
  ): Promise<{ value: T } | Failure> {
    const { method, path, query = {}, body, accept = 'application/json', signal } = call
    const limit = new AbortController()
    const limitMs = this.#timeoutMs + (call.waitMs ?? 0)
    const timer = setTimeout(() => limit.abort(), limitMs)
    const request: RequestInit = {
      method,
      headers: {
        ...this.#headers,
        accept,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: signal ? AbortSignal.any([signal, limit.signal]) : limit.signal,
      ...(body === undefined ? {} : { body }),
    }
    try {
      const reply = await this.#fetch(this.#base + path + queryText(query), request)
      if (reply.ok) return { value: await read(reply) }
      return await failureOf(reply, call)
    } catch (cause) {
      if (cause instanceof RefusedError) throw cause
      signal?.throwIfAborted()
      const isLate = limit.signal.aborted
      return {
        reason: isLate ? `no answer within ${limitMs} ms` : causeOf(cause),
        askedMs: 0,
        cause,
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

/** @throws RefusedError for an answer that would be the same the next time */
async function failureOf(reply: Response, { method, path }: Call): Promise<Failure> {
  const { status } = reply
  const text = await reply.text()
  const problem = problemIn(text)
  const reason = `${status} ${problem?.detail ?? text.slice(0, 200)}`.trim()
  if (!mayPass(status)) throw new RefusedError(`${method} ${path}: ${reason}`, { status, problem })
  return { reason, status, askedMs: retryAfterMs(reply.headers.get('retry-after')), text }
}

function unavailable({ method, path }: Call, failure: Failure, attempts: number): UnavailableError {
  const { reason, status, cause, text } = failure
  const times = attempts === 1 ? 'once' : `${attempts} times`
  return new UnavailableError(`${method} ${path}: tried ${times}, last: ${reason}`, {
    cause,
    status,
    problem: text === undefined ? undefined : problemIn(text),
  })
}

/** What fetch says is often only that it failed; why stands in the causes. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause, message } = error
  if (cause instanceof AggregateError && cause.errors.length > 0) return causeOf(cause.errors[0])
  return cause instanceof Error && cause.message !== '' ? causeOf(cause) : message
}

function queryText(query: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
  return text.length === 0 ? '' : `?${text.join('&')}`
}
