// GET /v1/changes: what is committed to the ledger, batch by batch, for those who build on it.
// In:  requests: from where on, which partitions.
// Out: streams of server-sent events or of JSON lines, each event with the cursor to go on from.
// Absent: the log: what was accepted a moment ago comes once it is in the tables.

import { LedgerError } from '../errors.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { preferredOf } from '../http/negotiation.ts'
import { archivedUntil } from '../ledger/archived.ts'
import { bucketChanges, changesHeads, ledgerOrigin } from '../ledger/changes.ts'
import { momentText, type Moment } from '../ledger/moment.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { changesReadersMax } from '../limits.ts'
import { metrics } from '../observe/metrics.ts'
import { partitionCount } from '../record/layout.ts'
import { bucketOf } from '../record/partition.ts'
import { ChangesCursors } from './changes-cursor.ts'
import { feed } from './changes-feed.ts'
import { SharedReads } from './changes-reads.ts'
import { eventTexts, lineTexts, type ChangesTexts } from './changes-text.ts'
import { HeadWatch, type Heads } from './changes-watch.ts'
import { answered, checkParameters, Refusal, wholeNumberOf } from './request.ts'

const contentTypes = [lineTexts.contentType, eventTexts.contentType]
const parameters = ['after', 'partitions', 'follow', 'limit']
const eventsMax = 1_000_000
const chunkCharacters = 48 * 1024

export function changesRoutes(databases: ReadDatabases): Route[] {
  const changes = new ChangesEndpoint(databases)
  return [
    {
      method: 'GET',
      path: '/v1/changes',
      produces: contentTypes,
      headers: ['accept', 'last-event-id'],
      handle: (request) => answered(() => changes.reply(request)),
    },
  ]
}

/** What a request asks for. */
interface Asked {
  texts: ChangesTexts
  moments: Map<number, Moment>
  cursors: ChangesCursors
  until: Heads | undefined
  limit: number
  signal: AbortSignal
}

class ChangesEndpoint {
  readonly #databases: ReadDatabases
  readonly #reads: SharedReads
  readonly #watch: HeadWatch
  #cursors: ChangesCursors | undefined
  #readers = 0

  constructor(databases: ReadDatabases) {
    this.#databases = databases
    this.#reads = new SharedReads((window) => bucketChanges(databases, window))
    this.#watch = new HeadWatch({
      look: () => changesHeads(databases),
      spent: () => this.#reads.spent(),
    })
  }

  async reply(request: HttpRequest): Promise<HttpReply> {
    checkParameters(request, parameters)
    const limit = wholeNumberOf(request, 'limit', Infinity, eventsMax)
    const follows = choiceOf(request, 'follow', ['true', 'false']) !== 'false'
    const wanted = partitionsOf(request)
    const preferred = preferredOf(request.header('accept'), contentTypes)
    const texts = preferred === lineTexts.contentType ? lineTexts : eventTexts
    this.#cursors ??= new ChangesCursors(await ledgerOrigin(this.#databases))
    const cursors = this.#cursors
    // Both need fresh heads: where now is, and where a reply that does not follow ends.
    const heads = await this.#watch.look()
    const moments = momentsOf(request, cursors, wanted, heads)
    await this.#expectThere(moments, heads)
    const { signal } = request
    const until = follows ? undefined : heads
    return {
      status: 200,
      contentType: texts.contentType,
      body: this.#body({ texts, moments, cursors, until, limit, signal }),
      isEndless: follows,
    }
  }

  /** Who goes on from a cursor must not miss what is archived; `start` is what there is. */
  async #expectThere(moments: ReadonlyMap<number, Moment>, heads: Heads): Promise<void> {
    if ([...moments.values()].every((moment) => moment === -Infinity)) return
    const archived = await archivedUntil(this.#databases)
    for (const [partition, moment] of moments) {
      const until = archived.get(bucketOf(partition, this.#databases.buckets)) ?? -Infinity
      const last = heads.get(partition)?.last ?? -Infinity
      if (moment >= last || moment >= until) continue
      throw new LedgerError(
        'ARCHIVED',
        `Partition ${partition}: entries created up to ${momentText(until)} are archived, and ` +
          'the cursor has not come to all of them. They can be read once they are restored.',
      )
    }
  }

  async *#body(asked: Asked): AsyncGenerator<Uint8Array> {
    if (this.#readers >= changesReadersMax) {
      const message = `Expected at most ${changesReadersMax} clients to follow the changes.`
      throw new LedgerError('OVERLOADED', message)
    }
    metrics.changesReaders.set(++this.#readers)
    try {
      yield* this.#chunks(asked)
    } finally {
      metrics.changesReaders.set(--this.#readers)
    }
  }

  /** Events gathered to chunks; whatever there is leaves before the next wait. */
  async *#chunks(asked: Asked): AsyncGenerator<Uint8Array> {
    const { texts, moments, cursors, until, limit, signal } = asked
    const options = { watch: this.#watch, reads: this.#reads, buckets: this.#databases.buckets }
    const position = (): string => texts.position(cursors.encode(moments))
    yield Buffer.from(position())
    let text = ''
    let events = 0
    for await (const step of feed({ ...options, moments, ...(until && { until }), signal })) {
      if (step.kind === 'batch') {
        text += texts.batch(step.batch, cursors.encode(moments))
        metrics.changesRows.inc(step.batch.rows.length)
        if (++events >= limit) break
      } else if (step.kind === 'quiet') {
        text += position()
      }
      if (text !== '' && (step.kind !== 'batch' || text.length > chunkCharacters)) {
        yield Buffer.from(text)
        text = ''
      }
    }
    if (until) text += position()
    if (text !== '') yield Buffer.from(text)
  }
}

function momentsOf(
  request: HttpRequest,
  cursors: ChangesCursors,
  wanted: readonly number[] | undefined,
  heads: Heads,
): Map<number, Moment> {
  // A browser that connects again says where it stands in a header.
  const field = request.header('last-event-id') === '' ? 'after' : 'last-event-id'
  const after = field === 'after' ? (request.query.get('after') ?? 'now') : request.header(field)
  if (after === 'start' || after === 'now') {
    const all = Array.from({ length: partitionCount }, (_, partition) => partition)
    const at = (partition: number): Moment => {
      return after === 'start' ? -Infinity : (heads.get(partition)?.last ?? -Infinity)
    }
    return new Map((wanted ?? all).map((partition) => [partition, at(partition)]))
  }
  const decoded = cursors.decode(after)
  if (decoded.kind === 'malformed') {
    throw new Refusal(field, 'start, now or a cursor of an earlier event', after)
  }
  if (decoded.kind === 'foreign') {
    throw new Refusal(field, 'a cursor of this ledger', 'one of another ledger', 410)
  }
  if (wanted && wanted.join() !== [...decoded.moments.keys()].join()) {
    throw new Refusal('partitions', 'none beside a cursor, or those of the cursor', wanted.join())
  }
  return decoded.moments
}

function choiceOf({ query }: HttpRequest, name: string, allowed: readonly string[]): string {
  const found = query.get(name)
  if (found === null || allowed.includes(found)) return found ?? ''
  throw new Refusal(name, allowed.join(' or '), found)
}

/** `0-7,64`, ascending; undefined where none are named. */
function partitionsOf({ query }: HttpRequest): number[] | undefined {
  const text = query.get('partitions')
  if (text === null) return undefined
  const partitions = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(part)
    const first = Number(match?.[1])
    const last = Number(match?.[2] ?? match?.[1])
    if (!(first <= last && last < partitionCount)) {
      throw new Refusal('partitions', `ranges within 0 to ${partitionCount - 1}`, text)
    }
    for (let partition = first; partition <= last; partition++) partitions.add(partition)
  }
  return [...partitions].sort((a, b) => a - b)
}
