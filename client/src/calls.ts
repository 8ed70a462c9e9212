// The operations of the contract as calls with types.
// In:  an operation's name, what stands in its path and query, a body.
// Out: its answer, with whole numbers as bigint; or the lines of an answer that has no end.
// Absent: what the operations are for (ledger.ts), attempts (transport.ts).

import { LedgerError, RefusedError } from './errors.ts'
import { operations, type Operations } from './gen/contract.ts'
import { decodeJson } from './json.ts'
import { linesOf } from './lines.ts'
import type { Call, Transport } from './transport.ts'

export interface CallOptions {
  /** Ends the call, and the attempts it makes. */
  signal?: AbortSignal | undefined
}

export type OperationName = keyof Operations
export type Query<Name extends OperationName> = Operations[Name]['query']
export type Reply<Name extends OperationName> = Operations[Name]['reply']

interface Request<Name extends OperationName> extends CallOptions {
  path?: Operations[Name]['path']
  query?: Query<Name>
  body?: string
  /** How long the ledger may wait on purpose before it answers. */
  waitMs?: number
}

export class Calls {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async call<Name extends OperationName>(
    name: Name,
    request: Request<Name> = {},
  ): Promise<Reply<Name>> {
    const { status, text } = await this.#transport.send(callOf(name, request))
    return decodeJson(text, operations[name].shapes[status] ?? null) as Reply<Name>
  }

  /** Undefined where there is nothing by that name. */
  async find<Name extends OperationName>(
    name: Name,
    request: Request<Name>,
  ): Promise<Reply<Name> | undefined> {
    try {
      return await this.call(name, request)
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) return undefined
      throw error
    }
  }

  /** The elements of every page, each asked for when it is needed. None for what is unknown. */
  async *pages<Name extends OperationName, Element>(
    name: Name,
    request: Request<Name>,
    elementsOf: (page: Reply<Name>) => readonly Element[],
  ): AsyncGenerator<Element> {
    let cursor: string | undefined
    do {
      const query = { ...request.query, cursor }
      const page = await this.find(name, { ...request, query })
      if (page === undefined) return
      yield* elementsOf(page)
      cursor = (page as { next_cursor?: string | null }).next_cursor ?? undefined
    } while (cursor !== undefined)
  }

  /**
   * The lines of an answer, as they come, until it ends or is cut.
   *
   * @throws Error when nothing came for that long
   */
  async *lines<Name extends OperationName>(
    name: Name,
    request: Request<Name>,
    silenceMsMax: number,
  ): AsyncGenerator<string> {
    const silence = new AbortController()
    const { signal } = request
    const either = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal
    const call = { ...callOf(name, request), accept: 'application/x-ndjson', signal: either }
    const why = new Error(`Nothing came for ${silenceMsMax} ms.`)
    const watch = (): ReturnType<typeof setTimeout> =>
      setTimeout(() => silence.abort(why), silenceMsMax)
    let timer = watch()
    try {
      for await (const line of linesOf(await this.#transport.open(call))) {
        // However long the reader takes, the connection is not to blame for it.
        clearTimeout(timer)
        yield line
        timer = watch()
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

function callOf<Name extends OperationName>(
  name: Name,
  { path = {}, query, body, waitMs, signal }: Request<Name>,
): Call {
  const { method, path: template } = operations[name]
  return {
    method,
    path: filled(template, path),
    ...(query === undefined ? {} : { query }),
    ...(body === undefined ? {} : { body }),
    ...(waitMs === undefined ? {} : { waitMs }),
    signal,
  }
}

function filled(template: string, values: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new LedgerError(`${template} needs ${name}.`)
    return encodeURIComponent(value)
  })
}
